"""`parley report` prints what the files say, and nothing that steers the terminal."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from local_stack.reporting.plain_text import REPLACEMENT
from local_stack.reporting.show import show_report
from local_stack.reporting.tables import calls_table
from shared.contracts.usage import UsageUnit
from shared.errors import StackError
from tests.unit.local_stack.reporting.made_up_call import MadeUpCall, booking, bookings_caller, item


def test_calls_of_a_folder_are_shown_with_what_was_said_and_what_it_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("call_1", "call_2"):
        (tmp_path / name).mkdir()
        booking().report(*bookings_caller()).write(tmp_path / name / "call.json")
    (tmp_path / "call_1" / "index.html").write_text("page")
    show_report(folder=tmp_path)
    shown = capsys.readouterr().out
    assert shown.count("caller: in mountain view") == 2
    assert shown.count("and the first  [interrupted]") == 2
    assert "deepgram nova-3: 31.02 second x 0.00008 = $0.0024816" in shown
    assert str(tmp_path / "call_1" / "index.html") in shown.replace("\n", "")


def test_what_the_agent_said_on_its_own_stands_where_it_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booking().report().write(tmp_path / "call.json")
    show_report(folder=tmp_path)
    shown = capsys.readouterr().out
    words = ("Hello, this is", "caller: book a room", "agent : Booked.", "Thank you for calling.")
    places = [shown.index(text) for text in words]
    assert places == sorted(places)


def test_words_neither_steer_the_terminal_nor_count_as_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = MadeUpCall()
    call.starts()
    tool = call.tool("[blink]tool[/]", {}, None)
    call.exchange("\x1b]0;title\x07[red]x[/red]", "[/nonsense]", 6.0, tools=(tool,))
    call.books()
    call.ends()
    call.report(tenant_slug="[b]rooms").write(tmp_path / "call.json")
    show_report(folder=tmp_path)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    for text in ("[red]x[/red]", "[/nonsense]", "[b]rooms"):
        assert text in shown


def test_no_field_of_a_report_from_elsewhere_steers_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = json.loads(booking().report(*bookings_caller()).model_dump_json())

    def poisoned(value: object) -> object:
        match value:
            case dict():
                return {name: poisoned(one) for name, one in value.items()}
            case list():
                return [poisoned(one) for one in value]
            case str():
                return f"{value}\x1b]0;title\x07"
        return value

    for place in (written, *written["usage"], *written["turns"], *written["agent_only"], *written["tools"]):
        for field, value in place.items():
            before = place[field]
            place[field] = poisoned(value)
            (tmp_path / "call.json").write_text(json.dumps(written))
            # what is a number or a time in it is refused as a whole
            with suppress(StackError):
                show_report(folder=tmp_path)
            place[field] = before
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert f"nova-3{REPLACEMENT}" in shown


@pytest.mark.parametrize("content", ["", "{}", '{"call_id": 1}', "\ufeff[]", "[" * 100_000])
def test_a_file_that_is_no_report_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "call.json").write_text(content, encoding="utf-8")
    with pytest.raises(StackError, match=r"call\.json is not a call report"):
        show_report(folder=tmp_path)


def test_a_folder_without_calls_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no call in") as caught:
        show_report(folder=tmp_path)
    assert "parley demo" in caught.value.hint


def test_a_cost_that_leaves_something_out_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = MadeUpCall()
    call.starts()
    call.books(item("nobody", "nothing", UsageUnit.SECOND, "1"))
    call.ends()
    call.report().write(tmp_path / "call.json")

    show_report(folder=tmp_path)

    printed = capsys.readouterr().out
    assert "$0.0000, incomplete" in printed
    assert "without a price, not in the cost: nobody/nothing/second" in printed


def test_the_table_has_one_line_a_call_with_its_medians_and_counts() -> None:
    call = MadeUpCall()
    call.starts()
    tools = (call.tool("find", {}, "1"), call.tool("book", {}, "2"), call.tool("find", {}, "3"))
    call.exchange("a", "b", 6.0, tools=tools)
    call.books()
    call.ends(greeting_ms=None)
    console = Console(width=200, color_system=None)
    with console.capture() as shown:
        console.print(calls_table([booking().report(*bookings_caller()), call.report()]))
    _heading, first, second = (" ".join(line.split()) for line in shown.get().splitlines())
    assert first == "rooms caller hung up 30.0 s 3 180 ms 1012 ms 212 ms book_room $0.0163"
    assert second == "rooms caller hung up 30.0 s 1 – – – find x2, book $0.0000"
