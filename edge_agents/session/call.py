"""One call from the first sample to the final usage record: does what the other modules decide."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog
from livekit.agents import AgentSession
from livekit.agents.voice import SpeechHandle

from edge_agents.audio.latency import LatencyProbe
from edge_agents.audio.taps import TappedInput, TappedOutput
from edge_agents.session.context import HistoryKeeper
from edge_agents.session.events import CallEvents
from edge_agents.session.failures import FailureAction, FailureWatch, Stage
from edge_agents.session.host import CallHost
from edge_agents.session.limits import LimitAction, LimitKind, LimitWatch
from edge_agents.session.listener import SessionListener, background_requests
from edge_agents.session.loop import build_agent, build_session, voice_key
from edge_agents.session.plan import CallPlan
from edge_agents.session.recovery import Recovery
from edge_agents.session.speaker import Speaker
from edge_agents.session.tools import ToolBox
from edge_agents.session.turns import FinishedTurn, TurnAssembler
from edge_agents.session.usage import CallUsage
from edge_agents.transport.port import DisconnectReason, MediaTransport
from shared.domain.call import EndReason
from shared.errors import MediaError, ParleyError
from shared.ids import IdKind, new_id
from shared.telemetry import bind_turn

log = structlog.get_logger(__name__)

_SNAPSHOT_EVERY_S = 10.0
_CLOSE_TIMEOUT_S = 6.0
"""Closing the session may hang when the caller leaves in mid-speech (livekit/agents #5497)."""
_SECOND_CLOSE_TIMEOUT_S = 2.0
"""What a close that was cut left open is closed by another one; it would live as long as the process."""
_TOOL_GRACE_S = 2.0
"""Tools get so long to finish when the caller has gone: what they did should be on record."""
_LAST_WORDS_TIMEOUT_S = 12.0
"""Longest wait for a goodbye to be heard."""
_GONE_AS = {
    DisconnectReason.HUNG_UP: EndReason.CALLER_HUNG_UP,
    DisconnectReason.LOST: EndReason.MEDIA_LOST,
    DisconnectReason.REPLACED: EndReason.WORKER_LOST,
}


class Call:
    """Runs one call. Use once: `reason = await Call(...).run()`.

    Whatever happens, exactly one final usage record and one `call.ended` are published, after the providers
    have been closed (they report their last seconds then). Cancelling `run` ends the call as worker_lost.
    """

    def __init__(self, plan: CallPlan, transport: MediaTransport, host: CallHost) -> None:
        self._plan = plan
        self._config = plan.version.config
        self._transport = transport
        self._host = host
        self._began_s = self._connected_s = host.clock.monotonic_s()
        self._end: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._ending = False
        self._error_code: str | None = None
        self._greeting_ms: float | None = None
        self._away_count = 0
        self._tasks: set[asyncio.Task[None]] = set()

        self._events = CallEvents(plan, publisher=host.publisher, sealer=host.sealer, clock=host.clock)
        self._providers = host.providers(
            plan.version, (f"tenant:{plan.tenant.tenant_id}", f"agent:{plan.version.agent_id}")
        )
        self._usage = CallUsage(
            self._providers.meter, catalogue=host.catalogue, started_at=plan.started_at, clock=host.clock
        )
        self._probe = LatencyProbe()
        self._turns = TurnAssembler(finish=self._turn_over, new_turn_id=_begin_turn)
        self._limits = LimitWatch(self._config.limits)
        self._listener = self._make_listener()
        self._session = build_session(
            plan, self._providers, host.voice_activity, away_after_s=host.away_after_s
        )
        self._history = HistoryKeeper(self._session, self._providers.llm, self._config.limits.context_tokens)
        self._speaker = Speaker(
            # the first choice alone: a fallback's audio must not be kept under its name
            self._session,
            voice=self._providers.first_voice,
            store=host.phrases,
            voice_key=voice_key(plan),
        )
        self._recovery = Recovery(
            self._session,
            speaker=self._speaker,
            listener=self._listener,
            apology=self._config.phrases.apology,
            say=self._say,
            over=lambda: self._ending,
        )
        self._tools = ToolBox(
            self._config,
            call_id=plan.call_id,
            http=host.tool_http,
            clock=host.clock,
            record=self._turns.tool_called,
            end_call=lambda: self._end_after(EndReason.AGENT_ENDED, self._config.phrases.goodbye),
            transfer=self._transfer,
        )

    def _make_listener(self) -> SessionListener:
        return SessionListener(
            turns=self._turns,
            probe=self._probe,
            failures=FailureWatch(),
            on_failure=self._on_failure,
            on_reply=self._after_reply,
            on_not_understood=self._reprompt,
            on_away=self._on_away,
            on_caller=self._caller_spoke,
            on_closed=lambda: self._finish_with(EndReason.INTERNAL_ERROR),
            on_greeted=self._greeted,
            tool_names=frozenset({*(tool.name for tool in self._config.tools), *self._config.built_in_tools}),
            apologising=lambda: self._recovery.busy,
            now_s=self._host.clock.monotonic_s,
        )

    @property
    def session(self) -> AgentSession[None]:
        """The voice loop, for hosts that watch it."""
        return self._session

    def hang_up(self, reason: EndReason) -> None:
        """End the call now; the first reason given stands."""
        self._finish_with(reason)

    async def run(self) -> EndReason:
        """Carry the call to its end."""
        reason = EndReason.INTERNAL_ERROR
        try:
            reason = await self._converse()
        except MediaError as error:
            reason, self._error_code = EndReason.MEDIA_FAILED, error.code
            log.warning("media_failed", code=error.code)
        except asyncio.CancelledError:
            reason = EndReason.WORKER_LOST
            raise
        except ParleyError as error:
            self._error_code = error.code
            log.error("call_failed", code=error.code)
        except Exception:
            self._error_code = "internal"
            log.exception("call_failed", code="internal")
        finally:
            await asyncio.shield(self._settle(reason))
        return reason

    # --- the conversation -------------------------------------------------------------------------

    async def _converse(self) -> EndReason:
        self._listener.attach(self._session, self._providers)
        await self._transport.attach(self._session)
        self._connected_s = self._host.clock.monotonic_s()
        self._tap_audio()
        self._transport.on_dtmf(lambda digit: log.info("dtmf", digit_pii=digit))
        agent = build_agent(self._plan, self._tools.tools())
        await self._session.start(agent, record=False)
        self._events.started()
        self._usage.answered()
        self._spawn(self._keep_phrases(self._say(self._config.greeting)), "phrases")
        self._spawn(self._watch_disconnect(), "disconnect")
        self._spawn(self._watch_time(), "limits")
        self._spawn(self._snapshots(), "snapshots")
        return await self._end

    def _tap_audio(self) -> None:
        audio_in, audio_out = self._session.input.audio, self._session.output.audio
        if audio_in is None or audio_out is None:
            raise MediaError("the transport set no audio")
        clock = self._host.clock.monotonic_s
        self._session.input.audio = TappedInput(audio_in, probe=self._probe, clock=clock)
        self._session.output.audio = TappedOutput(audio_out, probe=self._probe, clock=clock)

    def _greeted(self, first_audible_s: float | None) -> None:
        if first_audible_s is not None:
            self._greeting_ms = (first_audible_s - self._connected_s) * 1000

    async def _keep_phrases(self, greeting: SpeechHandle) -> None:
        await greeting
        phrases = self._config.phrases
        # once the call runs, keep the sentences that must not depend on a provider
        with background_requests():
            first = (phrases.apology, phrases.failure, self._config.greeting, phrases.goodbye)
            await self._speaker.keep((*first, phrases.wrap_up, phrases.tools_near_limit))

    def _say(self, text: str, *, interruptible: bool = True) -> SpeechHandle:
        handle, kept_audio = self._speaker.say(text, interruptible=interruptible)
        if kept_audio:
            self._listener.is_kept_audio(text)
        handle.add_done_callback(lambda _: self._said(text, handle, kept_audio=kept_audio))
        return handle

    def _said(self, text: str, handle: SpeechHandle, *, kept_audio: bool) -> None:
        if not handle.interrupted and not handle.chat_items:
            self._recovery.not_heard(text)
        self._listener.sentence_over(handle, kept_audio=kept_audio)

    async def _watch_disconnect(self) -> None:
        reason = await self._transport.wait_disconnected()
        if reason is not DisconnectReason.CLOSED:
            self._finish_with(_GONE_AS[reason])

    async def _watch_time(self) -> None:
        while not self._end.done():
            await asyncio.sleep(min(self._limits.next_check_s(self._elapsed_s()), 5.0))
            self._check_limits()

    async def _snapshots(self) -> None:
        while not self._end.done():
            await asyncio.sleep(_SNAPSHOT_EVERY_S)
            self._snapshot()

    def _snapshot(self) -> None:
        if items := self._usage.items():
            self._events.usage_snapshot(items)

    def _turn_over(self, turn: FinishedTurn) -> None:
        self._events.turn(turn)
        bind_turn(None)

    def _after_reply(self) -> None:
        self._snapshot()
        self._check_limits()
        if not self._ending:
            self._spawn(self._history.fit(), "summary")

    # --- limits, context, failures ----------------------------------------------------------------

    def _check_limits(self) -> None:
        if self._ending:
            return
        decision = self._limits.observe(
            elapsed_s=self._elapsed_s(),
            turns=self._turns.exchanges,
            spend_usd=self._usage.spend_usd(),
            tool_calls=self._tools.used,
        )
        if decision.action is LimitAction.WRAP_UP:
            log.info("limit_near", limit=decision.kind)
            phrases = self._config.phrases
            out_of_tools = decision.kind is LimitKind.TOOL_CALLS
            self._say(phrases.tools_near_limit if out_of_tools else phrases.wrap_up)
        elif decision.action is LimitAction.END:
            log.info("limit_reached", limit=decision.kind)
            if not decision.announced:
                self._say(self._config.phrases.wrap_up, interruptible=False)
            self._end_after(EndReason.LIMIT_REACHED, self._config.phrases.goodbye)

    def _on_failure(self, action: FailureAction, stage: Stage) -> None:
        log.warning("provider_failed", stage=stage.value, action=action.value)
        if self._ending:
            return
        if action is FailureAction.GIVE_UP:
            self._error_code = "provider_failed"
            self._end_after(EndReason.PROVIDER_FAILED, self._config.phrases.failure, voice_failed=True)
        else:
            self._spawn(self._recovery.apologise_and_retry(stage), "apology")

    def _caller_spoke(self) -> None:
        self._away_count = 0

    def _reprompt(self) -> None:
        if not self._ending:
            self._say(self._config.phrases.reprompt)

    def _on_away(self) -> None:
        if self._ending:
            return
        self._away_count += 1
        if self._away_count == 1:
            self._say(self._config.phrases.still_there)
            self._session.reset_away_timer()  # it would fire once only
        else:
            self._end_after(EndReason.CALLER_AWAY, self._config.phrases.goodbye)

    async def _transfer(self, target: str) -> None:
        address = self._config.transfer_targets[target]
        await self._host.transfer.transfer(call_id=self._plan.call_id, target=target, address=address)
        self._events.transferred(target)
        self._finish_with(EndReason.TRANSFERRED)

    # --- the end ----------------------------------------------------------------------------------

    def _end_after(self, reason: EndReason, last_words: str, *, voice_failed: bool = False) -> None:
        """End the call once `last_words` have been heard, or could not be."""
        if self._ending:
            return
        self._ending = True
        self._spawn(self._say_last_words(reason, last_words, voice_failed=voice_failed), "last_words")

    async def _say_last_words(self, reason: EndReason, text: str, *, voice_failed: bool) -> None:
        try:
            async with asyncio.timeout(_LAST_WORDS_TIMEOUT_S):
                if not voice_failed:
                    handle = await self._say(text, interruptible=False)
                    voice_failed = not handle.chat_items and not handle.interrupted
                if voice_failed:
                    handle, words = self._speaker.say_without_provider(text, last_words=True)
                    await self._listener.outside_history(handle, words)
        except (TimeoutError, RuntimeError):
            log.warning("last_words_not_heard", reason=reason.value)
        finally:
            self._finish_with(reason)

    def _finish_with(self, reason: EndReason) -> None:
        self._ending = True
        if not self._end.done():
            self._end.set_result(reason)

    async def _settle(self, reason: EndReason) -> None:
        """Close everything in order, then write the books."""
        self._ending = True
        self._usage.over()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        tools = asyncio.create_task(self._tools.finish(_TOOL_GRACE_S), name="call.tools_finish")
        if not await self._bounded(self._session.aclose(), "session_close"):
            await self._bounded(self._session.aclose(), "session_close", _SECOND_CLOSE_TIMEOUT_S)
        await tools
        self._turns.close()
        await self._bounded(self._providers.aclose(), "providers_close")
        ended_at = self._host.clock.now()
        items = self._usage.items()
        self._snapshot()
        self._events.usage_record([items], ended_at=ended_at, reason=reason)
        self._events.ended(
            reason=reason,
            ended_at=ended_at,
            turns=self._turns.exchanges,
            greeting_ms=self._greeting_ms,
            error_code=self._error_code,
        )
        await self._bounded(self._transport.aclose(reason), "transport_close")

    async def _bounded(
        self, closing: Coroutine[Any, Any, None], what: str, timeout_s: float = _CLOSE_TIMEOUT_S
    ) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await closing
        except TimeoutError:
            log.error("close_timed_out", what=what)
            return False
        except Exception:
            log.exception("close_failed", what=what)
        return True

    def _elapsed_s(self) -> float:
        return self._host.clock.monotonic_s() - self._began_s

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(self._logged(work), name=f"call.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await work
            except Exception:
                log.exception("call_task_failed")


def _begin_turn() -> str:
    turn_id = new_id(IdKind.TURN)
    bind_turn(turn_id)
    return turn_id
