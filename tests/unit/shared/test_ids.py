"""Ids: prefix and ULID."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import InvalidIdError
from shared.ids import IdKind, check_id, new_id


@pytest.mark.parametrize("kind", IdKind)
def test_a_new_id_is_an_id_of_its_kind_and_of_no_other(kind: IdKind) -> None:
    value = new_id(kind)
    assert check_id(value, kind) == value
    for other in set(IdKind) - {kind}:
        with pytest.raises(InvalidIdError):
            check_id(value, other)


@pytest.mark.parametrize("kind", IdKind)
def test_an_id_is_safe_inside_composed_keys(kind: IdKind) -> None:
    assert re.fullmatch(r"[a-z]+_[0-9A-Z]{26}", new_id(kind))


def test_ids_are_different() -> None:
    assert len({new_id(IdKind.CALL) for _ in range(1000)}) == 1000


@given(st.text(max_size=60))
def test_what_is_no_id_is_refused_and_not_repeated(text: str) -> None:
    assume(not re.fullmatch(r"ten_[0-7][0-9A-HJKMNP-TV-Z]{25}", text))
    with pytest.raises(InvalidIdError) as raised:
        check_id(text, IdKind.TENANT)
    assert raised.value.message == "not a ten_ id"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ten",
        "ten_",
        "ten_01ARZ3NDEKTSV4RRFFQ69G5FA",
        "ten_01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "ten_01arz3ndektsv4rrffq69g5fav",
        "ten_81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "ten_01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "ten_01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
        "ten_ten_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "TEN_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    ],
)
def test_a_near_miss_is_refused(value: str) -> None:
    with pytest.raises(InvalidIdError):
        check_id(value, IdKind.TENANT)
