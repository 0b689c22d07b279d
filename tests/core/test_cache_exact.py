"""Which requests share an answer, which answers are kept, and what comes back."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import ExactCache, MemoryStore, Uncacheable, freeze_reply, thaw_reply, worth_keeping
from tuppence.effects import Hit, Lease
from tuppence.errors import ConfigError, ScopeError
from tuppence.request import Message, Reply, Request, ToolCall
from tuppence.usage import Usage

CALL = ToolCall("c1", "search", '{"q": "tea"}')
TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
USAGE = Usage(input=10, cache_read=3, output=5, calls=(("web_search", 2),), media=(("image_input", 7),))


def ask(text: str = "How much is tea?", **options: Any) -> Request:
    return Request((Message("system", "Be brief."), Message("user", text)), **options)


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


# -- keys

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_object = st.dictionaries(st.text(max_size=3), _json, max_size=3)
_message = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    text=st.text(max_size=4),
    tool_calls=st.lists(
        st.builds(ToolCall, id=st.text(max_size=2), name=st.text(max_size=2), arguments=st.text(max_size=2)),
        max_size=2,
    ).map(tuple),
    extra=_json,
)
_parts = st.fixed_dictionaries(
    {
        "messages": st.lists(_message, min_size=1, max_size=3).map(tuple),
        "params": _object,
        "tools": st.lists(_object, max_size=2).map(tuple),
        "schema": st.none() | _object,
        "scope": st.text(max_size=3),
        "tenant": st.none() | st.text(max_size=3),
    }
)
OPEN = ExactCache(MemoryStore(), tool_turns=True, sampled=True)


def key_of(parts: dict[str, Any]) -> str:
    tags = {} if parts["tenant"] is None else {"tenant": parts["tenant"]}
    request = Request(parts["messages"], parts["params"], parts["tools"], parts["schema"], tags)
    key = OPEN.key(request, parts["scope"])
    assert isinstance(key, str)
    return key


def as_sent(value: Any) -> str:
    """What tells two requests apart: True is not 1 here, as it is not for a provider."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "media"}
        return as_sent(fields)
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{name!r}:{as_sent(inner)}" for name, inner in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_sent, value)) + "]"
    return repr(value)


@given(parts=_parts, other=_parts, part=st.sampled_from(["messages", "params", "tools", "schema", "scope", "tenant"]))
def test_a_change_in_any_part_changes_the_key(parts: dict[str, Any], other: dict[str, Any], part: str) -> None:
    """Messages, parameters, tools, schema, scope, tenant: keys are equal exactly when all of them are."""
    changed = parts | {part: other[part]}
    assert (key_of(parts) == key_of(changed)) == (as_sent(parts) == as_sent(changed))


@given(one=_parts, two=_parts)
def test_unequal_requests_have_unequal_keys(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Nothing can be moved from one part to another and keep the key."""
    assert (key_of(one) == key_of(two)) == (as_sent(one) == as_sent(two))


def backwards(value: Any) -> Any:
    """The same JSON with the names of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: backwards(value[name]) for name in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(parts=_parts)
def test_the_order_of_names_does_not_change_the_key(parts: dict[str, Any]) -> None:
    """A dict is a dict however it was built."""
    turned = parts | {
        "params": backwards(parts["params"]),
        "tools": tuple(map(backwards, parts["tools"])),
        "schema": backwards(parts["schema"]),
        "messages": tuple(dataclasses.replace(m, extra=backwards(m.extra)) for m in parts["messages"]),
    }
    assert key_of(turned) == key_of(parts)


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ({"tenant": "ann"}, {"tenant": "bob"}, False),
        ({"tenant": "ann"}, {}, False),
        ({"tenant": ""}, {}, False),
        ({"tenant": "None"}, {}, False),
        ({"tenant": "ann", "user": "x"}, {"tenant": "ann", "endpoint": "/y"}, True),
        ({"user": "ann"}, {"user": "bob"}, True),
    ],
)
def test_only_the_tenant_among_the_tags_separates(
    cache: ExactCache, one: dict[str, str], two: dict[str, str], shared: bool
) -> None:
    """Two tenants never share an answer; two users of one tenant do."""
    assert (cache.key(ask(tags=one), "s") == cache.key(ask(tags=two), "s")) == shared


@pytest.mark.parametrize("tags", [{}, {"tenant": ""}, {"user": "ann"}])
@pytest.mark.parametrize("options", [{}, {"tools": (TOOL,)}, {"params": {"temperature": 1}}])
def test_a_required_tenant_that_is_missing_fails_closed(tags: dict[str, str], options: dict[str, Any]) -> None:
    """Where a tenant is required, no request without one gets through, cacheable or not."""
    cache = ExactCache(MemoryStore(), require_tenant=True)
    with pytest.raises(ScopeError, match="requires a tenant"):
        cache.key(ask(tags=tags, **options), "s")
    assert isinstance(cache.key(ask(tags={"tenant": "ann"}), "s"), str)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, None),
        ({"temperature": None, "top_p": None, "n": None}, None),
        ({"temperature": 0}, None),
        ({"temperature": 0.0, "top_p": 0.5}, None),
        ({"top_p": 1, "n": 1}, None),
        ({"top_p": 1.0}, None),
        ({"temperature": 0.01}, "temperature=0.01"),
        ({"temperature": 0.7, "seed": 1}, "temperature=0.7"),
        ({"temperature": "0.7"}, "temperature='0.7'"),
        ({"top_p": 0.9}, "top_p=0.9"),
        ({"temperature": 0, "n": 2}, "n=2"),
    ],
)
def test_what_was_asked_to_vary_is_not_cached(params: dict[str, Any], reason: str | None) -> None:
    """Who asks for variety gets it, unless the cache was told otherwise; what is unset was not asked for."""
    key = ExactCache(MemoryStore()).key(ask(params=params), "s")
    assert key == Uncacheable(f"sampled: {reason}") if reason else isinstance(key, str)
    assert isinstance(ExactCache(MemoryStore(), sampled=True).key(ask(params=params), "s"), str)


@pytest.mark.parametrize(
    "request_",
    [
        ask(tools=(TOOL,)),
        Request((Message("user", "tea?"), Message("tool", "2 pence"))),
        Request((Message("user", "tea?"), Message("assistant", "", (CALL,)))),
    ],
    ids=["tools offered", "tool answered", "tool called"],
)
def test_tool_turns_are_not_cached_unless_allowed(request_: Request) -> None:
    """A tool call acts on the world of its moment."""
    assert ExactCache(MemoryStore()).key(request_, "s") == Uncacheable("a tool-calling turn")
    assert isinstance(ExactCache(MemoryStore(), tool_turns=True).key(request_, "s"), str)


class Opaque:
    """Its repr does not tell two of it apart."""

    def __repr__(self) -> str:
        return "Opaque"


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (ask(params={"stop": Opaque()}), "params"),
        (ask(params={"stop": {"a", "b"}}), "params"),
        (ask(params={"logit_bias": {1: 2, "1": 3}}), "params"),
        (ask(schema={"type": Opaque}), "schema"),
        (ask(tools=({"fn": Opaque()},)), "tools"),
        (Request((Message("user", "x", extra=[b"image"]),)), "a message"),
    ],
)
def test_what_is_not_json_has_no_key(request_: Request, part: str) -> None:
    """Two things with one repr would share an answer: such a request is not cached at all."""
    key = ExactCache(MemoryStore(), tool_turns=True).key(request_, "s")
    assert key == Uncacheable(f"{part} with a value that is not JSON")


def test_token_numbers_as_names_are_json(cache: ExactCache) -> None:
    """`logit_bias` is written with numbers by some and with text by others; on the wire it is one."""
    numbers, text = ({"logit_bias": {50256: -100}}, {"logit_bias": {"50256": -100}})
    assert cache.key(ask(params=numbers), "s") == cache.key(ask(params=text), "s")


# -- answers


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
