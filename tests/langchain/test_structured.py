"""Structured output: each tier asked and read in its provider's own way, and what does not parse escalates."""

from typing import Any, TypedDict

import openai
import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, Field

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, tier
from tuppence.prices import PriceBook
from tuppence.testing import ProviderServer, Turn

from . import parts


class City(BaseModel):
    """A city and how many live there."""

    name: str
    people: int = Field(ge=0)


class CityDict(TypedDict):
    """A city and how many live there."""

    name: str
    people: int


GOOD = {"name": "Porto", "people": 231800}
JSON_SCHEMA = {"title": "City", "description": "A city.", **City.model_json_schema()}


def answer(kind: str, fields: dict[str, Any], name: str) -> Turn:
    """Say `fields` as a model of this kind would: JSON text from OpenAI, a tool call from Anthropic."""
    return Turn(str(fields).replace("'", '"')) if kind == "openai" else Turn(tool_calls=[(name, fields)])


def model(server: ProviderServer, kind: str, name: str) -> BaseChatModel:
    return parts.openai(server, name) if kind == "openai" else parts.anthropic(server, name)


def llm(server: ProviderServer, small: str, large: str, **options: Any) -> ChatTuppence:
    """Return two tiers of the given providers."""
    tiers = [
        tier(model(server, small, "small-model"), name="small", rate=parts.SMALL),
        tier(model(server, large, "large-model"), name="large", rate=parts.LARGE),
    ]
    return ChatTuppence(tiers=tiers, **{"ledger": None, **options})


PROVIDERS = [("openai", "anthropic"), ("anthropic", "openai"), ("openai", "openai"), ("anthropic", "anthropic")]
SCHEMAS = [(City, "City"), (CityDict, "CityDict"), (JSON_SCHEMA, "City")]


@pytest.mark.parametrize(("small", "large"), PROVIDERS)
@pytest.mark.parametrize(("schema", "name"), SCHEMAS, ids=["pydantic", "typeddict", "json"])
def test_the_object_is_the_one_that_the_model_alone_would_give(
    server: ProviderServer, small: str, large: str, schema: Any, name: str
) -> None:
    """A valid answer of the small model is parsed as its own integration parses it, and nobody else is asked."""
    server.model("small-model", replies=answer(small, GOOD, name))
    native = model(server, small, "small-model").with_structured_output(schema).invoke("Porto?")
    ours = llm(server, small, large).with_structured_output(schema).invoke("Porto?")
    assert ours == native
    assert type(ours) is type(native)
    assert server.served[0].request == server.served[1].request
    assert len(server.served) == 2


@pytest.mark.parametrize(("small", "large"), PROVIDERS)
@pytest.mark.parametrize(("schema", "name"), SCHEMAS, ids=["pydantic", "typeddict", "json"])
def test_an_invalid_draft_escalates_across_providers(
    server: ProviderServer, small: str, large: str, schema: Any, name: str
) -> None:
    """The large model's answer is parsed by its own parser; both calls are counted once."""
    server.model("small-model", replies=answer(small, {"name": "Porto"}, name))
    server.model("large-model", replies=answer(large, GOOD, name))
    handler, usage = SpendCallbackHandler(), UsageMetadataCallbackHandler()
    parsed = (
        llm(server, small, large)
        .with_structured_output(schema)
        .invoke("Porto?", config={"callbacks": [handler, usage]})
    )
    assert (parsed.model_dump() if isinstance(parsed, City) else parsed) == GOOD
    assert handler.usd == parts.billed(server)
    assert sum(one["total_tokens"] for one in usage.usage_metadata.values()) == parts.tokens(server)
    assert [one.model for one in server.served] == ["small-model", "large-model"]


def test_raw_parsed_and_error_come_side_by_side(server: ProviderServer) -> None:
    """`include_raw=True` gives LangChain's three keys; an answer that no tier can give right comes with its error."""
    server.model("small-model", replies="not JSON")
    server.model("large-model", replies=Turn(tool_calls=[("City", {"name": "Porto"})]))
    out = llm(server, "openai", "anthropic").with_structured_output(City, include_raw=True).invoke("Porto?")
    assert out["parsed"] is None
    assert out["parsing_error"] is not None
    assert out["raw"].response_metadata["tuppence"]["attempts"] == 2


def test_an_answer_that_no_tier_gives_right_raises_what_the_parser_raises(server: ProviderServer) -> None:
    """Without `include_raw` the last tier's own parsing error surfaces."""
    server.model("small-model", replies="not JSON")
    server.model("large-model", replies=Turn(tool_calls=[("City", {"name": "Porto"})]))
    with pytest.raises(ValueError, match="people"):
        llm(server, "openai", "anthropic").with_structured_output(City).invoke("Porto?")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_methods_reach_the_tiers(server: ProviderServer, method: str) -> None:
    """`method` is each provider's own."""
    turn = (
        Turn('{"name": "Porto", "people": 1}')
        if method == "json_schema"
        else Turn(tool_calls=[("City", {"name": "Porto", "people": 1})])
    )
    server.model("small-model", replies=turn)
    parsed = llm(server, "openai", "openai").with_structured_output(City, method=method, strict=True).invoke("Porto?")
    assert parsed == City(name="Porto", people=1)
    assert ("response_format" in server.served[0].request) is (method == "json_schema")


@pytest.mark.parametrize(("small", "large"), PROVIDERS)
def test_a_cached_answer_parses_again(server: ProviderServer, small: str, large: str) -> None:
    """A hit is read by the parser of the tier that once gave it."""
    server.model("small-model", replies=answer(small, GOOD, "City"))
    structured = llm(server, small, large, cache=parts.exact_cache(tool_turns=True)).with_structured_output(City)
    assert structured.invoke("Porto?") == structured.invoke("Porto?") == City(**GOOD)
    assert len(server.served) == 1


def test_two_schemas_do_not_share_a_cached_answer(server: ProviderServer) -> None:
    """The schema is part of the question."""
    both = llm(server, "openai", "openai")
    both.with_structured_output(City).invoke("Porto?")
    both.with_structured_output(CityDict).invoke("Porto?")
    assert len(server.served) == 2


@pytest.mark.parametrize(("small", "large"), PROVIDERS)
def test_structured_streams_end_with_the_object(server: ProviderServer, small: str, large: str) -> None:
    """The last item of the stream is the whole object, whichever tier gave it."""
    server.model("small-model", replies=answer(small, {"name": "Porto"}, "City"))
    server.model("large-model", replies=answer(large, GOOD, "City"))
    *_, last = llm(server, small, large).with_structured_output(City).stream("Porto?")
    assert last == City(**GOOD)


async def test_async_structured_output(server: ProviderServer) -> None:
    """`ainvoke` parses as `invoke` does."""
    server.model("small-model", replies=answer("openai", GOOD, "City"))
    assert await llm(server, "openai", "anthropic").with_structured_output(City).ainvoke("?") == City(**GOOD)


# -- answers that `max_tokens` cuts off: the OpenAI SDK raises while parsing, and they are billed


def test_a_draft_that_was_cut_off_is_billed_exactly(server: ProviderServer) -> None:
    """The exception holds the provider's count; the next tier is asked, and nothing is an estimate."""
    server.model("small-model", replies=answer("openai", GOOD, "City"))
    server.model("large-model", replies=answer("openai", GOOD, "City"))
    tiers = [
        tier(parts.openai(server, "small-model", max_tokens=3), name="small", rate=parts.SMALL),
        parts.large(server),
    ]
    handler = SpendCallbackHandler()
    structured = ChatTuppence(tiers=tiers, ledger=None).with_structured_output(City)
    assert structured.invoke("Porto?", config={"callbacks": [handler]}) == City(**GOOD)
    assert [(a.tier, a.outcome, a.status) for a in handler.attempts] == [
        ("small", "failed", "exact"), ("large", "accepted", "exact"),
    ]  # fmt: skip
    assert handler.attempts[0].usage.output == 3
    assert handler.usd == parts.billed(server)


async def test_the_only_tiers_cut_answer_is_billed_exactly_and_raised(server: ProviderServer) -> None:
    """Sync or async, the SDK's own exception comes out."""
    server.model("large-model", replies=answer("openai", GOOD, "City"))
    only = tier(parts.openai(server, "large-model", max_tokens=3), name="large", rate=parts.LARGE)
    structured = ChatTuppence(tiers=[only], ledger=None).with_structured_output(City)
    handler = SpendCallbackHandler()
    config: Any = {"callbacks": [handler]}
    with pytest.raises(openai.LengthFinishReasonError):
        structured.invoke("Porto?", config=config)
    with pytest.raises(openai.LengthFinishReasonError):
        await structured.ainvoke("Porto?", config=config)
    assert [(a.outcome, a.status) for a in handler.attempts] == [("failed", "exact")] * 2
    assert handler.usd == parts.billed(server)


def test_another_models_cut_answer_is_counted(server: ProviderServer) -> None:
    """A handler is told of a failed run, and the provider billed it all the same."""
    server.model("small-model", replies=answer("openai", GOOD, "City"))
    handler = SpendCallbackHandler(prices=PriceBook(overrides={"small-model": parts.SMALL}))
    structured = parts.openai(server, "small-model", max_tokens=3).with_structured_output(City)
    with pytest.raises(openai.LengthFinishReasonError):
        structured.invoke("Porto?", config={"callbacks": [handler]})
    (attempt,) = handler.attempts
    assert (attempt.cause, attempt.outcome, attempt.status) == ("observed", "failed", "exact")
    assert attempt.error is not None
    assert attempt.error.startswith("LengthFinishReasonError")
    assert handler.usd == parts.billed(server)
