"""The pages of a demo as a browser shows them: opened from files, with nothing else to load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from local_stack.paths import chromium_executable
from local_stack.reporting.call_report import CallReport
from local_stack.reporting.html import Recording, call_page, index_page
from tests.parts import data_folder
from tests.unit.local_stack.reporting.made_up_call import (
    MadeUpCall,
    booking,
    bookings_caller,
    tracks,
    usage,
    write_recording,
)

pytestmark = pytest.mark.needs("chromium")

_SECONDS = 22.0
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_executable(), args=list(_QUIET))
        yield launched
        launched.close()


@dataclass
class Tab:
    """A page with what went on behind it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Messages on the console, uncaught errors, refusals by the page's policy."""
    requests: list[str] = field(default_factory=list)
    """Addresses of everything that was asked for."""

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def opened(self, path: Path) -> Page:
        """Show a file."""
        self.page.goto(path.as_uri())
        return self.page

    @property
    def beyond_the_file(self) -> list[str]:
        """Requests for anything but files and what a page holds itself."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    yield Tab(context.new_page())
    context.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    yield Tab(context.new_page())
    context.close()


def write_call(folder: Path, report: CallReport) -> Path:
    """What the product leaves of a call."""
    folder.mkdir(parents=True, exist_ok=True)
    write_recording(folder / "recording.wav", *tracks(bookings_caller(), _SECONDS))
    page = call_page(report, Recording.load(folder / "recording.wav"))
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def report() -> CallReport:
    return booking().report(*bookings_caller())


@pytest.fixture
def call(report: CallReport, tmp_path: Path) -> Path:
    return write_call(tmp_path / "call_1", report)


def wait_until(page: Page, condition: str) -> None:
    """Look every frame, for ten seconds. Playwright's own `wait_for_function` needs an eval that the page forbids."""
    page.evaluate(
        f"""() => new Promise((done, fail) => {{
            let frames = 600;
            const look = () => {{
                if ({condition}) done();
                else if (frames-- === 0) fail(new Error("not within 600 frames"));
                else requestAnimationFrame(look);
            }};
            look();
        }})"""
    )


def wait_for_audio(page: Page) -> None:
    wait_until(page, "document.querySelector('audio').readyState >= 1")


def test_a_call_page_asks_for_nothing_and_complains_of_nothing(tab: Tab, call: Path) -> None:
    page = tab.opened(call)
    wait_for_audio(page)
    assert tab.complaints == []
    assert tab.beyond_the_file == []
    assert [url for url in tab.requests if url.startswith("file:")] == [call.as_uri()]


def test_both_sides_of_the_call_can_be_seen(tab: Tab, call: Path) -> None:
    page = tab.opened(call)
    for side in ("caller", "agent"):
        shape = page.locator(f".picture polygon.{side}")
        box = shape.bounding_box()
        assert box
        assert box["width"] > 900
        assert box["height"] > 40
        assert len((shape.get_attribute("points") or "").split()) > 1000
    assert page.locator(".picture .mark").all_text_contents() == ["1", "2", "3"]


def test_the_recording_can_be_played(tab: Tab, call: Path) -> None:
    page = tab.opened(call)
    wait_for_audio(page)
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(_SECONDS, abs=0.01)
    assert page.evaluate("document.querySelector('audio').error") is None


def test_a_click_into_the_picture_moves_the_playback_there(tab: Tab, call: Path) -> None:
    page = tab.opened(call)
    wait_for_audio(page)
    picture = page.locator(".picture")
    box = picture.bounding_box()
    assert box
    picture.click(position={"x": box["width"] * 0.75, "y": 60})
    wait_until(page, "document.querySelector('.head').getAttribute('x1') !== null")
    at_s = page.evaluate("document.querySelector('audio').currentTime")
    assert at_s == pytest.approx(_SECONDS * 0.75, abs=0.1)
    assert float((page.locator(".head").get_attribute("x1") or "0%").rstrip("%")) == pytest.approx(75, abs=1)


def test_a_turn_plays_from_its_beginning(tab: Tab, call: Path) -> None:
    page = tab.opened(call)
    wait_for_audio(page)
    page.get_by_role("button", name="Turn 2", exact=True).click()
    wait_until(page, "!document.querySelector('audio').paused")
    page.evaluate("document.querySelector('audio').pause()")
    assert page.evaluate("document.querySelector('audio').currentTime") >= 7.6
    assert tab.complaints == []


def test_every_turn_has_its_bars(tab: Tab, call: Path, report: CallReport) -> None:
    page = tab.opened(call)
    rows = page.locator(".latency")
    assert rows.count() == len(report.turns) == 3
    for row in rows.all():
        for bar in ("rect.total", "rect.endpointing", "rect.llm", "rect.tts"):
            box = row.locator(bar).bounding_box()
            assert box, bar
            assert box["width"] > 20, bar
    assert rows.locator("b").all_inner_texts() == ["1012 ms", "987 ms", "1204 ms"]


def test_the_sum_of_the_costs_is_shown_to_the_last_digit(tab: Tab, call: Path, report: CallReport) -> None:
    page = tab.opened(call)
    assert page.locator("#cost tbody tr").count() == len(report.usage)
    assert page.locator("#cost .sum").inner_text() == f"{report.cost_usd:f}"


def test_the_index_leads_to_the_calls(tab: Tab, call: Path, report: CallReport) -> None:
    index = call.parents[1] / "index.html"
    index.write_text(
        index_page("Three spoken calls", "seed 3", [(report, "call_1/index.html")], ["✓ booked", "✗ slow"]),
        encoding="utf-8",
    )
    page = tab.opened(index)
    assert page.locator("tbody tr").count() == 1
    assert page.locator(".findings .bad").inner_text() == "✗ slow"
    page.get_by_role("link", name="rooms").click()
    page.wait_for_url(call.as_uri())
    assert page.locator("h1").inner_text() == "Call with rooms"
    wait_for_audio(page)
    assert tab.complaints == []
    assert tab.beyond_the_file == []


def test_a_telephone_needs_no_scrolling_sideways_but_in_the_picture(phone: Tab, call: Path) -> None:
    page = phone.opened(call)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("h1").is_visible()
    assert page.locator("#cost td[data-label='Amount, USD']").first.is_visible()
    wait_for_audio(page)
    assert phone.complaints == []


def test_a_long_call_scrolls_along_while_it_plays(phone: Tab, call: Path) -> None:
    page = phone.opened(call)
    wait_for_audio(page)
    page.evaluate("document.querySelector('.picture').setAttribute('width', 7200)")
    page.evaluate("document.querySelector('audio').currentTime = 20")
    wait_until(page, "document.querySelector('.scroll').scrollLeft > 5000")


@pytest.mark.needs("chromium", "vectors")
def test_hostile_words_are_words(tab: Tab, tmp_path: Path) -> None:
    vectors = data_folder().joinpath("vectors", "strings", "blns.json")
    words = [text for text in json.loads(vectors.read_bytes()) if text.strip()]
    # what the file does not try: to close what the page itself has open
    words += ["</p></div></main><script>alert(1)</script>", "</script><img src='http://127.0.0.1:9/x.png'>"]
    hostile = MadeUpCall()
    hostile.starts()
    for at, text in enumerate(words):
        tool = hostile.tool("look_up", {text: text}, text)
        hostile.exchange(text, text, 2.0 + at, tools=(tool,), error_codes=(text,))
    hostile.books(*usage())
    hostile.ends(at_s=2.0 + len(words))
    page = tab.opened(write_call(tmp_path, hostile.report(tenant_slug=words[-1])))
    said = page.locator(".bubble.said p")
    # the parser of HTML makes one line end of any, and a box of U+0000
    expected = [
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
        for text in words
    ]
    assert said.all_text_contents() == expected
    assert page.locator("h1").text_content() == f"Call with {words[-1]}"
    for tag in ("img", "iframe", "object", "embed", "form", "input", "base", "link"):
        assert page.locator(tag).count() == 0, tag
    assert page.locator("script").count() == 1
    assert tab.complaints == []
    assert tab.beyond_the_file == []
