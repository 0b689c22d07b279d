"""Anthropic's prompt cache: what a call wrote is billed for as long as it is kept, or flagged where nobody tells."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, MessageRole, TextBlock
from llm_suite import text_of, user

from llama_index_tuppence import SpendEventHandler, TuppenceLLM
from llama_index_tuppence.cache_writes import only_lifetime
from tuppence.prices import PriceBook
from tuppence.testing import ProviderServer, Turn
from tuppence.usage import read_usage

CLAUDE = "claude-haiku-4-5"
HOUR = {"type": "ephemeral", "ttl": "1h"}


def wrote(*, for_5m: int, for_1h: int, **usage: Any) -> Turn:
    """An answer whose prompt went into the cache, split as Anthropic's own API splits it."""
    split = {"ephemeral_5m_input_tokens": for_5m, "ephemeral_1h_input_tokens": for_1h}
    return Turn("Yes, it is.", cache_write_tokens=for_5m + for_1h, usage={"cache_creation": split, **usage})


def wrote_unsplit(tokens: int) -> Turn:
    """An answer of a platform that counts the writes and does not split them."""
    return Turn("Yes, it is.", cache_write_tokens=tokens, usage={"cache_creation": None})


def keep(text: str, lifetime: str) -> ChatMessage:
    """A message up to which the prompt is to be cached."""
    point = CachePoint(cache_control=CacheControl(type="ephemeral", ttl=lifetime))
    return ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text=text), point])


def billed(provider: ProviderServer) -> int:
    """What the provider's log comes to in pico-USD."""
    rate = PriceBook.default().rate(CLAUDE)
    assert rate is not None
    return sum(rate.cost(read_usage("messages", one.usage)) or 0 for one in provider.served)


@pytest.fixture
def spent(attach: Any) -> SpendEventHandler:
    handler: SpendEventHandler = attach(SpendEventHandler())
    return handler


@pytest.fixture
def llm(make_claude: Any) -> TuppenceLLM:
    return TuppenceLLM([make_claude()], ledger=False)


async def test_every_way_to_stream_is_billed_exactly(
    llm: TuppenceLLM, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """LlamaIndex drops the event that splits the writes; a tier's bill has them apart all the same."""
    provider.model(CLAUDE, replies=wrote(for_5m=100, for_1h=2000))
    list(llm.stream_chat([user("Hello")]))
    [_ async for _ in await llm.astream_chat([user("Hello")])]
    list(llm.stream_complete("Hello"))
    [_ async for _ in await llm.astream_complete("Hello")]
    assert [(a.usage.cache_write_5m, a.usage.cache_write_1h) for a in spent.attempts] == [(100, 2000)] * 4
    assert {a.status for a in spent.attempts} == {"exact"}
    assert spent.pico_usd == billed(provider)


def test_streams_at_the_same_time_do_not_mix(llm: TuppenceLLM, provider: ProviderServer, attach: Any) -> None:
    """Each stream has its own count: read in turns, and read by many threads."""
    provider.model(CLAUDE, replies=[wrote(for_5m=n, for_1h=1000 - n) for n in range(12)])
    spent = attach(SpendEventHandler())
    first, second = llm.stream_chat([user("Hello")]), llm.stream_chat([user("Hello")])
    next(first), next(second)
    assert text_of([*second, *first])
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: list(llm.stream_chat([user("Hello")])), range(10)))
    assert sorted((a.usage.cache_write_5m, a.usage.cache_write_1h) for a in spent.attempts) == [
        (n, 1000 - n) for n in range(12)
    ]
    assert spent.pico_usd == billed(provider)


def test_what_else_only_the_first_event_says_is_kept(
    llm: TuppenceLLM, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """A priority call has no list price: streamed, too, it is unpriced and not billed as an ordinary one."""
    provider.model(CLAUDE, replies=Turn("Yes.", usage={"service_tier": "priority"}))
    llm.chat([user("Hello")])
    list(llm.stream_chat([user("Hello")]))
    assert [(a.usage.processing, a.status) for a in spent.attempts] == [("priority", "unpriced")] * 2


async def test_one_lifetime_asked_for_is_that_of_all_writes(
    llm: TuppenceLLM, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """A platform that does not split the writes wrote what the request asked for."""
    provider.model(CLAUDE, replies=wrote_unsplit(500))
    history = [keep("A long prefix", "1h"), keep("and more", "1h")]
    llm.chat(history)
    await llm.achat(history)
    list(llm.stream_chat(history))
    [_ async for _ in await llm.astream_chat(history)]
    list(llm.stream_chat([keep("A long prefix", "5m")]))
    assert [(a.usage.cache_write_5m, a.usage.cache_write_1h) for a in spent.attempts] == [(0, 500)] * 4 + [(500, 0)]
    assert {a.status for a in spent.attempts} == {"exact"}


@pytest.mark.parametrize("history", [[keep("One", "1h"), keep("two", "5m")], [user("Hello")]], ids=["both", "none"])
async def test_untold_writes_of_a_tier_are_estimated(
    history: list[ChatMessage], llm: TuppenceLLM, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """Where neither answer nor request tells one lifetime, the payload's own counts are billed, and flagged."""
    provider.model(CLAUDE, replies=wrote_unsplit(500))
    list(llm.stream_chat(history))
    [_ async for _ in await llm.astream_chat(history)]
    llm.chat(history)
    await llm.achat(history)
    assert {a.status for a in spent.attempts} == {"estimated"}
    assert [a.usage for a in spent.attempts] == [read_usage("messages", one.usage) for one in provider.served]
    assert {a.usage.cache_write_5m for a in spent.attempts} == {500}
    assert spent.pico_usd == billed(provider)


def half_split() -> Turn:
    """An answer that goes on to write to the cache after it has split what it wrote at first."""
    first = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0}
    return Turn("Yes, it is.", cache_write_tokens=300, usage={"cache_creation": first})


@pytest.mark.parametrize(
    ("history", "status", "kept"),
    [([user("Hello")], "estimated", (300, 0)), ([keep("A prefix", "1h")], "exact", (100, 200))],
    ids=["nothing asked", "an hour asked"],
)
def test_writes_that_a_split_leaves_out(
    history: list[ChatMessage], status: str, kept: tuple[int, int], llm: TuppenceLLM, provider: ProviderServer,
    spent: SpendEventHandler,
) -> None:  # fmt: skip
    """What comes after the split has the lifetime that the request names, or a flagged price."""
    provider.model(CLAUDE, replies=half_split())
    list(llm.stream_chat(history))
    llm.chat(history)
    assert [a.status for a in spent.attempts] == [status] * 2
    assert [(a.usage.cache_write_5m, a.usage.cache_write_1h) for a in spent.attempts] == [kept] * 2


def test_a_count_that_is_none_does_not_break_the_answer(
    llm: TuppenceLLM, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """A gateway that counts in words is billed by an estimate of the text; the user has the answer."""
    provider.model(CLAUDE, replies=Turn("Yes.", usage={"cache_creation_input_tokens": "many", "cache_creation": None}))
    assert text_of(list(llm.stream_chat([keep("A long prefix", "1h")]))) == "Yes."
    assert [a.status for a in spent.attempts] == ["estimated"]


@pytest.mark.parametrize(("lifetime", "kept"), [("1h", (0, 500)), ("5m", (500, 0))])
def test_a_watched_stream_is_an_estimate_by_its_messages(
    lifetime: str, kept: tuple[int, int], make_claude: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """Nobody sees the first event of a model that is only watched: the messages tell, and the price is flagged."""
    provider.model(CLAUDE, replies=Turn("Yes.", cache_write_tokens=500))
    claude = make_claude()
    list(claude.stream_chat([keep("A long prefix", lifetime)]))
    claude.chat([keep("A long prefix", lifetime)])
    assert [a.status for a in spent.attempts] == ["estimated", "exact"]
    assert [(a.usage.cache_write_5m, a.usage.cache_write_1h) for a in spent.attempts] == [kept] * 2
    assert spent.pico_usd == billed(provider)


def test_a_watched_stream_with_both_lifetimes_is_flagged(
    make_claude: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """A mixture is never taken for five minutes in silence."""
    provider.model(CLAUDE, replies=wrote(for_5m=100, for_1h=400))
    list(make_claude().stream_chat([keep("A long prefix", "1h"), keep("and more", "5m")]))
    (attempt,) = spent.attempts
    assert (attempt.status, attempt.usage.input_tokens) == ("estimated", 500)


@pytest.mark.parametrize("retries", [0, 10])
def test_the_users_own_model_is_left_as_it_was(retries: int, make_claude: Any, provider: ProviderServer) -> None:
    """A tier works on copies: the model and its client go on as before, with streams of the SDK's own."""
    provider.model(CLAUDE, replies=wrote(for_5m=1, for_1h=2))
    claude = make_claude(max_retries=retries)
    client, resource = claude._client, claude._client.messages
    list(TuppenceLLM([claude], ledger=False).stream_chat([user("Hello")]))
    assert claude._client is client
    assert client.messages is resource
    usages = [chunk.raw["usage"] for chunk in claude.stream_chat([user("Hello")]) if "usage" in chunk.raw]
    assert [getattr(usage, "cache_creation", None) for usage in usages] == [None]


@pytest.mark.parametrize(
    ("request_", "lifetime"),
    [
        ({"system": [{"type": "text", "text": "x", "cache_control": HOUR}], "messages": []}, "1h"),
        ({"tools": [{"name": "t", "cache_control": HOUR}], "messages": []}, "1h"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "cache_control": {"type": "ephemeral"}}]}]}, "5m"),
        ({"cache_control": {"type": "ephemeral"}, "messages": []}, "5m"),
        ({"tools": [{"name": "t", "cache_control": HOUR}], "cache_control": {"type": "ephemeral"}}, None),
        ({"messages": [{"role": "user", "content": "x"}]}, None),
    ],
)
def test_lifetimes_are_found_wherever_a_request_says_them(request_: Any, lifetime: str | None) -> None:
    """System prompt, tools, messages, the request itself: one lifetime, or none to rely on."""
    assert only_lifetime(request_) == lifetime
