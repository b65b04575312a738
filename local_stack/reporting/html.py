"""Self-contained HTML of call reports: one file, no network, nothing of anybody's words as markup.

The policy of a page admits its own style and script by their hashes: were a word ever taken for markup, it could
neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib.resources import files

from local_stack.reporting.call_report import CallReport, ReportSpeech, ReportTool, ReportTurn
from local_stack.reporting.figures import (
    badges,
    barge_in_stops_ms,
    cost,
    in_words,
    longest,
    median,
    milliseconds,
    play_button,
    speak_to_hear_ms,
    tool_names,
)
from local_stack.reporting.latency_chart import latency_chart
from local_stack.reporting.waveform import Recording, clock, waveform
from shared.contracts.turns import TurnKind

__all__ = ["Recording", "call_page", "index_page"]

_LETTERS = re.compile(r"[^\W_]+")


def call_page(report: CallReport, recording: Recording) -> str:
    """The page of one call.

    Args:
        report: what call.json holds.
        recording: embedded as it is; its base64 makes about 85 kB of page for a second.
    """
    body = "".join(
        (
            _heading(report),
            _heard(report, recording),
            latency_chart(report.turns),
            _transcript(report),
            _tools(report),
            _costs(report),
            _events(report),
        )
    )
    return _document(f"Call with {report.tenant}", body, script=_packaged("page.js"))


def index_page(title: str, intro: str, rows: list[tuple[CallReport, str]], notes: list[str]) -> str:
    """The page that leads to several calls.

    Args:
        title: heading.
        intro: one sentence beneath it.
        rows: each call with the relative address of its page.
        notes: further sentences, such as what was booked; one that begins with ✗ stands out.
    """
    head = "".join(
        f"<th scope='col'{css}>{name}</th>"
        for name, css in (
            ("Call", ""),
            ("Ended", ""),
            ("Length", _NUMBER),
            ("Turns", _NUMBER),
            ("Greeting", _NUMBER),
            ("Median speak-to-hear", _NUMBER),
            ("Longest barge-in stop", _NUMBER),
            ("Tools", ""),
            ("Cost", _NUMBER),
        )
    )
    calls = "".join(_index_row(report, address) for report, address in rows)
    items = "".join(f"<li class='{_mood(note)}'>{escape(note)}</li>" for note in notes)
    found = f"<section><h2>What was checked</h2><ul class='findings'>{items}</ul></section>" if notes else ""
    return _document(
        title,
        f"<header><h1>{escape(title)}</h1><p class='soft'>{escape(intro)}</p></header>"
        f"<table class='cards'><thead><tr>{head}</tr></thead><tbody>{calls}</tbody></table>{found}",
    )


_NUMBER = " class='number'"


def _index_row(report: CallReport, address: str) -> str:
    cells = (
        ("Ended", "", in_words(report.end_reason)),
        ("Length", _NUMBER, f"{report.duration_ms / 1000:.1f} s"),
        ("Turns", _NUMBER, str(len(report.turns))),
        ("Greeting", _NUMBER, milliseconds(report.greeting_ms)),
        ("Median speak-to-hear", _NUMBER, milliseconds(median(speak_to_hear_ms(report)))),
        ("Longest barge-in stop", _NUMBER, milliseconds(longest(barge_in_stops_ms(report)))),
        ("Tools", "", tool_names(report)),
        ("Cost", _NUMBER, cost(report)),
    )
    data = "".join(f"<td data-label='{name}'{css}>{escape(value)}</td>" for name, css, value in cells)
    link = f"<a href='{escape(address, quote=True)}'>{escape(report.tenant)}</a>"
    return f"<tr><th scope='row'>{link}</th>{data}</tr>"


def _mood(note: str) -> str:
    return "bad" if note.startswith("✗") else "good" if note.startswith("✓") else "plain"


def _heading(report: CallReport) -> str:
    facts = [
        ("Ended", in_words(report.end_reason)),
        ("Length", f"{report.duration_ms / 1000:.1f} s"),
        ("Turns", str(len(report.turns))),
        ("Greeting heard after", milliseconds(report.greeting_ms)),
        ("Median speak-to-hear", milliseconds(median(speak_to_hear_ms(report)))),
        ("Longest barge-in stop", milliseconds(longest(barge_in_stops_ms(report)))),
        ("Cost", cost(report)),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    error = f"<p class='alarm'>Error: {escape(in_words(report.error_code))}</p>" if report.error_code else ""
    return (
        f"<header><h1>Call with {escape(report.tenant)}</h1><p class='soft'>"
        f"{report.started_at:%d %B %Y %H:%M:%S} UTC · media {escape(report.media)} · "
        f"agent version {report.agent_version_number} · <code>{escape(report.call_id)}</code></p>"
        f"{error}<dl class='facts'>{items}</dl>{_contents(report)}</header>"
    )


def _contents(report: CallReport) -> str:
    """Links to the page's parts: the page of a long call is long."""
    parts = (
        ("heard", "What was heard", True),
        ("waited", "What the caller waited for", bool(report.turns)),
        ("said", "What was said", True),
        ("tools", "Tool calls", bool(report.tools)),
        ("cost", "What it cost", True),
    )
    links = "".join(f"<a href='#{part}'>{name}</a>" for part, name, there in parts if there)
    return f"<nav aria-label='Parts of this page'>{links}</nav>"


def _heard(report: CallReport, recording: Recording) -> str:
    unplaced = [number for number, turn in enumerate(report.turns, 1) if turn.caller_start_s is None]
    missing = (
        f"<p class='soft small'>Not on the picture, for want of an utterance at the caller's end: turn "
        f"{', '.join(map(str, unplaced))}.</p>"
        if unplaced
        else ""
    )
    return (
        "<section id='heard'><h2>What was heard</h2><figure class='wave'><span class='side caller'>caller</span>"
        "<span class='side agent'>agent</span><div class='scroll' tabindex='0' role='region' "
        f"aria-label='Waveform, scrolls sideways'>{waveform(report, recording)}</div></figure>"
        "<audio controls preload='metadata' aria-label='Recording: the caller left, the agent right' "
        f"src='data:audio/wav;base64,{base64.b64encode(recording.wav).decode()}'></audio>"
        "<ul class='legend'><li><i class='turn'></i>a turn of the caller, numbered</li>"
        "<li><i class='wait'></i>its wait for the agent</li><li>click into the picture to move there</li>"
        f"</ul>{missing}</section>"
    )


def _transcript(report: CallReport) -> str:
    numbers = {turn.turn_id: number for number, turn in enumerate(report.turns, 1)}
    parts = [
        _exchange(speech, numbers[speech.turn_id])
        if isinstance(speech, ReportTurn)
        else _bubble("answered", _who(speech), speech.agent_text, badges(speech))
        for speech in report.in_order()
    ]
    return f"<section id='said'><h2>What was said</h2><div class='chat'>{''.join(parts)}</div></section>"


def _who(speech: ReportSpeech) -> str:
    return "Agent, greeting" if speech.kind is TurnKind.GREETING else "Agent"


def _exchange(turn: ReportTurn, number: int) -> str:
    label = f"Turn {number}"
    if turn.caller_start_s is not None:
        label += f", {clock(turn.caller_start_s)}"
    given = ""
    if turn.spoken_text is not None and _words(turn.spoken_text) != _words(turn.caller_text):
        given = f"<span class='soft small given'>was given to say: {escape(turn.spoken_text)}</span>"
    agent = _bubble("answered", "Agent", turn.agent_text, badges(turn))
    return (
        f"<div class='bubble said'><span class='who'>Caller · {play_button(turn, label)}</span>"
        f"<p dir='auto'>{_words_or_none(turn.caller_text)}</p>{given}</div>{agent}"
    )


def _bubble(css: str, who: str, text: str, extra: str) -> str:
    return (
        f"<div class='bubble {css}'><span class='who'>{who}{extra}</span>"
        f"<p dir='auto'>{_words_or_none(text)}</p></div>"
    )


def _words_or_none(text: str) -> str:
    return escape(text) if text.strip() else "<span class='soft'>(nothing)</span>"


def _words(text: str) -> list[str]:
    return _LETTERS.findall(text.casefold().replace("'", "").replace("’", ""))


def _tools(report: CallReport) -> str:
    if not report.tools:
        return ""
    numbers = {turn.turn_id: f"turn {number}" for number, turn in enumerate(report.turns, 1)}
    items = "".join(_tool(tool, numbers.get(tool.turn_id, "between turns")) for tool in report.tools)
    return f"<section id='tools'><h2>Tool calls</h2><ul class='tools'>{items}</ul></section>"


def _tool(tool: ReportTool, where: str) -> str:
    outcome = "<span class='badge'>ok</span>"
    if not tool.ok:
        outcome = f"<span class='badge bad'>failed: {escape(in_words(tool.error_code or 'unknown'))}</span>"
    arguments = json.dumps(tool.arguments, ensure_ascii=False)
    return (
        f"<li><div><b><code>{escape(tool.name)}</code></b> <span class='soft'>{where}, "
        f"{tool.duration_ms:.0f} ms</span> {outcome}</div>"
        f"<dl><dt>given</dt><dd><pre>{escape(arguments)}</pre></dd>"
        f"<dt>came back</dt><dd><pre>{escape(tool.result or '(nothing)')}</pre></dd></dl></li>"
    )


def _costs(report: CallReport) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(line.provider)} {escape(line.sku)}</th>"
        f"<td data-label='Quantity' class='number'>{line.quantity:f}</td>"
        f"<td data-label='Unit'>{escape(in_words(line.unit))}{' (estimated)' if line.estimated else ''}</td>"
        f"<td data-label='Unit price, USD' class='number'>{line.unit_price_usd:f}</td>"
        f"<td data-label='Amount, USD' class='number'>{line.amount_usd:f}</td>"
        f"<td data-label='Price'><code>{escape(line.price_id)}</code></td></tr>"
        for line in report.usage
    )
    unpriced = (
        f"<p class='alarm'>The sum is incomplete. Not priced: {escape(', '.join(report.unpriced))}</p>"
        if report.unpriced
        else ""
    )
    return (
        "<section id='cost'><h2>What it cost</h2><table class='cards'><thead><tr><th scope='col'>Item</th>"
        "<th scope='col' class='number'>Quantity</th><th scope='col'>Unit</th>"
        "<th scope='col' class='number'>Unit price, USD</th><th scope='col' class='number'>Amount, USD</th>"
        f"<th scope='col'>Price</th></tr></thead><tbody>{rows}</tbody><tfoot><tr><th scope='row' colspan='4'>"
        f"Sum, USD</th><td class='number sum'>{report.cost_usd:f}</td><td></td></tr></tfoot></table>"
        f"{unpriced}<p class='soft small'>Price catalogue <code>{escape(report.price_catalogue)}</code>. "
        "Amounts are exact; rounding is for the invoice.</p></section>"
    )


def _events(report: CallReport) -> str:
    counts = ", ".join(f"{count} on {topic}" for topic, count in report.events.items())
    return f"<footer class='soft small'>Made from the call's events: {escape(counts)}.</footer>"


@cache
def _packaged(name: str) -> str:
    return files("local_stack.reporting").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """A source expression for exactly this inline text (Content Security Policy Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _document(title: str, body: str, script: str = "") -> str:
    css = _packaged("page.css")
    runs = _hash(script) if script else "'none'"
    policy = (
        f"default-src 'none'; style-src {_hash(css)}; script-src {runs}; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    program = f"<script>{script}</script>" if script else ""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{escape(title)} – Parley</title><style>{css}</style></head>"
        f"<body><main>{body}</main>{program}</body></html>\n"
    )
