"""What `TuppenceLLM` adds to a LlamaIndex model: tiers, checks, cache, options of one call, and what a call says."""

import copy
import gc
import pickle
import threading
import warnings
import weakref
from decimal import Decimal
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ThinkingBlock, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from llm_suite import CITY, ONE_CALL, TOOLS, City, text_of, user

from llama_index_tuppence import SpendEventHandler, TuppenceLLM, function_tier, tier
from tuppence.checks import agrees_with, judged_by, not_empty, valid_tool_calls
from tuppence.context import logical_call, spend, tags
from tuppence.errors import ConfigError, RequestError
from tuppence.policy import Retries
from tuppence.prices import PriceBook, gpu_hour_rate, token_rate
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.tiers import Additions

SMALL, LARGE = "gpt-4o-mini", "gpt-4o"
REFUSAL = "I'm sorry, but I can't help with that."
GOOD = "The fjord is deep, and the town lies at its end. " * 5


def models_asked(provider: ProviderServer) -> list[str]:
    return [one.model for one in provider.served]


# The server drops the line after the chunk that names the role, before any text.
ROLE_ONLY = Fault.die_after(chunks=1, turn=Turn(pieces=["", "word"]))


@pytest.fixture
def llm(make: Any) -> TuppenceLLM:
    return TuppenceLLM([make(SMALL), make(LARGE)], cache=True, ledger=False, retries=0)


# -- tiers


def test_a_good_first_answer_is_the_answer(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """The strong model is not asked where the small one's answer will do."""
    said = llm.chat([user("Hello")]).additional_kwargs["tuppence"]
    assert models_asked(provider) == [SMALL]
    assert (said["tier"], said["attempts"]) == (SMALL, 1)


def test_a_refusal_goes_to_the_next_tier(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """The draft is paid for and not shown; the response says both."""
    provider.model(SMALL, replies=REFUSAL)
    response = llm.chat([user("Hello")])
    said = response.additional_kwargs["tuppence"]
    assert response.message.content == "You said: Hello"
    assert (said["tier"], said["attempts"]) == (LARGE, 2)
    assert "refusal" in said["check"]


def test_a_failing_tier_is_passed_over(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """A provider's outage is the next tier's call."""
    provider.model(SMALL, replies=Fault(status=500))
    assert llm.chat([user("Hello")]).additional_kwargs["tuppence"]["tier"] == LARGE


def test_tiers_do_not_retry_by_themselves(make: Any, provider: ProviderServer) -> None:
    """The SDK's retries are off, also where its client was built before: amplification is the policy's to bound."""
    plain = make(SMALL, max_retries=5)
    plain.chat([user("warm up the client")])
    provider.model(SMALL, replies=Fault(status=500))
    llm = TuppenceLLM([plain], ledger=False, retries=Retries(per_tier=2, base_s=0.001))
    with pytest.raises(Exception, match="500"):
        llm.chat([user("Hello")])
    assert len(provider.served) - 1 == 3
    assert plain.max_retries == 5


def test_tiers_of_two_providers_share_tools(make: Any, make_claude: Any, provider: ProviderServer) -> None:
    """Each class spells the tools for its provider, and reads the calls of the answers that it made."""
    provider.model("claude-haiku-4-5", replies=REFUSAL)
    provider.model(LARGE, replies=ONE_CALL)
    llm = TuppenceLLM([make_claude(), make(LARGE)], ledger=False)
    answer = llm.predict_and_call(TOOLS, user_msg="Weather in Bergen?", tool_choice=None)
    assert answer.response == "sunny in Bergen"
    asked, asked_next = provider.served
    assert asked.request["tools"][0]["input_schema"]["type"] == "object"
    assert asked_next.request["tools"][0]["function"]["name"] == "weather"


def test_a_required_tool_is_required_in_each_providers_words(
    make: Any, make_claude: Any, provider: ProviderServer
) -> None:
    """`tool_required` and OpenAI's `tool_choice` reach Anthropic as it spells them."""
    llm = TuppenceLLM([make_claude(), make(LARGE)], ledger=False)
    for options, expected in [
        ({"tool_required": True}, "any"),
        ({"tool_choice": "required"}, "any"),
        ({"tool_choice": {"type": "function", "function": {"name": "tide"}}}, "tool"),
        ({"tool_choice": None}, "auto"),
    ]:
        llm.chat_with_tools(TOOLS, user_msg="Hello", **options)
        claude = next(one for one in reversed(provider.served) if one.api == "messages")
        assert claude.request["tool_choice"]["type"] == expected


def test_a_history_moves_between_providers(make: Any, make_claude: Any, provider: ProviderServer) -> None:
    """Calls made by one provider are history that the other takes; thinking that Anthropic never signed is left out."""
    llm = TuppenceLLM([make_claude(), make(LARGE)], ledger=False)
    block = ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs='{"place": "Bergen"}')
    history = [
        user("Weather?"),
        ChatMessage(role=MessageRole.ASSISTANT, blocks=[ThinkingBlock(content="hm"), block]),
        ChatMessage(content="sunny", role=MessageRole.TOOL, additional_kwargs={"tool_call_id": "call_1"}),
    ]
    assert llm.chat_with_tools(TOOLS, chat_history=history).message.content == "The tool says: sunny"
    (call,) = provider.served[-1].request["messages"][1]["content"]
    assert call["input"] == {"place": "Bergen"}
    assert block.tool_kwargs == '{"place": "Bergen"}'


def test_the_responses_api_is_a_tier_like_any_other(
    provider: ProviderServer, make: Any, connections: dict[str, Any]
) -> None:
    """Its tools, its streams and what they used are read in its own words."""
    package = pytest.importorskip("llama_index.llms.openai")
    responses = package.OpenAIResponses(model=SMALL, api_base=provider.base_url, api_key="test", **connections)
    llm = TuppenceLLM([responses, make(LARGE)], cache=False, ledger=False)
    with spend() as spent:
        assert llm.chat([user("Hello")]).message.content == "You said: Hello"
        assert text_of(list(llm.stream_chat([user("Hello you")]))) == "You said: Hello you"
        provider.model(SMALL, replies=ONE_CALL)
        assert llm.predict_and_call(TOOLS, user_msg="Weather in Bergen?").response == "sunny in Bergen"
    assert {a.status for a in spent.attempts} == {"exact"}
    assert spent.tokens == sum(one.usage["total_tokens"] for one in provider.served if one.usage)


def test_structured_output_escalates(make: Any, make_claude: Any, provider: ProviderServer) -> None:
    """An object that lacks a field is a rejected draft, whichever provider made it."""
    provider.model(SMALL, replies=Turn(tool_calls=[("City", {"name": "Bergen"})]))
    provider.model("claude-haiku-4-5", replies=CITY)
    llm = TuppenceLLM([make(SMALL), make_claude()], ledger=False, check=valid_tool_calls())
    city = llm.structured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
    assert city == City(name="Bergen", people=291_940)
    assert models_asked(provider) == [SMALL, "claude-haiku-4-5"]


def test_a_function_may_answer_for_nothing(make: Any, provider: ProviderServer) -> None:
    """A function tier answers what it knows, and declines the rest."""

    def rules(request: Any) -> str | None:
        return "Nine to five." if "hours" in request.question else None

    llm = TuppenceLLM([function_tier("rules", rules), make(LARGE)], ledger=False)
    response = llm.chat([user("Opening hours?")])
    assert response.message.content == "Nine to five."
    assert Decimal(response.additional_kwargs["tuppence"]["usd"]) == 0
    assert text_of(list(llm.stream_complete("Your hours?"))) == "Nine to five."
    assert llm.complete("And parking?").text == "You said: And parking?"
    assert models_asked(provider) == [LARGE]


def test_a_tier_may_get_more_prompt_than_others(make: Any, provider: ProviderServer) -> None:
    """Additions are sent to their tier alone, in `complete` as well."""
    helped = tier(make(SMALL), additions=Additions(system="Answer in English.", examples=(("Hi", "Hello"),)))
    llm = TuppenceLLM([helped, make(LARGE)], ledger=False)
    messages = [user("Bonjour")]
    llm.chat(messages)
    llm.complete("Bonsoir")
    for served, asked in zip(provider.served, ("Bonjour", "Bonsoir"), strict=True):
        assert [m["content"] for m in served.request["messages"]] == ["Answer in English.", "Hi", "Hello", asked]
    assert messages == [user("Bonjour")]


def test_a_judge_sits_beside_the_ladder(make: Any, provider: ProviderServer) -> None:
    """A judge's call is made by LlamaIndex's own class, heard by its handlers, and accounted as part of the call."""
    provider.model("gpt-4.1-mini", replies='{"score": 1, "reason": "wrong"}')
    judge = tier(make("gpt-4.1-mini", context_window=1_000, is_function_calling_model=False), name="judge")
    counter = TokenCountingHandler()
    llm = TuppenceLLM(
        [make(SMALL), make(LARGE)], judges=[judge], ledger=False, check=judged_by("judge"),
        callback_manager=CallbackManager([counter]),
    )  # fmt: skip
    with spend() as spent:
        said = llm.chat([user("Hello")]).additional_kwargs["tuppence"]
    assert models_asked(provider) == [SMALL, "gpt-4.1-mini", LARGE]
    assert [(a.tier, a.cause) for a in spent.attempts] == [
        (SMALL, "draft"), ("judge", "judge"), (LARGE, "escalation"),
    ]  # fmt: skip
    assert spent.unpriced == 0
    assert Decimal(said["usd"]) == spent.usd and spent.attempts[1].pico_usd
    assert len(counter.llm_token_counts) == 3
    assert llm.tiers == (SMALL, LARGE)
    assert llm.metadata.context_window > 1_000 and llm.metadata.is_function_calling_model


def test_a_judge_travels_and_never_answers(make: Any, provider: ProviderServer) -> None:
    """A pickled model has its judge still; a call that names one is refused; a taken name is, too, or is numbered."""
    provider.model("gpt-4.1-mini", replies='{"score": 5, "reason": "right"}')
    llm = TuppenceLLM({"small": make(SMALL)}, judges={"judge": make("gpt-4.1-mini")}, ledger=False)
    copied = pickle.loads(pickle.dumps(llm))
    assert [t.name for t in copied.policy.judges] == ["judge"]
    with pytest.raises(RequestError, match=r"no tier 'judge'.*which only checks ask"):
        copied.chat([user("Hello")], model="judge")
    with pytest.raises(ConfigError, match="two tiers or judges are called 'small'"):
        TuppenceLLM({"small": make(SMALL)}, judges={"small": make(LARGE)}, ledger=False)
    same = TuppenceLLM([make(SMALL)], judges=[make(SMALL)], ledger=False, check=agrees_with(f"{SMALL}-2"))
    assert [t.name for t in same.policy.judges] == [f"{SMALL}-2"]


def test_tiers_by_name_and_number(make: Any) -> None:
    """A dictionary names tiers; equal models in a list are numbered."""
    assert TuppenceLLM({"a": make(SMALL), "b": make(SMALL)}, ledger=False).tiers == ("a", "b")
    assert TuppenceLLM([make(SMALL), make(SMALL, temperature=0.0)], ledger=False).tiers == (SMALL, f"{SMALL}-2")


def test_metadata_is_what_all_tiers_have(make: Any) -> None:
    """The smallest window, and function calling only where every tier can."""
    both = TuppenceLLM([make(SMALL, context_window=4_000), make(LARGE)], ledger=False)
    assert both.metadata.context_window == 4_000
    assert both.metadata.is_function_calling_model
    one = TuppenceLLM([make(SMALL, is_function_calling_model=False), make(LARGE)], ledger=False)
    assert not one.metadata.is_function_calling_model


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tiers": []}, "no tier"),
        ({"tiers": ["gpt-4o"]}, "give a LlamaIndex LLM"),
        ({"treshold": 0.3}, "treshold"),
        ({"threshold": 3}, "scores lie between"),
        ({"max_usd_per_call": "much"}, "amount of dollars"),
        ({"cache": 7}, "cache is 7"),
    ],
)
def test_a_wrong_option_is_refused_by_name(make: Any, options: dict[str, Any], said: str) -> None:
    """A mistake is told at construction, with the value and the fix."""
    with pytest.raises(ConfigError, match=said):
        TuppenceLLM(**{"tiers": [make(SMALL)], "ledger": False, **options})


# -- prices


def test_an_unknown_price_is_said_and_recorded(make: Any) -> None:
    """No price is ever invented: one warning, and unpriced attempts."""
    with pytest.warns(UserWarning, match="no price is known for model 'house-model'"):
        llm = TuppenceLLM([make("house-model")], ledger=False)
    response = llm.chat([user("Hello")])
    assert response.additional_kwargs["tuppence"]["unpriced"] is True


def test_prices_of_ones_own(make: Any, provider: ProviderServer) -> None:
    """A price book, a mapping, or a tier's own rate; the rate of a tier goes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped = TuppenceLLM([make("house-model")], ledger=False, prices={"house-model": {"input": "1", "output": "2"}})
        book = PriceBook.default().with_overrides({"house-model": {"input": "5", "output": "5"}})
        rated = tier(make("house-model"), rate=token_rate(input="3", output="4"))
        tiered = TuppenceLLM([rated], ledger=False, prices=book)
        TuppenceLLM([tier(make("house-model"), rate=gpu_hour_rate("2.50"))], ledger=False)
    for llm, prices in ((mapped, (1, 2)), (tiered, (3, 4))):
        response = llm.chat([user("Hello")])
        usage = response.raw.usage
        exact = Decimal(usage.prompt_tokens * prices[0] + usage.completion_tokens * prices[1]) / 1_000_000
        assert Decimal(response.additional_kwargs["tuppence"]["usd"]) == exact


# -- cache


def test_a_repeat_is_served_from_the_cache(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """The second time costs nothing and says so, in every form of asking."""
    first = llm.chat([user("Hello")])
    again = llm.chat([user("Hello")])
    assert again.message == first.message
    assert again.raw == {"cached_by": "tuppence", "model": SMALL}
    assert again.additional_kwargs["tuppence"]["tier"] == "cache"
    assert Decimal(again.additional_kwargs["tuppence"]["usd"]) == 0
    assert text_of(list(llm.stream_chat([user("Hello")]))) == first.message.content
    assert len(provider.served) == 1


async def test_a_completion_is_cached_by_itself(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """`complete` and `chat` may be answered differently, so they share no entry."""
    assert llm.complete("Hello").text == (await llm.acomplete("Hello")).text == "You said: Hello"
    assert len(provider.served) == 1
    llm.chat([user("Hello")])
    assert len(provider.served) == 2


def test_a_cached_stream_grows_as_any_other(llm: TuppenceLLM) -> None:
    """Every chunk's message is what the deltas have said so far."""
    llm.chat([user("Hello")])
    said = ""
    for chunk in llm.stream_chat([user("Hello")]):
        said += chunk.delta or ""
        assert chunk.message.content == said
    assert said == "You said: Hello"


def test_a_hit_adds_no_tokens(make: Any, provider: ProviderServer) -> None:
    """A token counter counts what was bought, not what was served again."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = TuppenceLLM([make(SMALL)], cache=True, ledger=False, callback_manager=CallbackManager([counter]))
    for _ in range(3):
        llm.chat([user("Hello")])
    assert counter.total_llm_token_count == provider.served[0].usage["total_tokens"]


def test_a_hit_on_an_anthropic_stream_adds_no_tokens(make_claude: Any) -> None:
    """Anthropic's class keeps a stream's usage on the message itself, which is what the cache stores."""
    llm = TuppenceLLM([make_claude()], cache=True, ledger=False)
    *_, first = llm.stream_chat([user("Hello")])
    assert first.message.additional_kwargs["usage"]["output_tokens"] > 0
    *_, again = llm.stream_chat([user("Hello")])
    assert again.additional_kwargs["tuppence"]["tier"] == "cache"
    assert "usage" not in again.message.additional_kwargs


def test_other_settings_are_another_entry(make: Any, provider: ProviderServer, tmp_path: Any) -> None:
    """Two programs that share a cache file and differ in a model's settings do not share answers."""
    for temperature in (0.0, 0.1):
        TuppenceLLM([make(SMALL, temperature=temperature)], cache=tmp_path / "cache.db", ledger=False).chat(
            [user("Hello")]
        )
    assert len(provider.served) == 2


def test_a_model_set_to_vary_is_not_cached(make: Any, provider: ProviderServer) -> None:
    """A temperature above LlamaIndex's own default asks for variety."""
    llm = TuppenceLLM([make(SMALL, temperature=0.9)], cache=True, ledger=False)
    llm.chat([user("Hello")])
    llm.chat([user("Hello")])
    assert len(provider.served) == 2


# -- options of one call


def test_one_call_may_differ(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """Mode, cache and the tier are a call's own to choose, and nothing of it reaches the provider."""
    llm.chat([user("Hello")], tuppence={"mode": "off"})
    llm.chat([user("Hello")], tuppence={"route": LARGE, "cache": False})
    llm.chat([user("Hello")], model=LARGE, tuppence={"cache": False})
    assert models_asked(provider) == [LARGE, LARGE, LARGE]
    assert all("tuppence" not in one.request for one in provider.served)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"tuppence": {"mood": "off"}}, ConfigError, "mood"),
        ({"tuppence": "off"}, ConfigError, "give a dict"),
        ({"tuppence": {"mode": "fast"}}, ConfigError, "mode is 'fast'"),
        ({"tuppence": {"route": "huge"}}, RequestError, "there is no tier 'huge'"),
        ({"tuppence": {"cache": "memory"}}, ConfigError, "True or False"),
        ({"tuppence": {"tags": {"user": 7}}}, RequestError, "tag 'user' is 7"),
        ({"tuppence": {"call_id": 7}}, ConfigError, "call_id is 7"),
        ({"model": "gpt-5"}, RequestError, "there is no tier 'gpt-5'"),
    ],
)
def test_an_unknown_option_of_a_call_is_refused(
    llm: TuppenceLLM, provider: ProviderServer, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A misspelt option never silently does nothing."""
    with pytest.raises(error, match=said):
        llm.chat([user("Hello")], **options)
    assert provider.served == []


def test_tags_come_from_context_and_call(llm: TuppenceLLM, attach: Any) -> None:
    """The call's own tags win; so do they over those of an enclosing block."""
    results = []

    class Listener(SpendEventHandler):
        def tuppence_settled(self, result: Any) -> None:
            results.append(result)

    attach(Listener())
    with tags(user="ann", task="chat"), logical_call("call-7"):
        llm.chat([user("Hello")], tuppence={"tags": {"user": "bob"}})
    (result,) = results
    assert dict(result.tags) == {"user": "bob", "task": "chat"}
    assert result.call_id == "call-7"


def test_money_can_end(make: Any) -> None:
    """A call that could pass its limit is not made."""
    llm = TuppenceLLM([make(SMALL)], ledger=False, max_usd_per_call="0.0000001")
    with pytest.raises(Exception, match="max_usd_per_call"):
        llm.chat([user("Hello")])


# -- streams


def test_the_first_token_leaves_before_the_last_has_come(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """A checked stream is let through as soon as its check can no longer reject it."""
    rest = threading.Event()
    provider.model(SMALL, replies=Turn(GOOD, hold=rest, hold_after=60))
    chunks = llm.stream_chat([user("Tell me")])
    first = next(chunk.delta for chunk in chunks if chunk.delta)
    assert not provider.served[0].finished
    rest.set()
    assert first + text_of(list(chunks)) == GOOD


@pytest.mark.parametrize("fault", [Fault(status=503), Fault.disconnect(), ROLE_ONLY])
def test_a_stream_that_fails_before_its_first_word_fails_over(
    make: Any, provider: ProviderServer, fault: Fault
) -> None:
    """The role that opens every OpenAI stream is nothing that a user has read."""
    provider.model(SMALL, replies=fault)
    llm = TuppenceLLM([make(SMALL), make(LARGE)], ledger=False, retries=0, check=None)
    chunks = list(llm.stream_chat([user("Hello")]))
    assert text_of(chunks) == "You said: Hello"
    assert chunks[-1].additional_kwargs["tuppence"]["tier"] == LARGE


def test_the_last_chunk_says_what_the_stream_cost(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """It has no text of its own, the whole message, and the call's summary."""
    provider.model(SMALL, replies=REFUSAL)
    *_, last = llm.stream_chat([user("Hello")])
    assert (last.delta, last.message.content) == ("", "You said: Hello")
    assert last.additional_kwargs["tuppence"]["attempts"] == 2


def test_tool_calls_stream_with_their_arguments(llm: TuppenceLLM, provider: ProviderServer) -> None:
    """A growing call is readable in every chunk, by the tier that makes it."""
    provider.model(SMALL, replies=ONE_CALL)
    read = [
        llm.get_tool_calls_from_response(chunk, error_on_no_tool_call=False)
        for chunk in llm.stream_chat_with_tools(TOOLS, user_msg="Weather in Bergen?")
    ]
    assert read[-1][0].tool_kwargs == {"place": "Bergen"}


# -- living in a program


def test_settings_hand_their_manager_on(make: Any, provider: ProviderServer) -> None:
    """A manager set for the whole program reaches the tiers, which are who calls back."""
    counter = TokenCountingHandler(tokenizer=str.split)
    before = (Settings._llm, Settings._callback_manager)
    try:
        Settings.llm = TuppenceLLM([make(SMALL)], ledger=False)
        Settings.callback_manager = CallbackManager([counter])
        Settings.llm.chat([user("Hello")])
    finally:
        Settings._llm, Settings._callback_manager = before
    assert counter.total_llm_token_count == provider.served[0].usage["total_tokens"]


def test_a_model_with_handlers_of_its_own_keeps_them(make: Any, provider: ProviderServer) -> None:
    """What the user attached to one model stays attached to it alone."""
    own, shared = TokenCountingHandler(tokenizer=str.split), TokenCountingHandler(tokenizer=str.split)
    provider.model(SMALL, replies=REFUSAL)
    llm = TuppenceLLM(
        [make(SMALL, callback_manager=CallbackManager([own])), make(LARGE)],
        ledger=False, callback_manager=CallbackManager([shared]),
    )  # fmt: skip
    llm.chat([user("Hello")])
    small, large = provider.served
    assert own.total_llm_token_count == small.usage["total_tokens"]
    assert shared.total_llm_token_count == large.usage["total_tokens"]


def test_its_dictionary_holds_no_key(make: Any) -> None:
    """What observers and stores get of it names the tiers and no secret."""
    llm = TuppenceLLM([make(SMALL, api_key="sk-secret")], ledger=False)
    assert "sk-secret" not in llm.to_json()
    assert llm.to_dict()["tiers"] == (SMALL,)


def test_an_answer_goes_when_its_last_user_does(make: Any) -> None:
    """A call holds itself in no circle: its prompt and answer do not wait for the garbage collector."""
    llm = TuppenceLLM([make(SMALL)], ledger=False)
    gc.disable()
    try:
        asked = user("Hello")
        kept = [weakref.ref(asked), weakref.ref(llm.chat([asked])), weakref.ref(list(llm.stream_chat([asked]))[-1])]
        del asked
        assert [one() for one in kept] == [None, None, None]
    finally:
        gc.enable()


def test_a_deep_copy_is_the_model_itself(make: Any) -> None:
    """Programs that copy their configuration share its cache, ledger and connections."""
    llm = TuppenceLLM([make(SMALL)], ledger=False)
    assert copy.deepcopy({"llm": llm})["llm"] is llm


def test_a_pickled_copy_keeps_its_options(make: Any) -> None:
    """Options survive, as the user gave them."""
    llm = TuppenceLLM([make(SMALL)], ledger=False, cache=False, threshold=0.25, check=not_empty(), version="v3")
    loaded = pickle.loads(pickle.dumps(llm))
    assert (loaded.policy.threshold, loaded.policy.check) == (0.25, llm.policy.check)
    assert loaded.policy.version == llm.policy.version
