"""The token that lets a caller's socket in: a JWT (HS256) that our side signs; the call's tenant comes from it.

A token names one call, so a host must refuse a second socket with the same call_id: tokens carry no other
mark against being used twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import jwt
from pydantic import AfterValidator, ValidationError

from shared.contracts.event import UtcDatetime
from shared.domain.model import FrozenModel
from shared.errors import InvalidIdError, InvalidInputError, TokenError
from shared.ids import IdKind, check_id

MIN_SECRET_BYTES: Final = 32
"""RFC 7518, 3.2: a key of HS256 is at least as long as its hash."""

MAX_LIFETIME: Final = timedelta(hours=1)
"""A token only opens a socket; the call may last longer."""

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "parley"
_AUDIENCE: Final = "parley-media"
_MAX_TOKEN_CHARS: Final = 4096


def _id_of(kind: IdKind) -> AfterValidator:
    def check(value: str) -> str:
        try:
            return check_id(value, kind)
        except InvalidIdError as error:
            raise ValueError(error.message) from None

    return AfterValidator(check)


def _whole_seconds(value: datetime) -> datetime:
    return value.replace(microsecond=0)


class MediaClaims(FrozenModel):
    """Who may open a socket for which call, and until when."""

    tenant_id: Annotated[str, _id_of(IdKind.TENANT)]
    """The tenant the call belongs to."""
    agent_id: Annotated[str, _id_of(IdKind.AGENT)]
    """The agent asked for."""
    call_id: Annotated[str, _id_of(IdKind.CALL)]
    """The one call that this token opens."""
    exp: Annotated[UtcDatetime, AfterValidator(_whole_seconds)]
    """From then on the token opens nothing. UTC, cut to whole seconds."""


def issue_media_token(claims: MediaClaims, secret: str, now: datetime) -> str:
    """Sign a token.

    Args:
        claims: what it says; `exp` lies after `now`, by an hour at most.
        secret: shared with the media hosts, at least 32 bytes.
        now: the clock's UTC.

    Raises:
        TokenError: `exp` is not within the hour after `now`.
        InvalidInputError: the secret is too short.
    """
    _check_secret(secret)
    if not now < claims.exp <= now + MAX_LIFETIME:
        raise TokenError("a media token must end within an hour from now")
    payload = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int(claims.exp.timestamp()),
        "tenant_id": claims.tenant_id,
        "agent_id": claims.agent_id,
        "call_id": claims.call_id,
    }
    return jwt.encode(payload, secret, algorithm=_ALGORITHM)


def verify_media_token(token: str, secret: str, now: datetime) -> MediaClaims:
    """Check a token that came from outside, and read it.

    Args:
        token: as the caller's side sent it; anything at all.
        secret: the one it must be signed with, at least 32 bytes.
        now: the clock's UTC.

    Raises:
        TokenError: not a token of ours, changed, or over its time. The message repeats nothing of it.
        InvalidInputError: the secret is too short.
    """
    _check_secret(secret)
    claims = _read(token, secret)
    if claims.exp <= now:
        raise TokenError("the media token is over its time", hint="Ask for a new one.")
    if claims.exp > now + MAX_LIFETIME:
        raise TokenError("the media token would last too long")
    return claims


def _read(token: str, secret: str) -> MediaClaims:
    if len(token) > _MAX_TOKEN_CHARS:
        raise TokenError("not a media token")
    try:
        payload: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            # times are checked against our own clock; here they must only be there
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "require": ["exp", "iat"],
            },
        )
        return MediaClaims(
            tenant_id=payload["tenant_id"],
            agent_id=payload["agent_id"],
            call_id=payload["call_id"],
            exp=datetime.fromtimestamp(payload["exp"], UTC),
        )
    except (jwt.PyJWTError, ValidationError, KeyError, TypeError, ValueError, OverflowError, OSError):
        raise TokenError("not a media token") from None


def _check_secret(secret: str) -> None:
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise InvalidInputError(f"the media secret needs at least {MIN_SECRET_BYTES} bytes")
