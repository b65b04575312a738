"""The language of the sample agents: complete, general, readable by the decoder, and bounded."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import pocketsphinx
import pytest

from local_stack.agents import read_agents
from local_stack.demo.scripts import build_scripts
from local_stack.engines.listen.language import agent_language
from local_stack.engines.listen.language.agent_language import (
    AgentLanguage,
    LanguageTooLargeError,
    build_agent_language,
)
from local_stack.engines.listen.language.pronunciations import cmu_dictionary
from local_stack.engines.listen.language.spoken_form import spoken_sentences
from local_stack.engines.listen.language_source import LanguageError, build_language
from local_stack.paths import TENANTS
from shared.domain.agent import AgentConfig

EVERYBODYS = "james elizabeth johnson o'brien thirty o'clock p.m. seven double monday tomorrow twentieth"
SAMPLES = ("dental", "pizza", "rooms")
SMALL_TALK = Path(agent_language.__file__).parent / "small_talk.txt"


@cache
def agent(slug: str) -> AgentConfig:
    return read_agents(TENANTS, business_url="http://127.0.0.1:9").by_slug(slug).version.config


@cache
def language(slug: str) -> AgentLanguage:
    return build_agent_language(agent(slug).published_texts(), agent(slug).keyterms)


@cache
def bare() -> AgentLanguage:
    return build_agent_language([], [])


def dictionary(built: AgentLanguage) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in built.dictionary.splitlines())


def unigrams(built: AgentLanguage) -> dict[str, float]:
    section = built.arpa.split("\\1-grams:\n")[1].split("\n\n")[0]
    return {word: 10 ** float(log10) for log10, word, _ in (line.split() for line in section.splitlines())}


@pytest.mark.parametrize("slug", SAMPLES)
def test_all_that_an_owner_publishes_can_be_said(slug: str) -> None:
    spoken = [s for text in agent(slug).published_texts() for s in spoken_sentences(text)]
    keyterms = [s for keyterm in agent(slug).keyterms for s in spoken_sentences(keyterm)]

    assert keyterms
    assert {word for words in [*spoken, *keyterms] for word in words} <= dictionary(language(slug)).keys()


@pytest.mark.parametrize("slug", SAMPLES)
def test_every_word_of_the_model_has_a_pronunciation_and_the_other_way_round(slug: str) -> None:
    said = unigrams(language(slug)).keys() - {"<s>", "</s>"}

    assert said == {word for word in dictionary(language(slug)) if "(" not in word}
    assert language(slug).words == len(said)


@pytest.mark.parametrize("slug", SAMPLES)
def test_pronunciations_are_in_the_acoustic_models_phones(slug: str) -> None:
    phones = {phone for ways in cmu_dictionary().values() for way in ways for phone in way.split()}

    assert {phone for way in dictionary(language(slug)).values() for phone in way.split()} <= phones


def test_words_that_the_dictionary_lacks_are_told_and_said_all_the_same() -> None:
    built = build_agent_language(["Our Zorbiqua is grilled."], ["Wexlomat"])

    assert {"zorbiqua", "wexlomat"} <= set(built.unknown_words)
    assert {"zorbiqua", "wexlomat"} <= dictionary(built).keys()
    assert "grilled" not in built.unknown_words


def test_names_times_and_numbers_can_be_said_to_every_agent() -> None:
    likely = unigrams(bare())

    for word in EVERYBODYS.split():
        assert likely[word] > 1e-5


def test_an_owners_words_are_in_his_agents_language_only() -> None:
    assert "tiramisu" in dictionary(language("pizza"))
    assert "tiramisu" not in dictionary(language("dental"))
    assert "tiramisu" not in dictionary(bare())


def test_articles_fit_the_next_words_sound() -> None:
    pairs = {
        tuple(line.split()[1:3]) for line in language("dental").arpa.split("\\2-grams:\n")[1].splitlines()
    }

    assert ("an", "appointment") in pairs
    assert ("a", "appointment") not in pairs
    assert ("an", "checkup") not in pairs


def test_the_same_texts_give_the_same_language() -> None:
    texts, keyterms = agent("rooms").published_texts(), agent("rooms").keyterms

    assert build_agent_language(iter(texts), iter(keyterms)) == language("rooms")


@pytest.mark.parametrize("slug", SAMPLES)
def test_the_decoder_reads_model_and_dictionary(slug: str, tmp_path: Path) -> None:
    (tmp_path / "arpa").write_text(language(slug).arpa)
    (tmp_path / "dict").write_text(language(slug).dictionary)
    decoder = pocketsphinx.Decoder(
        hmm=str(Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"),
        lm=str(tmp_path / "arpa"),
        dict=str(tmp_path / "dict"),
        loglevel="FATAL",
    )

    for keyterm in agent(slug).keyterms:
        for words in spoken_sentences(keyterm):
            assert all(decoder.lookup_word(word) for word in words)


def test_small_talk_holds_no_line_of_the_demos_scripts() -> None:
    lines = {line.strip().lower() for line in SMALL_TALK.read_text().splitlines()}
    turns = {
        turn.text.lower() for seed in range(50) for script in build_scripts(seed) for turn in script.turns
    }

    assert not turns & lines


def test_small_talk_knows_none_of_these_words_of_the_sample_agents() -> None:
    small_talk = set(unigrams(bare()))
    own = {
        "checkup",
        "pepperoni",
        "margherita",
        "tiramisu",
        "toothache",
        "whiteboard",
        "vegetarian",
        "dental",
    }

    assert not own & small_talk


def test_a_hostile_text_gives_a_language_all_the_same() -> None:
    built = build_agent_language(
        ["{thing} | [x ( \x00 \ud800 <s> </s> \\end\\ ngram 1=9", "1" * 5000], ["(", "%s"]
    )

    assert {"x", "end", "ngram"} <= dictionary(built).keys()


@pytest.mark.parametrize(
    ("texts", "keyterms"),
    [(["é" * 300_000, "é" * 300_000], []), ([], ["x" * 1_100_000])],
)
def test_more_than_a_megabyte_of_texts_is_refused(texts: list[str], keyterms: list[str]) -> None:
    with pytest.raises(LanguageTooLargeError, match="bytes, more than 1048576") as refusal:
        build_agent_language(texts, keyterms)

    assert refusal.value.code == "language_too_large"


def too_many_words() -> str:
    words = itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=4)
    return " ".join("".join(letters) for letters in itertools.islice(words, 20_100))


def test_more_than_twenty_thousand_words_are_refused() -> None:
    with pytest.raises(LanguageTooLargeError, match="different words, more than 20000"):
        build_agent_language([too_many_words()], [])


async def test_the_building_process_tells_why_it_refused() -> None:
    with pytest.raises(LanguageError, match="different words, more than 20000"):
        await build_language([too_many_words()], [])


async def test_the_building_process_gives_the_same_language() -> None:
    built = await build_language(agent("rooms").published_texts(), agent("rooms").keyterms)

    assert (built.arpa, built.dictionary) == (language("rooms").arpa, language("rooms").dictionary)
