"""Words that no dictionary has get a pronunciation that the acoustic model knows."""

from __future__ import annotations

import pytest

from local_stack.engines.listen.language.g2p import (
    AMERICAN,
    MODERN_BRITISH,
    RECEIVED_PRONUNCIATION,
    Accent,
    PronunciationError,
    arpabet_from_ipa,
    pronounce,
)
from local_stack.engines.listen.language.pronunciations import (
    cmu_dictionary,
    inflections,
    pronunciations,
    starts_with_vowel,
)

ACCENTS = (AMERICAN, RECEIVED_PRONUNCIATION, MODERN_BRITISH)
PHONES = {phone for ways in cmu_dictionary().values() for way in ways for phone in way.split()}


COMMON = "yes dentist pizza cheese friday seven thirty name book cleaning street johnson judge vision thing"


@pytest.mark.parametrize("word", COMMON.split())
def test_common_words_are_read_as_the_dictionary_has_them(word: str) -> None:
    assert " ".join(pronounce(word)) in cmu_dictionary()[word]


@pytest.mark.parametrize("accent", ACCENTS, ids=lambda accent: accent.voice)
@pytest.mark.parametrize("word", ["margherita", "toothache", "priya", "o'brien", "zxqw", "p.m.", "x"])
def test_every_accent_reads_any_word_in_the_models_phones(word: str, accent: Accent) -> None:
    phones = pronounce(word, accent)

    assert phones
    assert set(phones) <= PHONES


def test_accents_differ_where_speakers_do() -> None:
    assert pronounce("car", AMERICAN)[-1] == "R"
    assert pronounce("car", RECEIVED_PRONUNCIATION)[-1] != "R"
    assert "AO" in pronounce("hot", MODERN_BRITISH)


def test_reading_one_accent_leaves_nothing_behind_for_the_next() -> None:
    alone = pronounce("bath")
    pronounce("bath", RECEIVED_PRONUNCIATION)

    assert pronounce("bath") == alone


def test_ipa_marks_that_the_phone_set_lacks_are_skipped() -> None:
    assert arpabet_from_ipa("h_ə_l_ˈoʊ") == ["HH", "AH", "L", "OW"]
    assert arpabet_from_ipa("ʘǃ") == []
    assert arpabet_from_ipa("") == []


def test_a_word_without_a_sound_has_no_phones() -> None:
    assert pronounce("") == []


def test_an_accent_that_espeak_lacks_is_an_error() -> None:
    with pytest.raises(PronunciationError, match="no voice xx-none"):
        pronounce("yes", Accent("xx-none", {}))


def test_the_dictionarys_ways_come_first_and_each_way_comes_once() -> None:
    ways = pronunciations("tomato")

    assert ways[: len(cmu_dictionary()["tomato"])] == cmu_dictionary()["tomato"]
    assert len(set(ways)) == len(ways)


@pytest.mark.parametrize(
    ("word", "vowel"), [("apple", True), ("hour", True), ("x", True), ("pizza", False), ("unit", False)]
)
def test_the_sound_decides_about_a_and_an_not_the_letter(word: str, vowel: bool) -> None:
    assert starts_with_vowel(word) is vowel


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("filling", ["fillings"]),
        ("cleaning", []),
        ("pizzas", ["pizza"]),
        ("cavities", ["cavity"]),
        ("cavity", ["cavities"]),
        ("boxes", ["box"]),
        ("box", ["boxes"]),
        ("glass", ["glasses"]),
        ("margherita", ["margheritas"]),
        ("it's", []),
        ("p.m.", []),
        ("ox", []),
    ],
)
def test_a_word_brings_its_other_number(word: str, forms: list[str]) -> None:
    assert set(forms) <= set(inflections(word))
    assert bool(forms) == bool(inflections(word))
