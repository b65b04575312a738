"""Words are made fit for JSON, HTML and terminals, and otherwise left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.reporting.plain_text import encodable, encodable_object, for_terminal


def test_half_a_character_is_replaced() -> None:
    assert encodable("a\ud83db") == "a\N{REPLACEMENT CHARACTER}b"
    assert encodable("a😀b") == "a😀b"


def test_half_a_character_that_json_had_escaped_is_replaced_too() -> None:
    assert encodable_object('{"name": "\\ud83d", "whole": "\\ud83d\\ude00"}') == {
        "name": "\N{REPLACEMENT CHARACTER}",
        "whole": "😀",
    }


def test_numbers_that_json_does_not_have_become_words() -> None:
    assert encodable_object('{"people": NaN, "most": -Infinity}') == {"people": "NaN", "most": "-Infinity"}


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"a"'])
def test_what_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encodable_object(text)


_TEXT = st.text(max_size=10)
_VALUES = st.recursive(
    _TEXT | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_objects_come_through_as_they_are(found: dict[str, object]) -> None:
    assert encodable_object(json.dumps(found)) == found


def test_a_terminal_gets_no_escape_sequence_and_no_turned_text() -> None:
    assert for_terminal("a\x1b[31mred\x9b0m") == "a�[31mred�0m"
    assert for_terminal("one\ntwo\r\nthree") == "one two three"
    assert for_terminal("abc\u202edcba") == "abc�dcba"
    assert for_terminal("naïve 日本 😀") == "naïve 日本 😀"
