"""Models with keyterms: shared by who asks for the same, bounded, and never given to anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from local_stack.engines.listen.decoder_protocol import GENERAL, KeytermEntry
from local_stack.engines.listen.keyterm_models import (
    MOST_PLACES,
    KeytermKey,
    KeytermModels,
    TooManyKeytermModelsError,
    base_model,
)
from local_stack.engines.listen.language_source import Language, LanguageError
from local_stack.engines.listen.model_lease import ModelLease

ROOMS = Language(arpa="", dictionary="", keyterms=("Mountain View",))


async def never(_: Sequence[str]) -> list[KeytermEntry]:
    await asyncio.Event().wait()
    return []


async def refuse(_: Sequence[str]) -> list[KeytermEntry]:
    raise LanguageError("espeak-ng can't be started")


@pytest.fixture
async def models() -> AsyncIterator[KeytermModels]:
    """That are never ready: no process is started."""
    models = KeytermModels(never)
    yield models
    await models.close()


def rooms(*keyterms: str) -> KeytermKey:
    return KeytermKey("rooms", ROOMS, keyterms)


def general(*keyterms: str) -> KeytermKey:
    return KeytermKey(GENERAL, None, keyterms)


def language_of(agent_id: str | None) -> tuple[str, Language | None]:
    return ("rooms", ROOMS) if agent_id == "rooms" else (GENERAL, None)


async def test_the_same_keyterms_share_a_model_and_others_do_not(models: KeytermModels) -> None:
    one, same, other = models.take(rooms("a")), models.take(rooms("a")), models.take(rooms("b"))

    assert one is same
    assert one.name != other.name
    assert base_model(one.name) == base_model(other.name) == "rooms"
    assert models.link_of("rooms") is None


async def test_a_language_that_was_replaced_makes_another_model(models: KeytermModels) -> None:
    newer = Language(arpa="x", dictionary="")

    assert models.take(rooms("a")) is not models.take(KeytermKey("rooms", newer, ("a",)))


async def test_there_is_no_room_for_one_more_while_all_are_used(models: KeytermModels) -> None:
    taken = [models.take(rooms(str(number))) for number in range(MOST_PLACES)]
    with pytest.raises(TooManyKeytermModelsError):
        models.take(rooms("more"))
    models.give_back(taken[3])

    assert models.take(rooms("more"))
    assert models.take(rooms("0")) is taken[0]
    with pytest.raises(TooManyKeytermModelsError):
        models.take(rooms("3"))


async def test_the_model_unused_for_longest_makes_room(models: KeytermModels) -> None:
    first = models.take(rooms("first"))
    models.give_back(first)
    second = models.take(rooms("second"))
    models.give_back(second)
    models.give_back(models.take(rooms("first")))
    for number in range(MOST_PLACES - 1):
        models.take(rooms(str(number)))

    assert models.take(rooms("first")) is first


async def test_a_model_of_the_general_language_takes_the_room_of_four(models: KeytermModels) -> None:
    for number in range(MOST_PLACES // 4):
        models.take(general(str(number)))

    with pytest.raises(TooManyKeytermModelsError):
        models.take(rooms("a"))


async def test_the_agents_own_keyterms_need_no_model(models: KeytermModels) -> None:
    with ModelLease(language_of, models, "rooms", ["mountain  VIEW", " "]) as lease:
        assert await lease.model() == "rooms"


async def test_without_an_agent_the_same_keyterms_do(models: KeytermModels) -> None:
    for number in range(MOST_PLACES // 4):
        models.take(general(str(number)))

    with pytest.raises(TooManyKeytermModelsError):
        ModelLease(language_of, models, None, ["Mountain View"])


async def test_a_stream_follows_its_agents_language_when_it_comes_later(models: KeytermModels) -> None:
    published: list[Language] = []
    with ModelLease(
        lambda _: ("rooms", published[0]) if published else (GENERAL, None),
        models,
        "rooms",
        ["Mountain View"],
    ) as lease:
        held = models.take(general("mountain view"))
        assert held.users == 2
        published.append(ROOMS)

        assert await lease.model() == "rooms"
        assert held.users == 1


async def test_a_lease_gives_its_model_back_once(models: KeytermModels) -> None:
    lease = ModelLease(language_of, models, "rooms", ["Zelvorix"])
    model = models.take(rooms("zelvorix"))
    assert model.users == 2
    lease.close()
    lease.close()

    assert model.users == 1


async def test_keyterms_that_there_is_no_room_for_leave_those_before(models: KeytermModels) -> None:
    lease = ModelLease(language_of, models, "rooms", ["Zelvorix"])
    for number in range(MOST_PLACES - 1):
        models.take(rooms(str(number)))
    with pytest.raises(TooManyKeytermModelsError):
        lease.change_keyterms(["more"])

    assert models.take(rooms("zelvorix")).users == 2


async def test_a_stream_goes_on_without_keyterms_that_cannot_be_added() -> None:
    models = KeytermModels(refuse)
    with ModelLease(language_of, models, "rooms", ["Zelvorix"]) as lease:
        assert await lease.model() == "rooms"
    await models.close()
