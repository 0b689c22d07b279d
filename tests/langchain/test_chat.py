"""ChatTuppence asked whole: what is answered, by whom, at what price, and what a user may say about it."""

import asyncio
import copy
from decimal import Decimal
from typing import Any

import openai
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langgraph.errors import GraphInterrupt

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, function_tier, spend, tags, tier
from tuppence.errors import CallFailed, ConfigError, RequestError
from tuppence.policy import Retries
from tuppence.testing import Fault, ProviderServer
from tuppence.tiers import Additions

from . import parts

NO_WAIT = Retries(base_s=0.0)


def told(message: Any) -> dict[str, Any]:
    facts: dict[str, Any] = message.response_metadata["tuppence"]
    return facts


def override(**changes: Any) -> Any:
    return {"configurable": {"tuppence": changes}}


def test_a_good_cheap_answer_is_returned_and_the_large_model_is_not_asked(server: ProviderServer) -> None:
    """The first tier answers, the message says so and what it cost."""
    server.model("small-model", replies="Lisbon is the capital of Portugal.")
    message = parts.ladder(server).invoke("Which city is the capital of Portugal?")
    assert message.text == "Lisbon is the capital of Portugal."
    assert [one.model for one in server.served] == ["small-model"]
    assert told(message)["tier"] == "small"
    assert Decimal(told(message)["usd"]) == parts.billed(server)


def test_a_refusal_escalates_and_both_calls_are_paid(server: ProviderServer) -> None:
    """The draft is rejected, the next tier answers, and the price is that of both."""
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)
    message = parts.ladder(server).invoke("When was the harbour built?")
    assert message.text == parts.ANSWER
    assert told(message)["attempts"] == 2
    assert Decimal(told(message)["usd"]) == parts.billed(server)


def test_usage_handlers_see_every_provider_call_once(server: ProviderServer) -> None:
    """LangChain's own usage handlers agree with the server to the token, drafts included, hits adding nothing."""
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)
    llm, handler = parts.ladder(server), UsageMetadataCallbackHandler()
    with get_usage_metadata_callback() as ambient:
        for _ in range(2):
            llm.invoke("When was the harbour built?", config={"callbacks": [handler]})
    assert len(server.served) == 2
    for usage in (handler.usage_metadata, ambient.usage_metadata):
        assert sum(one["total_tokens"] for one in usage.values()) == parts.tokens(server)


def test_an_exact_repeat_is_served_from_the_cache_with_a_new_id_and_zero_usage(server: ProviderServer) -> None:
    """A hit is the same answer, free: LangGraph appends it, and code that adds up usage stays right."""
    llm = parts.ladder(server)
    first, second = llm.invoke("Say it."), llm.invoke("Say it.")
    assert second.content == first.content
    assert second.id != first.id
    assert second.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert told(second) | {"usd": 0} == told(second) | {"tier": "cache", "answered_by": "small", "usd": 0}
    assert len(server.served) == 1


def test_the_two_callers_of_one_cached_answer_do_not_share_it(server: ProviderServer) -> None:
    """What one caller does to its message, the next does not see."""
    llm = parts.ladder(server)
    llm.invoke("Say it.")
    hit = llm.invoke("Say it.")
    hit.content = "spoilt"
    assert llm.invoke("Say it.").content != "spoilt"


def test_another_temperature_on_the_model_is_another_cache(server: ProviderServer) -> None:
    """A cached answer never comes from differently set models; sampled answers are not cached at all."""
    asked = {}
    for temperature in (None, 0, 0.7):
        options = {} if temperature is None else {"temperature": temperature}
        one = tier(parts.openai(server, "small-model", **options), name="small", rate=parts.SMALL)
        asked[temperature] = ChatTuppence(tiers=[one], cache=True, ledger=None)
    assert asked[None].policy.scope != asked[0].policy.scope
    for _ in range(2):
        message = asked[0.7].invoke("Say it.")
    assert told(message)["cache"].startswith("not asked: sampled")


def test_langchains_own_cache_is_not_billed(server: ProviderServer) -> None:
    """What a tier's model takes from `set_llm_cache` bought nothing."""
    set_llm_cache(InMemoryCache())
    try:
        llm = parts.ladder(server, cache=None)
        llm.invoke("Say it.")
        assert Decimal(told(llm.invoke("Say it."))["usd"]) == 0
    finally:
        set_llm_cache(None)
    assert len(server.served) == 1


def test_the_sdks_own_retries_are_off(server: ProviderServer) -> None:
    """One attempt is one request on the wire, for both SDKs; retries are the flow's to count."""
    server.model("small-model", replies=Fault(status=500))
    server.model("claude", replies=Fault(status=500))
    claude = tier(parts.anthropic(server, "claude"), name="claude", rate=parts.LARGE)
    llm = ChatTuppence(tiers=[parts.small(server), claude], retries=Retries(per_tier=0), ledger=None)
    with pytest.raises(Exception, match=r"scripted|error|500"):
        llm.invoke("Say it.")
    assert [one.model for one in server.served] == ["small-model", "claude"]


def test_the_providers_exception_surfaces_as_itself_with_notes(server: ProviderServer) -> None:
    """Code that catches `openai.RateLimitError` today keeps working, and the notes say what was tried."""
    for model in ("small-model", "large-model"):
        server.model(model, replies=Fault(status=429))
    llm = parts.ladder(server, retries=Retries(per_tier=1, base_s=0.0))
    with pytest.raises(openai.RateLimitError) as caught:
        llm.invoke("Say it.")
    assert len(server.served) == 4
    assert len(caught.value.__notes__) == 4


def test_a_failing_tier_is_gone_round(server: ProviderServer) -> None:
    """The next tier answers when the first one cannot, and nothing is paid for what was refused."""
    server.model("small-model", replies=Fault(status=503))
    message = parts.ladder(server, retries=NO_WAIT).invoke("Say it.")
    assert told(message)["tier"] == "large"
    assert Decimal(told(message)["usd"]) == parts.billed(server)


def test_a_function_tier_answers_for_nothing_or_declines(server: ProviderServer) -> None:
    """A plain function is the cheapest tier; declining costs nothing either."""
    rules = function_tier("rules", lambda request: "We open at nine." if "open" in request.question else None)
    llm = ChatTuppence(tiers=[rules, parts.large(server)], ledger=None)
    message = llm.invoke("When do you open?")
    assert (message.text, told(message)["tier"]) == ("We open at nine.", "rules")
    assert Decimal(told(message)["usd"]) == 0
    assert told(llm.invoke("Where are you?"))["tier"] == "large"


@pytest.mark.parametrize(
    ("changes", "tier_name"),
    [({}, "small"), ({"mode": "off"}, "large"), ({"route": "large"}, "large"), ({"threshold": 1.0}, "small")],
)
def test_a_call_overrides_the_policy(server: ProviderServer, changes: dict[str, Any], tier_name: str) -> None:
    """`configurable` changes one call and no other."""
    llm = parts.ladder(server)
    assert told(llm.invoke("Say it.", config=override(**changes)))["tier"] == tier_name
    assert llm.policy.mode == "optimise"


def test_a_call_can_go_without_the_cache_and_with_a_limit(server: ProviderServer) -> None:
    """`cache: False` asks again; a limit that is too low is said as such."""
    llm = parts.ladder(server)
    llm.invoke("Say it.")
    assert told(llm.invoke("Say it.", config=override(cache=False)))["cache"] == "off"
    with pytest.raises(Exception, match="max_usd_per_call"):
        llm.invoke("Say it.", config=override(cache=False, max_usd_per_call="0.000000001"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"treshold": 0.5}, "treshold"),
        ({"max_usd_per_call": 0.01}, "0.01"),
        ({"route": "huge"}, "huge"),
        ({"tags": {"user": 7}}, "user"),
        ({"mode": "of"}, "of"),
    ],
)
def test_a_wrong_override_is_refused_by_name(server: ProviderServer, changes: dict[str, Any], complaint: str) -> None:
    """A typo costs an error, never money."""
    with pytest.raises((ConfigError, RequestError), match=complaint):
        parts.ladder(server).invoke("Say it.", config=override(**changes))
    assert server.served == []


def test_tags_come_from_context_metadata_and_call(server: ProviderServer) -> None:
    """The nearer word wins; a LangGraph thread is a session."""
    seen: list[Any] = []
    llm = parts.ladder(server, route=lambda request, ladder: seen.append(dict(request.tags)))
    config = {
        "metadata": {"tuppence_user": "ann", "tuppence_task": "mail", "langgraph_node": "agent"},
        "configurable": {"thread_id": 7, "tuppence": {"tags": {"task": "post"}}},
    }
    with tags(user="bob", tenant="acme"):
        llm.invoke("Say it.", config=config)
    assert seen == [{"user": "ann", "tenant": "acme", "task": "post", "session": "7"}]


def test_a_named_call_joins_its_attempts(server: ProviderServer) -> None:
    """The caller's call id is the ledger's."""
    message = parts.ladder(server).invoke("Say it.", config=override(call_id="order-17"))
    assert told(message)["call_id"] == "order-17"


def test_a_model_name_as_argument_picks_the_tier(server: ProviderServer) -> None:
    """`model=` names a tier, where other chat models would be sent to another model."""
    llm = parts.ladder(server)
    assert told(llm.invoke("Say it.", model="large"))["tier"] == "large"
    with pytest.raises(RequestError, match="small"):
        llm.invoke("Say it.", model="gpt-9")


def test_spend_blocks_and_handlers_agree(server: ProviderServer) -> None:
    """The block, the handler and the server's own bill are one number."""
    server.model("small-model", replies=[parts.REFUSAL, "Fine, here it is."])
    llm, handler = parts.ladder(server), SpendCallbackHandler()
    with spend() as block:
        for question in ("first", "second", "second"):
            llm.invoke(question, config={"callbacks": [handler]})
    assert block.usd == handler.usd == parts.billed(server)
    assert (block.calls, handler.calls, handler.hits) == (3, 3, 1)


def test_batch_asks_each_once(server: ProviderServer) -> None:
    """A batch is as many calls, accounted one by one."""
    handler = SpendCallbackHandler()
    messages = parts.ladder(server).batch(["one", "two", "three"], config={"callbacks": [handler]})
    assert [m.text for m in messages] == ["You said: one", "You said: two", "You said: three"]
    assert handler.usd == parts.billed(server)


async def test_async_calls_do_the_same(server: ProviderServer) -> None:
    """`ainvoke` and `abatch` run the same flow."""
    server.model("small-model", replies=parts.REFUSAL)
    llm, handler = parts.ladder(server), SpendCallbackHandler()
    await llm.abatch(["one", "two"], config={"callbacks": [handler]})
    message = await llm.ainvoke("one", config={"callbacks": [handler]})
    assert told(message)["tier"] == "cache"
    assert handler.usd == parts.billed(server)
    assert len(server.served) == 4


async def test_a_cancelled_call_is_billed_by_an_estimate(server: ProviderServer) -> None:
    """Cancelling is normal: the exception goes on, and the attempt is on the books, flagged."""
    server.model("small-model", replies=Fault.hang())
    handler = SpendCallbackHandler()
    task = asyncio.create_task(parts.ladder(server).ainvoke("Say it.", config={"callbacks": [handler]}))
    await asyncio.to_thread(server.await_arrived, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(a.outcome, a.status) for a in handler.attempts] == [("abandoned", "estimated")]


def test_it_stands_in_a_chain_and_with_a_list_of_messages(server: ProviderServer) -> None:
    """Prompts before it and parsers after it work as with any chat model."""
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{q}")]) | parts.ladder(server)
    assert (chain | StrOutputParser()).invoke({"q": "hello"}) == "You said: hello"
    sent = server.served[0].request["messages"]
    assert [m["role"] for m in sent] == ["system", "user"]


def test_generate_goes_through_the_same_door(server: ProviderServer) -> None:
    """The older entries count once, too."""
    handler = UsageMetadataCallbackHandler()
    llm = parts.ladder(server)
    result = llm.generate([[HumanMessage("one")], [HumanMessage("two")]], callbacks=[handler])
    assert [g[0].text for g in result.generations] == ["You said: one", "You said: two"]
    assert sum(one["total_tokens"] for one in handler.usage_metadata.values()) == parts.tokens(server)


def test_bound_models_are_peeled_and_their_bindings_kept(server: ProviderServer) -> None:
    """A model with bound arguments and config is a tier; both reach the provider and the handlers."""
    handler = UsageMetadataCallbackHandler()
    bound = parts.openai(server, "small-model").bind(stop=["END"]).with_config(callbacks=[handler])
    ChatTuppence(tiers=[tier(bound, name="small", rate=parts.SMALL)], ledger=None).invoke("Say it.")
    assert server.served[0].request["stop"] == ["END"]
    assert handler.usage_metadata["small-model"]["total_tokens"] == parts.tokens(server)


def test_a_tiers_additions_reach_only_that_tier(server: ProviderServer) -> None:
    """Rules and examples for the small model do not cost the large one anything."""
    server.model("small-model", replies=parts.REFUSAL)
    added = Additions(system="Answer in one word.", examples=(("2+2?", "4"),))
    llm = ChatTuppence(tiers=[parts.small(server, additions=added), parts.large(server)], ledger=None)
    llm.invoke([SystemMessage("Be kind."), HumanMessage("3+3?")])
    texts = [[m["content"] for m in one.request["messages"]] for one in server.served]
    assert texts == [["Be kind.", "Answer in one word.", "2+2?", "4", "3+3?"], ["Be kind.", "3+3?"]]


def test_defaults_of_the_facade_reach_every_tier(server: ProviderServer) -> None:
    """`max_tokens` and `stop` on the facade are each tier's, and a call's own go before them."""
    server.model("small-model", replies=parts.REFUSAL)
    llm = parts.ladder(server, max_tokens=50, stop=["END"])
    llm.invoke("Say it.")
    llm.invoke("Say it now.", max_tokens=40)
    asked = [one.request.get("max_completion_tokens", one.request.get("max_tokens")) for one in server.served]
    assert asked == [50, 50, 40, 40]
    assert all(one.request["stop"] == ["END"] for one in server.served)


def test_names_are_the_models_and_unique(server: ProviderServer) -> None:
    """Without names tiers are called after their models."""
    with pytest.warns(UserWarning, match="no price is known for model 'm'"):
        llm = ChatTuppence(tiers=[parts.openai(server, "m"), parts.openai(server, "m")], ledger=None)
    assert [t.name for t in llm.policy.tiers] == ["m", "m-2"]
    assert told(llm.invoke("Say it."))["unpriced"] is True


def test_known_models_are_priced_from_the_list() -> None:
    """A model that the price list knows needs no rate, and nobody is warned."""
    llm = ChatTuppence(tiers={"cheap": parts.ChatOpenAI(model="gpt-4o-mini", api_key="test")}, ledger=None)
    assert llm.policy.tiers[0].rate is not None


def test_what_cannot_be_a_tier_is_refused(server: ProviderServer) -> None:
    """Chains and other facades are no tiers, and the message says what to do."""
    chain = parts.openai(server, "m") | StrOutputParser()
    with pytest.raises(ConfigError, match="put chains, retries and fallbacks around"):
        ChatTuppence(tiers=[chain], ledger=None)
    with pytest.raises(ConfigError, match="ChatTuppence itself"):
        ChatTuppence(tiers=[parts.ladder(server)], ledger=None)


def test_models_that_report_no_usage_are_billed_by_a_flagged_estimate() -> None:
    """No usage is not no cost."""
    fake = tier(FakeListChatModel(responses=["An answer without usage."]), name="fake", rate=parts.SMALL)
    handler = SpendCallbackHandler()
    ChatTuppence(tiers=[fake], ledger=None).invoke("Say it.", config={"callbacks": [handler]})
    assert [a.status for a in handler.attempts] == ["estimated"]
    assert handler.usd > 0


@pytest.mark.parametrize("part", ["route", "check", "guards"])
def test_langgraphs_control_flow_passes_untouched(server: ProviderServer, part: str) -> None:
    """An interrupt raised inside the policy reaches the graph: it is neither a failure nor a fault."""

    def pauses(*_: Any) -> Any:
        raise GraphInterrupt(())

    llm = parts.ladder(server, **{part: (pauses,) if part == "guards" else pauses})
    with pytest.raises(GraphInterrupt):
        llm.invoke("Say it.")


def test_nothing_answers_is_a_plain_error() -> None:
    """All tiers decline: the error names them."""
    llm = ChatTuppence(tiers=[function_tier("rules", lambda _: None)], ledger=None)
    with pytest.raises(CallFailed, match="rules"):
        llm.invoke("Say it.")


def test_secrets_are_in_no_description(server: ProviderServer) -> None:
    """Neither the repr nor LangChain's dump shows a key."""
    secret = "sk-very-secret"
    model = parts.ChatOpenAI(base_url=server.base_url, api_key=secret, model="m", default_headers={"X-Key": secret})
    llm = ChatTuppence(tiers=[tier(model, rate=parts.SMALL)], ledger=None)
    assert secret not in repr(llm) + str(llm) + dumps(llm) + repr(llm._identifying_params)


def test_copies_work_and_changes_are_built_anew(server: ProviderServer) -> None:
    """A changed copy decides differently; the original stays."""
    llm = parts.ladder(server)
    changed = llm.model_copy(update={"mode": "off"})
    assert told(changed.invoke("Say it."))["tier"] == "large"
    assert told(copy.deepcopy(llm).invoke("Say it."))["tier"] == "small"


@pytest.mark.skipif("profile" not in BaseChatModel.model_fields, reason="this langchain-core has no profiles")
def test_the_profile_is_what_all_tiers_can_do() -> None:
    """LangChain's agents ask the profile: it promises nothing that a tier lacks."""
    llm = ChatTuppence(
        tiers=[parts.ChatOpenAI(model=name, api_key="test") for name in ("gpt-4o-mini", "gpt-4o")], ledger=None
    )
    small, large = (parts.ChatOpenAI(model=n, api_key="test").profile for n in ("gpt-4o-mini", "gpt-4o"))
    assert llm.profile is not None
    assert llm.profile["max_input_tokens"] == min(small["max_input_tokens"], large["max_input_tokens"])
    assert llm.profile["structured_output"] is True


def test_the_native_message_is_kept(server: ProviderServer) -> None:
    """What the tier's model returned is what the user gets: same class, same provider metadata."""
    message = parts.ladder(server).invoke("Say it.")
    assert type(message) is AIMessage
    assert message.response_metadata["model_name"] == "small-model"
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == parts.tokens(server)


def test_a_misspelt_option_is_refused_with_the_one_that_was_meant(server: ProviderServer) -> None:
    """A typo never passes for a default."""
    with pytest.raises(ConfigError, match=r"no option 'treshold' \(given: 0\.9\): did you mean 'threshold'\?"):
        ChatTuppence(tiers=[parts.small(server)], treshold=0.9, ledger=None)
