"""Which answers are kept, and what comes back."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import ExactCache, MemoryStore, freeze_reply, thaw_reply, worth_keeping
from tuppence.effects import Hit, Lease
from tuppence.errors import ConfigError
from tuppence.request import Reply, ToolCall
from tuppence.usage import Usage

CALL = ToolCall("c1", "search", '{"q": "tea"}')
USAGE = Usage(input=10, cache_read=3, output=5, calls=(("web_search", 2),), media=(("image_input", 7),))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def cache(store: MemoryStore) -> Iterator[ExactCache]:
    cache = ExactCache(store)
    yield cache
    cache.close()


def keep(cache: ExactCache, key: str, reply: Reply, **options: Any) -> None:
    """Answer `key` as the first caller would."""
    lease = cache.lookup(key)
    assert isinstance(lease, Lease)
    cache.remember(lease, reply, origin="call-1", **options)


@pytest.mark.parametrize(
    ("reply", "plain", "with_tools"),
    [
        (Reply("2 pence"), True, True),
        (Reply("2 pence", finish="stop"), True, True),
        (Reply("2 pen", finish="length"), False, False),
        (Reply("2 pen", finish="content_filter"), False, False),
        (Reply(""), False, False),
        (Reply("", finish="stop"), False, False),
        (Reply("", (CALL,), finish="tool_calls"), False, True),
        (Reply("", (CALL,), finish="stop"), False, True),
        (Reply("", (CALL,), finish="length"), False, False),
        (Reply("text", finish="tool_calls"), False, True),
    ],
)
def test_only_whole_answers_are_worth_keeping(reply: Reply, plain: bool, with_tools: bool) -> None:
    """An answer that was cut short, filtered or empty is not served twice."""
    assert worth_keeping(reply) == plain
    assert worth_keeping(reply, tool_turns=True) == with_tools


def test_an_answer_is_served_again_with_its_origin(cache: ExactCache) -> None:
    """The second caller gets the first one's reply, told who paid for it."""
    keep(cache, "k", Reply("2 pence", finish="stop", usage=USAGE, model="small-1"))
    hit = cache.lookup("k")
    assert isinstance(hit, Hit)
    assert hit.reply == Reply("2 pence", finish="stop", usage=USAGE, model="small-1")
    assert hit.origin == "call-1"
    assert 0 <= hit.age_s < 60


@pytest.mark.parametrize("is_estimate", [True, False])
def test_an_answer_keeps_what_its_usage_is(cache: ExactCache, is_estimate: bool) -> None:
    """What was a guess when it was bought is no count when it is served again."""
    keep(cache, "k", Reply("2 pence", usage=USAGE, usage_is_estimate=is_estimate))
    hit = cache.lookup("k")
    assert isinstance(hit, Hit)
    assert hit.reply.usage_is_estimate is is_estimate


def test_each_caller_gets_a_reply_of_its_own(cache: ExactCache) -> None:
    """Changing a served reply changes nobody else's."""
    keep(cache, "k", Reply("2 pence"))
    first, second = cache.lookup("k"), cache.lookup("k")
    assert isinstance(first, Hit)
    assert isinstance(second, Hit)
    first.reply.text = "3 pence"
    assert second.reply.text == "2 pence"


def test_a_cut_answer_is_not_served_again(cache: ExactCache) -> None:
    """The rule holds whoever calls `remember`."""
    keep(cache, "k", Reply("2 pen", finish="length"))
    assert isinstance(cache.lookup("k"), Lease)


def test_a_failed_call_leaves_nothing(cache: ExactCache) -> None:
    """A lease closed with None frees the key."""
    lease = cache.lookup("k")
    assert isinstance(lease, Lease)
    cache.remember(lease, None, origin="call-1")
    assert isinstance(cache.lookup("k"), Lease)


def test_answers_expire() -> None:
    """The cache's time to live reaches the store."""
    now = [0.0]
    cache = ExactCache(MemoryStore(clock=lambda: now[0]), ttl_s=10)
    keep(cache, "k", Reply("2 pence"))
    now[0] = 9.0
    hit = cache.lookup("k")
    assert isinstance(hit, Hit)
    assert hit.age_s == 9.0
    now[0] = 10.0
    assert isinstance(cache.lookup("k"), Lease)


def test_an_integration_brings_its_own_form(cache: ExactCache) -> None:
    """`freeze` and `thaw` may keep the native message."""
    keep(cache, "k", Reply("2 pence", native={"id": 7}), freeze=lambda r: [r.text, r.native])
    hit = cache.lookup("k", lambda frozen: Reply(frozen[0], native=frozen[1]))
    assert isinstance(hit, Hit)
    assert hit.reply.native == {"id": 7}


def _raises(_frozen: Any) -> Reply:
    raise RuntimeError("a class that is not importable any more")


GOOD = json.dumps({"v": 1, "origin": "x", "reply": freeze_reply(Reply("2 pence"))}).encode()


@pytest.mark.parametrize(
    ("value", "thaw"),
    [
        (GOOD[:-1], thaw_reply),
        (b"", thaw_reply),
        (b"\xff\x00", thaw_reply),
        (b"[1]", thaw_reply),
        (b"null", thaw_reply),
        (GOOD.replace(b'"v": 1', b'"v": 2'), thaw_reply),
        (GOOD.replace(b'"text"', b'"tixt"'), thaw_reply),
        (GOOD.replace(b'"2 pence"', b"2"), thaw_reply),
        (GOOD.replace(b'"finish": null', b'"finish": "soon"'), thaw_reply),
        (GOOD.replace(b'"usage": null', b'"usage": {"pears": 1}'), thaw_reply),
        (b"[" * 100_000, thaw_reply),
        (GOOD, _raises),
    ],
    ids=range(12),
)
def test_an_entry_that_cannot_be_read_is_a_miss_and_removed(
    cache: ExactCache, store: MemoryStore, value: bytes, thaw: Callable[[Any], Reply]
) -> None:
    """Torn, foreign or of another version: the call goes on as if nothing had been there."""
    store.put("k", value, None)
    assert isinstance(cache.lookup("k", thaw), Lease)
    assert store.get("k") is None


def test_the_entry_of_the_test_above_can_be_read(cache: ExactCache, store: MemoryStore) -> None:
    """Without the damage it is a hit."""
    store.put("k", GOOD, None)
    assert isinstance(cache.lookup("k"), Hit)


_count = st.integers(0, 10**9)
_counts = st.lists(st.tuples(st.text(max_size=5), _count), max_size=2).map(tuple)
_usages = st.none() | st.builds(
    Usage, input=_count, cache_write_1h=_count, output=_count, calls=_counts, media=_counts, geo=st.none() | st.text()
)
_replies = st.builds(
    Reply,
    text=st.text(st.characters(), max_size=20),
    tool_calls=st.lists(st.builds(ToolCall, st.text(), st.text(), st.text()), max_size=2).map(tuple),
    finish=st.sampled_from([None, "stop", "length", "tool_calls", "content_filter"]),
    usage=_usages,
    model=st.none() | st.text(),
)


@given(reply=_replies)
def test_a_reply_survives_freezing(reply: Reply) -> None:
    """Text, calls, finish, usage and model come back equal through JSON."""
    assert thaw_reply(json.loads(json.dumps(freeze_reply(reply)))) == reply


@pytest.mark.parametrize(("option", "value"), [("ttl_s", 0), ("ttl_s", -1), ("wait_s", -0.1)])
def test_settings_that_cannot_work_are_refused(option: str, value: float) -> None:
    """The message names the setting and its value."""
    with pytest.raises(ConfigError, match=f"{option} is {value}"):
        ExactCache(MemoryStore(), **{option: value})
