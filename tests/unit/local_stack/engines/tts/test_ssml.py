"""SSML from anybody: what is understood, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.engines.tts.ssml import MAX_SSML_BYTES, Pause, SpokenText, SsmlError, parse_ssml

OPEN = '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="http://www.w3.org/2001/mstts">'


def ssml(body: str) -> bytes:
    return f'{OPEN}<voice name="en-US-JennyNeural">{body}</voice></speak>'.encode()


def parts(body: str) -> list[SpokenText | Pause]:
    return parse_ssml(ssml(body))


def test_text_is_spoken_in_its_voice_at_its_own_rate() -> None:
    assert parts("Hello &amp; welcome, caf&#233;.") == [
        SpokenText("Hello & welcome, café.", "en-US-JennyNeural", 1.0)
    ]


@pytest.mark.parametrize(
    ("rate", "factor"),
    [
        ("slow", 0.64),
        ("x-fast", 2.0),
        ("1.2", 1.2),
        ("+20%", 1.2),
        ("-30%", 0.7),
        ("0.1", 0.5),
        ("+500%", 2.0),
    ],
)
def test_prosody_rate_becomes_a_speed_within_half_and_double(rate: str, factor: float) -> None:
    (spoken,) = parts(f'<prosody rate="{rate}" pitch="high">Hi.</prosody>')
    assert isinstance(spoken, SpokenText)
    assert spoken.rate == pytest.approx(factor)


def test_the_outer_rate_returns_behind_prosody() -> None:
    rates = [
        part.rate for part in parts('A<prosody rate="fast">B</prosody>C') if isinstance(part, SpokenText)
    ]
    assert rates == [1.0, 1.55, 1.0]


def test_breaks_are_pauses_of_at_most_20_s() -> None:
    assert parts('A<break time="500ms"/>B<break time="2s"/>C<break/>D<break time="90s"/>')[1::2] == [
        Pause(500),
        Pause(2000),
        Pause(750),
        Pause(20_000),
    ]


def test_an_alias_is_spoken_in_place_of_its_text() -> None:
    (spoken,) = parts('the <sub alias="World Wide Web">WWW</sub> page')
    assert isinstance(spoken, SpokenText)
    assert spoken.text == "the World Wide Web page"


def test_other_elements_are_passed_through() -> None:
    body = '<lexicon uri="x"/><mstts:express-as style="cheerful">Hi <emphasis>there</emphasis></mstts:express-as>'
    assert [part.text for part in parts(body) if isinstance(part, SpokenText)] == ["Hi there"]


def test_two_voices_make_two_texts() -> None:
    body = f'{OPEN}<voice name="a">One.</voice><voice name="b">Two.</voice></speak>'.encode()
    assert [part.voice for part in parse_ssml(body) if isinstance(part, SpokenText)] == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "malformed"),
        (b"hello", "malformed"),
        (ssml("Tom & Jerry"), "malformed"),
        (ssml("1 < 2"), "malformed"),
        (ssml("&undefined;"), "malformed"),
        (b"<html><body>Hi</body></html>", "root element"),
        (f"{OPEN}Hello</speak>".encode(), "no text"),
        (f"{OPEN}Hello<p/></speak>".encode(), "outside of a voice"),
        (f"{OPEN}<voice>Hi</voice></speak>".encode(), "no name"),
        (ssml("  "), "no text"),
        (ssml('<prosody rate="quickly">Hi</prosody>'), "rate"),
        (ssml('<break time="soon"/>Hi'), "time"),
        (ssml('<break strength="big"/>Hi'), "strength"),
        (ssml("<s>" * 40 + "Hi" + "</s>" * 40), "nested"),
        (ssml("a" * MAX_SSML_BYTES), "larger"),
    ],
)
def test_what_is_not_speakable_ssml_is_refused_with_the_reason(document: bytes, reason: str) -> None:
    with pytest.raises(SsmlError, match=reason):
        parse_ssml(document)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE speak [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE speak [<!ENTITY a SYSTEM "http://127.0.0.1/">]>',
        '<!DOCTYPE speak [<!ENTITY % a SYSTEM "http://127.0.0.1/"> %a;]>',
    ],
)
def test_document_types_and_their_entities_are_refused_before_they_expand(doctype: str) -> None:
    with pytest.raises(SsmlError, match="document type"):
        parse_ssml(doctype.encode() + ssml("&b;"))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_ssml_error(body: bytes) -> None:
    try:
        parse_ssml(body)
    except SsmlError:
        return
    pytest.fail("random bytes were accepted")


@given(st.text(alphabet='<>/&;"= abspeakvoicename![]', max_size=120))
def test_markup_inside_a_voice_raises_nothing_but_an_ssml_error(body: str) -> None:
    try:
        found = parse_ssml(ssml(body))
    except SsmlError:
        return
    assert any(isinstance(part, SpokenText) for part in found)
