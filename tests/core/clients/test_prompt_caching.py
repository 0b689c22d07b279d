"""The planner in the flow: which calls it plans, what it may cost them, and how a warm prefix keeps a conversation."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from tuppence.cache.prefix import Planned, PrefixPlan, PrefixPlanner
from tuppence.checks import judged_by
from tuppence.clients import result_of
from tuppence.context import tags
from tuppence.errors import ConfigError
from tuppence.request import Mark, Request
from tuppence.routes import only
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.testing.prefix_cache import PrefixCache
from tuppence.tiers import Tier

from .told import Wrapped, story

RULES = "Be short and never guess. " * 400
REFUSAL = "I'm sorry, but I can't help with that."
SMALL, LARGE, MARKED = "gpt-4o-mini", "gpt-4o", "gpt-6-sol"
PRICES = {
    SMALL: {"input": "1", "output": "2", "cache_read": "0.5"},
    LARGE: {"input": "5", "output": "20", "cache_read": "0.5"},
    MARKED: {"input": "5", "output": "20", "cache_read": "0.5", "cache_write_5m": "6.25"},
}


class Broken(PrefixPlanner):
    """Every part of it fails."""

    def plan(self, request: Request, tier: Tier, **_: Any) -> Planned:
        raise RuntimeError("no plan")

    def spared(self, *_: Any) -> dict[str, str]:
        raise RuntimeError("no tiers")


class Forgetful(PrefixPlanner):
    """It plans, and breaks when it is told what came of it."""

    def answered(self, *_: Any) -> None:
        raise RuntimeError("no answer")


class Marking(PrefixPlanner):
    """It marks the instructions, whatever they are."""

    def plan(self, request: Request, tier: Tier, **_: Any) -> Planned:
        return Planned(PrefixPlan("as the test says", (Mark(0, "30m"),)))


@pytest.fixture
def client(openai_client: openai.OpenAI, wrapped: Wrapped) -> Any:
    """Wrap the client with a small and a large model whose prefixes their provider keeps by itself."""

    def client(**options: Any) -> Any:
        given = {"tiers": {"small": SMALL, "large": LARGE}, "prices": PRICES, "prompt_cache": True}
        return wrapped(openai_client, **{**given, **options})

    return client


def ask(client: Any, *turns: str, model: str = "auto") -> Any:
    """Ask with long instructions and what was said, by the user and the model in turn."""
    roles = ("user", "assistant")
    said: list[Any] = [{"role": "system", "content": RULES}]
    said += [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]
    return client.chat.completions.create(model=model, messages=said)


def sent(server: ProviderServer) -> list[str]:
    return [json.dumps(one.request) for one in server.served]


def keeps(server: ProviderServer, *, small: str = REFUSAL) -> None:
    """Have the provider keep what the large model is sent; the small one answers as it is told."""
    server.model(SMALL, replies=small)
    server.model(LARGE, replies=PrefixCache(minimum_tokens=1024).chat)


# -- which calls are planned


def test_a_call_says_what_was_asked_of_each_tiers_cache(server: ProviderServer, client: Any) -> None:
    """By tier, with the reason; drafts are planned like answers."""
    keeps(server)
    decision = result_of(ask(client(), "Why?")).decision
    assert decision.prefix.startswith("small: the provider caches by itself") and "; large: the pro" in decision.prefix
    assert all("prompt_cache_key" in request for request in sent(server))


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_only_optimised_calls_are_planned(server: ProviderServer, client: Any, mode: str) -> None:
    """To observe is to change nothing."""
    keeps(server)
    assert result_of(ask(client(mode=mode), "Why?")).decision.prefix == ""
    assert "prompt_cache_key" not in sent(server)[0]


def test_a_judges_question_is_not_planned(server: ProviderServer, client: Any) -> None:
    """It shares no beginning with what the caller asks."""
    server.model(SMALL, replies="Yes.")
    server.model(LARGE, replies=RULES)
    ask(client(judges={"judge": LARGE}, check=judged_by("judge")), "Why?")
    assert ["prompt_cache_key" in request for request in sent(server)[:2]] == [True, False]


def test_what_had_changed_is_told_beside_the_plan(server: ProviderServer, client: Any) -> None:
    """In the decision with the span; in what goes to logs and traces without a word of the prompt."""
    keeps(server, small="Yes.")
    wrapped = client()
    for day in ("2026-11-20", "2026-11-20", "2026-11-21"):
        said: Any = [{"role": "system", "content": f"Today is {day}. {RULES}"}, {"role": "user", "content": "Why?"}]
        result = result_of(wrapped.chat.completions.create(model="auto", messages=said))
    assert "'2026-11-20' -> '2026-11-21'" in result.decision.drift
    assert "move the date" in result.summary()["prefix"] and "2026" not in json.dumps(result.summary())


# -- it never breaks a call


@pytest.mark.parametrize(("planner", "faults"), [(Broken(), 2), (Forgetful(), 1)])
def test_a_planner_that_breaks_is_gone_round(
    server: ProviderServer, client: Any, planner: PrefixPlanner, faults: int
) -> None:
    """And what broke is on record."""
    keeps(server, small="Yes.")
    answer = ask(client(prompt_cache=planner), "Why?")
    assert answer.choices[0].message.content == "Yes."
    assert [fault.startswith("prefix: RuntimeError: no ") for fault in result_of(answer).decision.faults] == [
        True
    ] * faults


def test_a_request_that_is_refused_for_its_marks_is_sent_without(server: ProviderServer, client: Any) -> None:
    """Once; later ones are sent without at once. The refusal is an attempt, which costs nothing."""

    def strict(request: dict[str, Any]) -> Turn | Fault:
        refused = "prompt_cache" in json.dumps(request)
        return Fault(status=400, message="Unknown parameter") if refused else Turn("Yes.")

    server.model(LARGE, replies=strict)
    wrapped = client(tiers={"large": LARGE})
    first, second = (result_of(ask(wrapped, "Why?")) for _ in range(2))
    assert story(first) == [("large", "draft", "failed"), ("large", "retry", "accepted")]
    assert story(second) == [("large", "draft", "accepted")] and "refused" in second.decision.prefix
    assert "takes no marks" in first.decision.route and first.attempts[0].pico_usd == 0


def test_a_request_that_is_wrong_in_itself_fails_as_it_would(server: ProviderServer, client: Any) -> None:
    """It is sent once more, without marks, and what the provider says is raised; the marks are not to blame."""
    server.model(LARGE, replies=[Fault(status=400), Fault(status=400), Turn("Yes.")])
    wrapped = client(tiers={"large": LARGE})
    with pytest.raises(openai.BadRequestError):
        ask(wrapped, "Why?")
    ask(wrapped, "Why?")
    assert ["prompt_cache_key" in request for request in sent(server)] == [True, False, True]


def test_retries_count_once_as_traffic(server: ProviderServer, client: Any) -> None:
    """A provider that was busy had seen the same call, not another."""
    server.model(LARGE, replies=[Turn("Yes."), Fault(status=503), Turn("Yes.")])
    wrapped = client(tiers={"large": LARGE})
    ask(wrapped, "Why?")
    told = [result_of(ask(wrapped, "Why?")) for _ in range(2)][-1]
    assert len(server.served) == 4 and "50% come in time" in told.decision.prefix


# -- what leaving a warm prefix costs


def test_a_conversation_stays_with_the_model_that_holds_it(server: ProviderServer, client: Any) -> None:
    """2,000 tokens cost more as the small model's input than read from the large one's cache."""
    keeps(server)
    wrapped = client()
    ask(wrapped, "Why?", model="large")
    result = result_of(ask(wrapped, "Why?", "Yes.", "Sure?"))
    assert story(result) == [("large", "draft", "accepted")]
    assert "small passed over: large holds" in result.decision.route
    assert result.attempts[0].usage.cache_read > 1024


def test_a_limit_that_the_warm_model_could_pass_leaves_the_ladder(server: ProviderServer, client: Any) -> None:
    """Its prefix may have grown cold by then: only the small model is sure to keep within the limit."""
    keeps(server, small="Yes.")
    planner = PrefixPlanner()
    ask(client(prompt_cache=planner), "Why?", model="large")
    limited = client(prompt_cache=planner, max_usd_per_call="0.01")
    assert story(result_of(ask(limited, "Why?", "Yes.", "Sure?"))) == [("small", "draft", "accepted")]


def test_a_function_is_asked_all_the_same(server: ProviderServer, client: Any) -> None:
    """It costs nothing; the model behind it is passed over."""
    keeps(server)
    wrapped = client(tiers={"rules": lambda _request: None, "small": SMALL, "large": LARGE})
    ask(wrapped, "Why?", model="large")
    result = result_of(ask(wrapped, "Why?", "Yes.", "Sure?"))
    assert story(result) == [("large", "draft", "accepted")] and "rules declined" in result.decision.route


def test_a_ladder_that_is_warm_all_the_way_is_climbed_as_ever(server: ProviderServer, client: Any) -> None:
    """The small model was asked first, and holds the beginning too."""
    keeps(server)
    wrapped = client()
    ask(wrapped, "Why?")
    assert story(result_of(ask(wrapped, "Why?", "Yes.", "Sure?")))[0][0] == "small"


def test_a_prefix_that_has_grown_cold_holds_nobody(
    server: ProviderServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes later: it was kept for five."""
    keeps(server)
    wrapped = client()
    ask(wrapped, "Why?", model="large")
    later = time.time() + 600
    monkeypatch.setattr(time, "time", lambda: later)
    assert story(result_of(ask(wrapped, "Why?", "Yes.", "Sure?")))[0][0] == "small"


def test_long_answers_are_worth_leaving_for(server: ProviderServer, client: Any) -> None:
    """They cost ten times as much at the large model, so that its warm prefix does not make up for them."""
    keeps(server)
    wrapped = client()
    ask(wrapped, "Why?", model="large")
    assert story(result_of(ask(wrapped, "Why?", "Because. " * 300, "Sure?")))[0][0] == "small"


def test_without_an_answer_to_go_by_the_ladder_stays(server: ProviderServer, client: Any) -> None:
    """The same question again: how long an answer will be, nobody knows."""
    keeps(server)
    wrapped = client()
    ask(wrapped, "Why?", model="large")
    assert story(result_of(ask(wrapped, "Why?")))[0][0] == "small"


def test_tenants_do_not_hold_each_others_prefixes(server: ProviderServer, client: Any) -> None:
    """What another tenant's calls left at the provider is no reason to go there."""
    keeps(server)
    wrapped = client()
    with tags(tenant="a"):
        ask(wrapped, "Why?", model="large")
    with tags(tenant="b"):
        assert story(result_of(ask(wrapped, "Why?", "Yes.", "Sure?")))[0][0] == "small"


def test_no_tier_that_a_guard_took_away_comes_back(server: ProviderServer, client: Any) -> None:
    """The small model alone may see the text: it is asked, whoever holds what."""
    keeps(server, small="Yes.")
    planner = PrefixPlanner()
    ask(client(prompt_cache=planner), "Why?", model="large")
    guarded = client(prompt_cache=planner, guards=[only("small")])
    assert story(result_of(ask(guarded, "Why?", "Yes.", "Sure?"))) == [("small", "draft", "accepted")]


@pytest.mark.parametrize(("kept", "asked"), [(False, "small"), (True, "large")])
def test_what_was_marked_counts_as_held_only_when_the_provider_says_so(
    server: ProviderServer, client: Any, kept: bool, asked: str
) -> None:
    """Where nothing was read or written, the mark came to nothing, and the ladder stays."""
    server.model(SMALL, replies=REFUSAL)
    server.model(MARKED, replies=PrefixCache(minimum_tokens=1024).chat_with_breakpoints if kept else "Yes.")
    wrapped = client(tiers={"small": SMALL, "large": MARKED})
    for _ in range(4):
        ask(wrapped, "Why?", model="large")
    assert "prompt_cache_breakpoint" in sent(server)[-1]
    assert story(result_of(ask(wrapped, "Why?", "Yes.", "Sure?")))[0][0] == asked


# -- the option


def test_the_option_is_true_or_a_planner(client: Any) -> None:
    """Anything else is told at once."""
    with pytest.raises(ConfigError, match="prompt_cache is 'yes'"):
        client(prompt_cache="yes")
