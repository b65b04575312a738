"""The spill: records on disk."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.event_spill import (
    PARKED_SUFFIX,
    SPILL_SUFFIX,
    OutgoingRecord,
    Spill,
    from_line,
    to_line,
)
from shared.names import MAX_EVENT_BYTES

MANY = {"max_records": 1000, "max_bytes": 1 << 30}


def record(number: int, *, size: int = 10, key: str = "k") -> OutgoingRecord:
    value = json.dumps({"n": number, "fill": "x" * size}).encode()
    return OutgoingRecord(topic="t", key=key, value=value, headers=(("ce_id", str(number)),))


def open_spill(folder: Path, *, max_bytes: int = 1 << 20, segment_bytes: int = 1 << 20) -> Spill:
    return Spill(folder, max_bytes=max_bytes, segment_bytes=segment_bytes)


def drain(spill: Spill) -> list[OutgoingRecord]:
    found = []
    while batch := spill.next_batch(**MANY):
        found += batch
        spill.release()
    return found


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


@given(
    st.builds(
        OutgoingRecord,
        topic=st.text(min_size=1, max_size=20),
        key=st.text(max_size=20),
        value=st.text(max_size=200).map(str.encode),
        headers=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4).map(tuple),
    )
)
def test_any_record_comes_back_from_its_line(any_record: OutgoingRecord) -> None:
    line = to_line(any_record)
    assert line.index(b"\n") == len(line) - 1
    assert from_line(line) == any_record


@given(st.binary(max_size=200))
def test_garbage_is_never_taken_for_a_record(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="record"):
        from_line(garbage)


def test_records_come_back_in_order_and_leave_nothing_behind(tmp_path: Path) -> None:
    spill = open_spill(tmp_path)
    records = [record(number) for number in range(20)]
    assert spill.append(records[:7]) == 7
    assert spill.append(records[7:]) == 13
    assert drain(spill) == records
    assert spill.empty
    assert spill.size_bytes == 0
    assert files(tmp_path, "") == []


def test_space_comes_back_segment_by_segment(tmp_path: Path) -> None:
    spill = open_spill(tmp_path, segment_bytes=300)
    for number in range(10):
        spill.append([record(number)])
    segments = len(files(tmp_path, SPILL_SUFFIX))
    assert segments > 2
    before = spill.size_bytes
    assert spill.next_batch(**MANY)
    assert spill.size_bytes == before
    spill.release()
    assert 0 < spill.size_bytes < before
    assert len(files(tmp_path, SPILL_SUFFIX)) == segments - 1


def test_a_batch_keeps_to_its_bounds_but_holds_at_least_one(tmp_path: Path) -> None:
    spill = open_spill(tmp_path)
    spill.append([record(number, size=1000) for number in range(5)])
    assert len(spill.next_batch(max_records=2, max_bytes=1 << 30)) == 2
    assert len(spill.next_batch(max_records=9, max_bytes=1)) == 1


def test_what_does_not_fit_is_not_taken_and_what_fits_is(tmp_path: Path) -> None:
    spill = open_spill(tmp_path, max_bytes=1000)
    taken = spill.append([record(number) for number in range(50)])
    assert 0 < taken < 50
    assert spill.size_bytes <= 1000
    assert spill.append([record(99)]) == 0
    assert len(drain(spill)) == taken
    assert spill.append([record(99)]) == 1


def test_the_next_process_takes_over_what_a_dead_one_left_in_order(tmp_path: Path) -> None:
    first = open_spill(tmp_path, segment_bytes=200)
    for number in range(6):
        first.append([record(number)])
    first.close()
    second = open_spill(tmp_path)
    second.append([record(6)])
    assert drain(second) == [record(number) for number in range(7)]
    assert files(tmp_path, SPILL_SUFFIX) == []


def test_what_a_living_process_holds_is_left_alone(tmp_path: Path) -> None:
    first = open_spill(tmp_path)
    first.append([record(1)])
    second = open_spill(tmp_path)
    assert second.empty
    assert drain(first) == [record(1)]


def test_only_what_was_not_delivered_in_a_segment_is_left_to_the_next(tmp_path: Path) -> None:
    first = open_spill(tmp_path, segment_bytes=200)
    for number in range(6):
        first.append([record(number)])
    delivered = first.next_batch(**MANY)
    first.release()
    first.next_batch(**MANY)  # read, but never delivered
    first.close()
    assert drain(open_spill(tmp_path)) == [record(number) for number in range(len(delivered), 6)]


def test_a_torn_last_line_is_set_aside_and_the_rest_is_sent(tmp_path: Path) -> None:
    first = open_spill(tmp_path)
    first.append([record(1), record(2)])
    first.close()
    (segment,) = files(tmp_path, SPILL_SUFFIX)
    os.truncate(segment, segment.stat().st_size - 5)
    second = open_spill(tmp_path)
    assert drain(second) == [record(1)]
    assert second.parked_lines == 1
    (parked,) = files(tmp_path, PARKED_SUFFIX)
    entry = json.loads(parked.read_text())
    assert base64.b64decode(entry["line"]) == to_line(record(2))[:-5]
    assert entry["reason"] == "not a record"


@pytest.mark.parametrize(
    "poison",
    [
        b"\n",
        b"garbage\n",
        b"\xff\xfe\x00\n",
        b"[]\n",
        b'{"topic":"","key":"k","headers":[],"value":"{}"}\n',
        b'{"topic":"t","key":7,"headers":[],"value":"{}"}\n',
        b'{"topic":"t","key":"k","headers":[["a"]],"value":"{}"}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (5 * MAX_EVENT_BYTES) + b"\n",
    ],
    ids=lambda poison: f"{poison[:12]!r}-{len(poison)}",
)
def test_a_poison_line_is_parked_and_its_neighbours_are_sent(tmp_path: Path, poison: bytes) -> None:
    (tmp_path / f"left{SPILL_SUFFIX}").write_bytes(to_line(record(1)) + poison + to_line(record(2)))
    spill = Spill(tmp_path, max_bytes=1 << 26)
    assert drain(spill) == [record(1), record(2)]
    (parked,) = files(tmp_path, PARKED_SUFFIX)
    lines = [base64.b64decode(json.loads(line)["line"]) for line in parked.read_text().splitlines()]
    assert b"".join(lines) == poison


def test_parked_bytes_count_towards_the_bound_and_survive(tmp_path: Path) -> None:
    spill = open_spill(tmp_path, max_bytes=1000)
    assert spill.park(b"x" * 300, "why")
    assert not spill.park(b"x" * 600, "why")
    assert open_spill(tmp_path, max_bytes=1000).size_bytes == spill.size_bytes > 300


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "spill"
    spill = open_spill(folder)
    spill.append([record(1)])
    spill.park(b"x", "why")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(to_line(record(1)))
    folder = tmp_path / "spill"
    folder.mkdir()
    (folder / f"link{SPILL_SUFFIX}").symlink_to(outside)
    assert open_spill(folder).empty


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(OSError, match="exists"):
        open_spill(path)
