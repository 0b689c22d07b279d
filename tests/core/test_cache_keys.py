"""Which requests share an answer, and which have none to share."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import ExactCache, MemoryStore, Uncacheable
from tuppence.errors import ScopeError
from tuppence.request import Message, Request, ToolCall

CALL = ToolCall("c1", "search", '{"q": "tea"}')
TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}


def ask(text: str = "How much is tea?", **options: Any) -> Request:
    return Request((Message("system", "Be brief."), Message("user", text)), **options)


@pytest.fixture
def cache() -> Iterator[ExactCache]:
    cache = ExactCache(MemoryStore())
    yield cache
    cache.close()


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
