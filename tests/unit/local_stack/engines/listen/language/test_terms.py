"""What callers may name is found in what the owner publishes."""

from __future__ import annotations

from local_stack.engines.listen.language.terms import find_terms


def found(*sentences: str, keyterms: tuple[str, ...] = ()) -> tuple[set[str], list[str]]:
    terms = find_terms([s.split() for s in sentences], [k.split() for k in keyterms])
    return {" ".join(thing) for thing in terms.things}, list(terms.topics)


def test_runs_between_function_words_are_things_and_their_words_topics() -> None:
    things, topics = found("we offer root canal treatment and a checkup on monday")

    assert things == {
        "offer root",
        "root canal",
        "canal treatment",
        "checkup",
    }
    assert topics == ["offer", "root", "canal", "treatment", "checkup"]


def test_a_short_sentence_is_a_thing_as_a_whole() -> None:
    things, _ = found("garlic bread with cheese")

    assert things == {"garlic bread with cheese", "garlic bread", "cheese"}


def test_keyterms_come_first_and_bring_their_content_words() -> None:
    terms = find_terms([["pizza"]], [["four", "cheese", "special"], ["the", "works"]])

    assert terms.things == (("four", "cheese", "special"), ("the", "works"), ("pizza",))
    assert terms.topics == ("pizza", "cheese", "special", "works")


def test_terms_are_bounded() -> None:
    terms = find_terms([[f"w{number}"] for number in range(1000)], [])

    assert len(terms.things) == len(terms.topics) == 400
