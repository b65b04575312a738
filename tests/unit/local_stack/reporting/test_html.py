"""Pages hold everything in one file, and nobody's words as markup."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from local_stack.reporting.call_report import CallerTurn, CallReport
from local_stack.reporting.html import Recording, call_page, index_page
from shared.contracts.usage import UsageUnit
from shared.domain.call import EndReason
from tests.parts import data_folder
from tests.unit.local_stack.reporting.made_up_call import (
    MadeUpCall,
    booking,
    bookings_caller,
    item,
    tracks,
    usage,
    write_recording,
)
from tests.unit.local_stack.reporting.parsed_page import ParsedPage

HOSTILE = "</p></script><script>alert(1)</script><img src=x onerror='alert(2)'>\" onclick=\"alert(3)"


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    write_recording(tmp_path / "recording.wav", *tracks(bookings_caller(), 22.0))
    return Recording.load(tmp_path / "recording.wav")


def page_of(report: CallReport, recording: Recording) -> ParsedPage:
    return ParsedPage(call_page(report, recording))


def hostile_call(words: list[str]) -> CallReport:
    call = MadeUpCall()
    call.starts()
    for at, text in enumerate(words):
        tool = call.tool(text or "x", {text: text}, text, ok=False, error_code=text or None)
        call.exchange(text, text, 2.0 + at, tools=(tool,), error_codes=(text,))
    call.books(item(words[0], words[-1], UsageUnit.SECOND, "3"), *usage())
    call.ends(error_code=words[-1])
    caller = [CallerTurn(start_s=1.0 + at, end_s=1.5 + at, spoken_text=text) for at, text in enumerate(words)]
    return call.report(*caller, tenant_slug=words[-1])


def test_the_page_loads_nothing_and_runs_only_its_own_script(recording: Recording) -> None:
    page = page_of(booking().report(*bookings_caller()), recording)
    addresses = [
        value
        for _tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href")
    ]
    assert all(address and address.startswith(("data:audio/wav;base64,", "#")) for address in addresses)
    policy = page.policy()
    assert policy["default-src"] == "'none'"
    assert policy["media-src"] == "data:"
    css, script = page.code
    for directive, text in (("style-src", css), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    # an attribute would be refused by that policy
    assert not [name for _tag, attributes in page.elements for name in attributes if name == "style"]


def test_the_page_shows_the_call(recording: Recording) -> None:
    report = booking().report(*bookings_caller())
    page = page_of(report, recording)
    for text in (
        "Call with rooms",
        report.call_id,
        "caller hung up",
        "in mountain view",
        "Booked.",
        "interrupted, silent 212 ms later",
        "from cache",
        "remote timeout",
        "Thank you for calling.",
        '{"city": "Mountain View", "people": 2}',
        '{"booked": true}',
        "turn 3, 42 ms",
        "openai gpt-4.1-mini",
        "output token (estimated)",
    ):
        assert text in page.texts
    assert f"{report.cost_usd:f}" in page.texts
    for line in report.usage:
        assert f"{line.amount_usd:f}" in page.texts


def test_what_the_caller_was_given_to_say_is_shown_only_where_something_else_was_understood(
    recording: Recording,
) -> None:
    page = page_of(booking().report(*bookings_caller()), recording)
    assert page.text.count("was given to say") == 1


def test_the_transcript_stands_in_the_order_of_the_call(recording: Recording) -> None:
    call = MadeUpCall()
    call.starts()
    call.exchange("first", "one", 6.0)
    call.agent_says("Are you still there?", 14.0)
    call.exchange("second", "two", 20.0)
    call.books()
    call.ends()
    texts = page_of(call.report(), recording).texts
    places = [texts.index(text) for text in ("first", "one", "Are you still there?", "second", "two")]
    assert places == sorted(places)


def test_the_audio_is_the_recording_byte_for_byte(recording: Recording) -> None:
    (audio,) = page_of(booking().report(), recording).all("audio")
    assert base64.b64decode((audio["src"] or "").partition(",")[2]) == recording.wav


def test_a_call_without_turns_tools_or_usage_has_a_page(recording: Recording) -> None:
    call = MadeUpCall()
    call.starts()
    call.books()
    call.ends(end_reason=EndReason.PROVIDER_FAILED, error_code="provider_failed", greeting_ms=None)
    page = page_of(call.report(), recording)
    assert "Error: provider failed" in page.text
    assert "What the caller waited for" not in page.text
    assert "Tool calls" not in page.text
    targets = {attributes["href"] for attributes in page.all("a")}
    assert targets == {f"#{attributes['id']}" for attributes in page.all("section")}


def test_what_has_no_price_is_said(recording: Recording) -> None:
    call = MadeUpCall()
    call.starts()
    call.books(item("nobody", "nothing", UsageUnit.SECOND, "3"))
    call.ends()
    assert "Not priced: nobody/nothing/second" in page_of(call.report(), recording).text


def test_turns_that_no_utterance_fits_are_named(recording: Recording) -> None:
    call = booking()
    page = page_of(call.report(*bookings_caller()[:2]), recording)
    assert "for want of an utterance at the caller's end: turn 3" in page.text


def test_hostile_words_make_no_element_and_no_attribute(recording: Recording) -> None:
    plain, hostile = (page_of(hostile_call([words]), recording) for words in ("word", HOSTILE))
    assert Counter(tag for tag, _attributes in hostile.elements) == Counter(
        tag for tag, _attributes in plain.elements
    )
    assert {name for _tag, attributes in hostile.elements for name in attributes} == {
        name for _tag, attributes in plain.elements for name in attributes
    }
    assert hostile.text.count(HOSTILE) >= 6


@pytest.mark.needs("vectors")
def test_no_naughty_string_makes_an_element(recording: Recording) -> None:
    words = [
        text
        for text in json.loads(data_folder().joinpath("vectors", "strings", "blns.json").read_bytes())
        if text.strip()
    ]
    plain = page_of(hostile_call([f"word {at}" for at in range(len(words))]), recording)
    hostile = page_of(hostile_call(words), recording)
    assert [tag for tag, _attributes in hostile.elements] == [tag for tag, _attributes in plain.elements]
    shown = set(hostile.texts)
    # the parser of HTML makes one line end of any
    assert [text for text in words if text.replace("\r\n", "\n").replace("\r", "\n") not in shown] == []


def test_the_index_leads_to_each_call_and_says_what_was_checked() -> None:
    report = booking().report(*bookings_caller())
    page = ParsedPage(
        index_page("Three calls", "seed 3", [(report, "call_1/index.html")], ["✓ good", "✗ bad", "else"])
    )
    assert [link["href"] for link in page.all("a")] == ["call_1/index.html"]
    for text in ("Three calls", "seed 3", "rooms", "1012 ms", "212 ms", "book_room", "30.0 s", "180 ms"):
        assert text in page.texts
    assert [mark["class"] for mark in page.all("li")] == ["good", "bad", "plain"]
    assert not page.all("script")
    assert page.policy()["script-src"] == "'none'"


def test_hostile_words_make_no_markup_in_the_index() -> None:
    pages = [
        ParsedPage(index_page(words, words, [(hostile_call([words]), words)], [words]))
        for words in ("word", HOSTILE)
    ]
    plain, hostile = ([(tag, set(attributes)) for tag, attributes in page.elements] for page in pages)
    assert hostile == plain
