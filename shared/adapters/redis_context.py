"""Checkpoints of conversations in Redis: an aid to a call, never a condition of it.

A lost, slow or read-only Redis costs a call at most `timeout_s` at its next turn, and then nothing: after
_FAILURES_TO_OPEN failures in a row Redis is left alone for _OPEN_S, and one request tries it again.

    t:{<tenant_id>}:ctx:<call_id>  ->  "parley-ctx-1\\n" tenant_id "\\n" call_id "\\n" checkpoint

The owner stands in the value as well as in the key: a value under the wrong key is not loaded.
A checkpoint holds a conversation; sealing it is the caller's part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.names import RedisPrefix
from shared.ports import Clock
from shared.telemetry import Counters

logger = structlog.get_logger(__name__)

CONTEXT_FAILURES: Final = "parley.context.failures"
"""Metric: checkpoints that were not saved or loaded, by `operation` and `reason`."""

MAX_TIMEOUT_S: Final = 0.25
"""Longest that one operation may take, connecting included (reference: fault catalogue, F)."""

_MAX_CHECKPOINT_BYTES: Final = 1_048_576
_MAX_CONNECTIONS: Final = 50
_FAILURES_TO_OPEN: Final = 2
_OPEN_S: Final = 5.0

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

_T = TypeVar("_T")


class RedisContextStore:
    """ContextStore over Redis. Its own errors are counted and logged, never raised. `aclose` it.

    Args:
        url: redis:// or rediss:// address.
        clock: for the breaker.
        counters: where failures are counted.
        ttl_s: how long a checkpoint outlives its last save, seconds.
        timeout_s: how long an operation may take, seconds, at most MAX_TIMEOUT_S.
    """

    def __init__(
        self,
        *,
        url: str,
        clock: Clock,
        counters: Counters,
        ttl_s: int = 3600,
        timeout_s: float = MAX_TIMEOUT_S,
    ) -> None:
        if not 0 < timeout_s <= MAX_TIMEOUT_S:
            raise ValueError(f"timeout_s must be in (0, {MAX_TIMEOUT_S}]")
        self._counters = counters
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._breaker = _Breaker(clock)
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=_MAX_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
        )

    async def save(self, *, tenant_id: str, call_id: str, checkpoint: bytes) -> None:
        """Keep the newest checkpoint of a call, for `ttl_s`. One over 1 MiB is not kept (and counted)."""
        if len(checkpoint) > _MAX_CHECKPOINT_BYTES:
            self._failed("save", "too_large")
        elif _safe(tenant_id, call_id):
            value = _owner(tenant_id, call_id) + checkpoint
            key = _key(tenant_id, call_id)
            await self._try("save", lambda: self._redis.set(key, value, ex=self._ttl_s))
        else:
            self._failed("save", "invalid_id")

    async def load(self, *, tenant_id: str, call_id: str) -> bytes | None:
        """The newest checkpoint, or None when there is none or Redis does not answer in time."""
        if not _safe(tenant_id, call_id):
            self._failed("load", "invalid_id")
            return None
        key, owner = _key(tenant_id, call_id), _owner(tenant_id, call_id)
        value = await self._try("load", lambda: self._redis.get(key))
        if value is None:
            return None
        if not isinstance(value, bytes) or not value.startswith(owner):
            self._failed("load", "not_a_checkpoint")
            return None
        return value[len(owner) :]

    async def aclose(self) -> None:
        """Close the connections. Redis need not answer."""
        await self._redis.aclose()

    async def _try(self, operation: str, request: Callable[[], Awaitable[_T]]) -> _T | None:
        if not self._breaker.may_try():
            self._counters.add(CONTEXT_FAILURES, operation=operation, reason="left_alone")
            return None
        worked = False
        try:
            # the client's timeouts are per read and write; this one is for the whole
            async with asyncio.timeout(self._timeout_s):
                answer = await request()
            worked = True
            return answer
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(operation, type(error).__name__)
            return None
        finally:  # also when cancelled: the breaker must not wait for an answer that never comes
            self._breaker.ended(worked=worked)

    def _failed(self, operation: str, reason: str) -> None:
        self._counters.add(CONTEXT_FAILURES, operation=operation, reason=reason)
        logger.warning("a checkpoint was not kept or not found", operation=operation, reason=reason)


class _Breaker:
    """Closed: all may try. Open after _FAILURES_TO_OPEN failures in a row: none may for _OPEN_S, then one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until_s = 0.0

    def may_try(self) -> bool:
        if self._failures < _FAILURES_TO_OPEN:
            return True
        now_s = self._clock.monotonic_s()
        if now_s < self._open_until_s:
            return False
        self._open_until_s = now_s + _OPEN_S  # the others wait for this one's answer
        return True

    def ended(self, *, worked: bool) -> None:
        if worked:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN:
            self._open_until_s = self._clock.monotonic_s() + _OPEN_S


def _key(tenant_id: str, call_id: str) -> str:
    return f"{RedisPrefix.tenant(tenant_id)}ctx:{call_id}"


def _owner(tenant_id: str, call_id: str) -> bytes:
    return f"parley-ctx-1\n{tenant_id}\n{call_id}\n".encode()


def _safe(*ids: str) -> bool:
    """Whether the ids can't break out of a composed key."""
    return all(_ID.fullmatch(value) for value in ids)
