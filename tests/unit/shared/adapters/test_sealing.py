"""Sealing personal data."""

from __future__ import annotations

import base64
import stat
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.sealing import AesGcmSealer
from shared.contracts.sealed import Sealed, SealedPlace
from shared.errors import SealError
from tests.fakes.examples import CANARY

KEY = bytes(range(32))
PLACE = SealedPlace("ten_1", "call_1", "turn_1/pii.caller_text")


@given(st.text(max_size=300))
def test_what_was_sealed_opens_again(text: str) -> None:
    sealer = AesGcmSealer(KEY)
    assert sealer.unseal(sealer.seal(text, PLACE), PLACE) == text


def test_an_envelope_shows_neither_the_text_nor_that_it_is_the_same_text() -> None:
    sealer = AesGcmSealer(KEY)
    first, second = (sealer.seal(CANARY, PLACE) for _ in range(2))
    assert first.ct != second.ct
    assert CANARY.encode() not in base64.b64decode(first.ct)
    assert len(base64.b64decode(first.ct)) == 12 + len(CANARY.encode()) + 16
    assert (first.alg, first.key_id) == ("A256GCM.2", sealer.key_id)


@given(position=st.integers(0, 12 + len(CANARY) + 16 - 1), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(position: int, bit: int) -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(CANARY, PLACE)
    data = bytearray(base64.b64decode(sealed.ct))
    data[position] ^= 1 << bit
    with pytest.raises(SealError):
        sealer.unseal(sealed.model_copy(update={"ct": base64.b64encode(data).decode()}), PLACE)


@pytest.mark.parametrize("ct", ["", "!", "AAAA", "A" * 15, base64.b64encode(bytes(27)).decode(), "é"])
def test_what_is_no_envelope_is_refused(ct: str) -> None:
    sealer = AesGcmSealer(KEY)
    with pytest.raises(SealError):
        sealer.unseal(Sealed.model_construct(key_id=sealer.key_id, ct=ct), PLACE)


def test_the_key_id_is_part_of_what_is_sealed() -> None:
    """The envelope of one key under the other's name: as if a key had been swapped."""
    mine, theirs = AesGcmSealer(KEY), AesGcmSealer(KEY[::-1])
    sealed = theirs.seal(CANARY, PLACE)
    with pytest.raises(SealError, match="another key"):
        mine.unseal(sealed, PLACE)
    with pytest.raises(SealError, match="changed"):
        mine.unseal(sealed.model_copy(update={"key_id": mine.key_id}), PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        SealedPlace("ten_2", "call_1", PLACE.path),
        SealedPlace("ten_1", "call_2", PLACE.path),
        SealedPlace("ten_1", "call_1", "turn_2/pii.caller_text"),
        SealedPlace("ten_1", "call_1", "turn_1/pii.agent_text"),
        SealedPlace("ten_1", 'call_1","turn_1', "pii.caller_text"),
    ],
    ids=["tenant", "call", "turn", "field", "shifted"],
)
def test_an_envelope_opens_in_its_own_place_only(elsewhere: SealedPlace) -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(CANARY, PLACE)
    with pytest.raises(SealError, match="moved") as raised:
        sealer.unseal(sealed, elsewhere)
    assert raised.value.data == {"key_id": sealer.key_id, "path": elsewhere.path}


def test_an_error_holds_nothing_of_the_value_nor_of_its_cause() -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(CANARY, PLACE)
    with pytest.raises(SealError) as raised:
        sealer.unseal(sealed.model_copy(update={"ct": sealed.ct[:-8] + "AAAAAAA="}), PLACE)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    text = "".join(traceback.format_exception(raised.value))
    assert CANARY not in text
    assert sealed.ct[:20] not in text


def test_the_key_does_not_show_in_its_id() -> None:
    key_id = AesGcmSealer(KEY).key_id
    assert key_id.startswith("local-")
    assert KEY[:4].hex() not in key_id
    assert key_id == AesGcmSealer(KEY).key_id != AesGcmSealer(KEY[::-1]).key_id


def test_a_key_file_is_made_once_for_its_owner_only_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    sealed = AesGcmSealer.from_file(path, create=True).seal(CANARY, PLACE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(path.read_text())) == 32
    assert AesGcmSealer.from_file(path, create=True).unseal(sealed, PLACE) == CANARY
    assert AesGcmSealer.from_file(path).unseal(sealed, PLACE) == CANARY
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_of_many_that_make_the_key_file_at_once_all_get_the_same_key(tmp_path: Path) -> None:
    start, found = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        found.append(AesGcmSealer.from_file(tmp_path / "key", create=True).key_id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_missing_key_file_is_told_of_and_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="can't be read") as raised:
        AesGcmSealer.from_file(tmp_path / "key")
    assert "PARLEY_SEALING_KEY_FILE" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"not base64 at all!", base64.b64encode(bytes(31)), b"\xff" * 32, b"A" * 100_000]
)
def test_a_file_that_holds_no_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SealError, match="32 bytes") as raised:
        AesGcmSealer.from_file(path)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(SealError):
        AesGcmSealer(key)
