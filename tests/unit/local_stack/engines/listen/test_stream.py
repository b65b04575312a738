"""What was read from a socket waits its turn, within bounds."""

from __future__ import annotations

import asyncio

import pytest

from local_stack.engines.listen.stream import Inbox, Sign, parse_message


async def test_what_was_read_comes_out_in_order() -> None:
    inbox = Inbox()
    await inbox.put(b"audio")
    inbox.sign(Sign.NEWS)
    await inbox.put("text")

    assert [await inbox.get() for _ in range(3)] == [b"audio", Sign.NEWS, "text"]


async def test_signs_do_not_pile_up() -> None:
    inbox = Inbox()
    for _ in range(1000):
        inbox.sign(Sign.NEWS)
    inbox.sign(Sign.END)

    assert [await inbox.get() for _ in range(2)] == [Sign.NEWS, Sign.END]


@pytest.mark.parametrize("message", [b"", bytes(100_000)])
async def test_a_reader_waits_while_too_much_waits_even_of_empty_messages(message: bytes) -> None:
    inbox = Inbox()
    put = 0

    async def read() -> None:
        nonlocal put
        while put < 100_000:
            await inbox.put(message)
            put += 1

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    waiting = put
    for _ in range(10):
        await inbox.get()
    await asyncio.sleep(0)
    reader.cancel()

    assert waiting < 20_000
    assert waiting < put <= waiting + 10


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"type": null}', "[" * 50_000, "{" * 70_000])
def test_a_text_that_is_no_message_is_none(text: str) -> None:
    assert parse_message(text) is None


def test_a_message_has_a_type() -> None:
    assert parse_message('{"type": "KeepAlive"}') == {"type": "KeepAlive"}
