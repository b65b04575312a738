"""Logs are bounded, and their last line can be quoted."""

from __future__ import annotations

from pathlib import Path

from local_stack.supervisor.logs import BoundedLog, last_line


def test_a_full_log_turns_over_and_keeps_one_older_file(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "stt.log", max_bytes=10)
    for chunk in (b"aaaaaa\n", b"bbbbbb\n", b"cccccc\n"):
        log.write(chunk)
    log.close()
    assert (tmp_path / "stt.log").read_bytes() == b"cccccc\n"
    assert (tmp_path / "stt.log.1").read_bytes() == b"bbbbbb\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_log_begins_anew_with_each_run(tmp_path: Path) -> None:
    path = tmp_path / "stt.log"
    path.write_text("of last week\n")
    path.with_name("stt.log.1").write_text("older still\n")
    BoundedLog(path).close()
    assert path.read_bytes() == b""
    assert not path.with_name("stt.log.1").exists()


def test_the_last_line_that_says_something_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "stt.log"
    path.write_text('first\nTraceback\nOSError: no model\n\n{"event":"ready","port":1}\n')
    assert last_line(path) == "OSError: no model"
    assert last_line(path, max_chars=7) == "OSError"


def test_a_missing_log_quotes_nothing(tmp_path: Path) -> None:
    assert last_line(tmp_path / "none.log") == ""
