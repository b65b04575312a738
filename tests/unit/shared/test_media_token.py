"""Media tokens."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.errors import InvalidInputError, TokenError
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token, verify_media_token
from tests.fakes.clock import START as NOW

SECRET = "0123456789abcdef0123456789abcdef"


def _claims(**changes: Any) -> MediaClaims:
    fields: dict[str, Any] = {
        "tenant_id": new_id(IdKind.TENANT),
        "agent_id": new_id(IdKind.AGENT),
        "call_id": new_id(IdKind.CALL),
        "exp": NOW + timedelta(minutes=5),
    }
    return MediaClaims.model_validate({**fields, **changes})


def _forged(claims: MediaClaims, secret: str = SECRET, **changes: Any) -> str:
    payload = {
        "iss": "parley",
        "aud": "parley-media",
        "iat": int(NOW.timestamp()),
        "exp": int(claims.exp.timestamp()),
        "tenant_id": claims.tenant_id,
        "agent_id": claims.agent_id,
        "call_id": claims.call_id,
        **changes,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, secret, algorithm="HS256")


def test_what_was_issued_is_read_back() -> None:
    claims = _claims()
    assert verify_media_token(issue_media_token(claims, SECRET, NOW), SECRET, NOW) == claims


def test_the_end_is_cut_to_whole_seconds() -> None:
    assert _claims(exp=NOW + timedelta(seconds=5.9)).exp == NOW + timedelta(seconds=5)


def test_a_token_opens_until_the_instant_of_its_end() -> None:
    token = issue_media_token(_claims(), SECRET, NOW)
    verify_media_token(token, SECRET, NOW + timedelta(minutes=5) - timedelta(microseconds=1))
    with pytest.raises(TokenError, match="over its time"):
        verify_media_token(token, SECRET, NOW + timedelta(minutes=5))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(hours=1, seconds=1)])
def test_no_token_is_issued_for_the_past_or_for_more_than_an_hour(lifetime: timedelta) -> None:
    with pytest.raises(TokenError):
        issue_media_token(_claims(exp=NOW + lifetime), SECRET, NOW)


def test_a_token_that_would_last_too_long_is_refused_even_if_signed() -> None:
    with pytest.raises(TokenError):
        verify_media_token(_forged(_claims(exp=NOW + timedelta(days=365))), SECRET, NOW)


def test_a_token_of_another_secret_is_refused() -> None:
    token = issue_media_token(_claims(), SECRET, NOW)
    with pytest.raises(TokenError):
        verify_media_token(token, SECRET[::-1], NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "webhooks"},
        {"aud": None},
        {"iat": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e300},
        {"exp": True},
        {"tenant_id": None},
        {"tenant_id": "ten_1"},
        {"tenant_id": ["ten_01ARZ3NDEKTSV4RRFFQ69G5FAV"]},
        {"agent_id": "ten_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
        {"call_id": 7},
    ],
    ids=str,
)
def test_a_signed_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        verify_media_token(_forged(_claims(), **changes), SECRET, NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256"])
def test_the_token_does_not_choose_its_algorithm(algorithm: str) -> None:
    _, payload, signature = _forged(_claims()).split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode()
    for end in (signature, ""):
        with pytest.raises(TokenError):
            verify_media_token(f"{header.rstrip('=')}.{payload}.{end}", SECRET, NOW)


def test_a_changed_tenant_breaks_the_signature() -> None:
    mine, theirs = _forged(_claims()).split("."), _forged(_claims()).split(".")
    with pytest.raises(TokenError):
        verify_media_token(".".join([mine[0], theirs[1], mine[2]]), SECRET, NOW)


@given(st.text(max_size=300))
def test_anything_else_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(TokenError) as raised:
        verify_media_token(token, SECRET, NOW)
    assert raised.value.message == "not a media token"
    assert raised.value.__cause__ is None


def test_an_overlong_token_is_not_even_parsed() -> None:
    with pytest.raises(TokenError):
        verify_media_token("a" * 1_000_000, SECRET, NOW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        issue_media_token(_claims(), "short", NOW)
    with pytest.raises(InvalidInputError):
        verify_media_token("x", "short", NOW)


@pytest.mark.parametrize("field", ["tenant_id", "agent_id", "call_id"])
def test_claims_hold_real_ids_only(field: str) -> None:
    with pytest.raises(ValidationError):
        _claims(**{field: "call_{evil}:"})
