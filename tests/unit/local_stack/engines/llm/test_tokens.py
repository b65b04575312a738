from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_stack.engines.llm.prompt_cache import BLOCK_TOKENS, KEPT_S, MIN_TOKENS, PromptCache
from local_stack.engines.llm.tokens import count_tokens, prompt_tokens, split_tokens

PROSE = (
    "Thank you for calling our dental practice. We are open from Monday to Friday between nine in the morning and "
    "five in the afternoon, and the nearest parking is behind the building. Would you like to book an appointment?"
)


def test_english_prose_has_about_four_characters_a_token() -> None:
    assert 0.8 < len(PROSE) / 4 / count_tokens(PROSE) < 1.25


@given(st.text())
def test_the_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


def test_requests_that_begin_alike_have_tokens_that_begin_alike() -> None:
    first = [{"role": "system", "content": PROSE}, {"role": "user", "content": "hello"}]
    one, two = prompt_tokens(first), prompt_tokens([*first, {"role": "assistant", "content": "Hi"}])
    assert one[:-3] == two[: len(one) - 3]


def test_tools_and_tool_calls_count() -> None:
    plain = [{"role": "user", "content": "hi"}]
    assert len(prompt_tokens(plain, [{"type": "function"}])) > len(prompt_tokens(plain))
    called = [*plain, {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}]
    assert len(prompt_tokens(called)) > len(prompt_tokens(plain)) + 3


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def words(count: int, prefix: str = "w") -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def test_a_repeated_prompt_is_cached_in_whole_blocks() -> None:
    cache = PromptCache(Clock())
    assert cache.match("key", words(1300)) == 0
    assert cache.match("key", words(1300)) == 1280
    assert cache.match("key", [*words(1300), *words(500, "x")]) == 1280


def test_only_the_common_beginning_is_cached() -> None:
    cache = PromptCache(Clock())
    cache.match("key", words(3000))
    assert cache.match("key", [*words(1500), *words(1500, "x")]) == 1408
    assert cache.match("key", [*words(900), *words(2000, "y")]) == 0


def test_short_prompts_are_never_cached() -> None:
    cache = PromptCache(Clock())
    assert [cache.match("key", words(MIN_TOKENS - 1)) for _ in range(2)] == [0, 0]
    assert [cache.match("key", words(MIN_TOKENS)) for _ in range(2)] == [0, MIN_TOKENS]


def test_owners_do_not_share() -> None:
    cache = PromptCache(Clock())
    cache.match("one", words(2000))
    assert cache.match("two", words(2000)) == 0


def test_an_unused_prefix_is_forgotten() -> None:
    clock = Clock()
    cache = PromptCache(clock)
    cache.match("key", words(2000))
    clock.now = KEPT_S - 1
    assert cache.match("key", words(2000)) == 1920
    clock.now += KEPT_S + 1
    assert cache.match("key", words(2000)) == 0


def test_the_cache_is_bounded() -> None:
    cache = PromptCache(Clock(), max_prefixes=4)
    cache.match("key", words(MIN_TOKENS + 3 * BLOCK_TOKENS))
    cache.match("key", words(MIN_TOKENS, "x"))
    assert cache.match("key", words(MIN_TOKENS, "w")) == 0
    assert cache.match("key", words(MIN_TOKENS, "x")) == MIN_TOKENS
