"""A history pruner as a policy's shaper: the price that decides, and what it says of itself."""

from __future__ import annotations

import json

import pytest

from tuppence.drivers import run
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import Rate, token_rate
from tuppence.prune.history import (
    Clearing,
    HistoryPolicy,
    HistoryPruner,
    HistoryShaper,
    PromptPrice,
    Summariser,
    Window,
    prompt_price,
)
from tuppence.request import Message, Request, ToolCall
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier, function_tier

PLAIN = token_rate(input="10", output="20")
ORDERS = json.dumps([{"id": f"ord-{n}", "city": "Porto", "amount": n * 3.5} for n in range(40)])


def talk() -> Request:
    turns: list[Message] = []
    for n in range(4):
        turns += [
            Message("user", f"Page {n}?"),
            Message("assistant", "", (ToolCall(f"c{n}", "orders", json.dumps({"page": n})),)),
            Message("tool", ORDERS, extra={"tool_call_id": f"c{n}"}),
            Message("assistant", f"ord-{n} is open."),
        ]
    return Request((Message("system", "Be brief."), *turns, Message("user", "What about ord-3?")), received_at=1.0)


def sent(shaper: HistoryShaper, *tiers: Tier) -> tuple[list[str], str]:
    """Return what a tier was sent of tools' results, and what the call's decision says."""
    models = ScriptedModels(**{tier.name: "yes" for tier in tiers if tier.answer is None})
    result = run(plan(talk(), Policy(tiers=tiers, check=None, shape=(shaper,))), Port(models))
    return [one.text for one in models.asked[-1].request.messages if one.role == "tool"], result.decision.shape


def tier(rate: Rate | None, name: str = "small") -> Tier:
    return Tier(name, model=name, rate=rate)


class TestThePriceThatDecides:
    def test_is_that_of_the_first_model(self) -> None:
        """A function that answers for nothing reads no prompt."""
        texts, told = sent(HistoryShaper(), function_tier("rules", lambda _request: None), tier(PLAIN))
        assert [one.startswith("[cleared ") for one in texts] == [True, True, True, False]
        assert told.startswith("history ") and "tokens shorter: clearing: saves" in told

    def test_without_one_only_what_is_free_is_done(self) -> None:
        """Results are written shorter as they arrive, and none is cleared."""
        texts, told = sent(HistoryShaper(), tier(None))
        assert all(len(one) < len(ORDERS) and not one.startswith("[cleared ") for one in texts)
        assert "no price is known" in told

    def test_is_the_callers_where_one_is_given(self) -> None:
        """The pruner's own, or what a function says of the tier."""
        own = HistoryPruner(price=PromptPrice(PLAIN, caches=False))
        assert sent(HistoryShaper(own), tier(None))[0][0].startswith("[cleared ")
        asked: list[str] = []

        def price_of(one: Tier) -> PromptPrice:
            asked.append(one.name)
            return PromptPrice(PLAIN, caches=False)

        assert sent(HistoryShaper(price_of=price_of), tier(None))[0][0].startswith("[cleared ")
        assert asked == ["small"]


@pytest.mark.parametrize(
    ("rate", "caches", "writes"),
    [
        (token_rate(input="10", output="20"), False, "input"),
        (token_rate(input="10", output="20", cache_read="10"), False, "input"),
        (token_rate(input="10", output="20", cache_read="1"), True, "input"),
        (token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5"), True, "cache_write_5m"),
    ],
)
def test_a_rate_says_whether_its_provider_holds_prefixes(rate: Rate, caches: bool, writes: str) -> None:
    """By what it sells reads and writes for."""
    price = prompt_price(tier(rate))
    assert price is not None
    assert (price.caches, price.writes) == (caches, writes)


class TestThePriceOfASummary:
    """Of a summariser that has none of its own."""

    @pytest.fixture
    def shaper(self) -> HistoryShaper:
        window = Window(keep_turns=1, relevant_turns=0, summariser=Summariser("notes"))
        return HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(window,))))

    def test_is_that_of_the_tier_that_is_asked(self, shaper: HistoryShaper) -> None:
        """Where the tier is one of the ladder, what it charges is known."""
        models = ScriptedModels(small="yes", notes="The user asked for pages.")
        tiers = (tier(PLAIN), tier(token_rate(input="0.1", output="0.4"), "notes"))
        run(plan(talk(), Policy(tiers=tiers, check=None, shape=(shaper,))), Port(models))
        assert [ask.tier.name for ask in models.asked] == ["notes", "small"]
        assert any(one.text.endswith("The user asked for pages.") for one in models.asked[-1].request.messages)

    def test_is_not_known_of_a_judge(self, shaper: HistoryShaper) -> None:
        """Which is no tier of the ladder: it is not asked, and nothing is left out."""
        models = ScriptedModels(small="yes", notes="never asked")
        judge = tier(token_rate(input="0.1", output="0.4"), "notes")
        policy = Policy(tiers=(tier(PLAIN),), judges=(judge,), check=None, shape=(shaper,))
        result = run(plan(talk(), policy), Port(models))
        assert [ask.tier.name for ask in models.asked] == ["small"]
        assert [one.role for one in models.asked[-1].request.messages] == [one.role for one in talk().messages]
        assert "no price is known of who would sum up" in result.decision.shape


class TestWhatItSaysOfItself:
    def test_which_tiers_it_asks(self) -> None:
        """So that a policy can say at once that one is not there."""
        window = Window(summariser=Summariser("notes", PLAIN))
        shaper = HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(window, Clearing()))))
        assert shaper.names == frozenset({"notes"})
        assert HistoryShaper().names == frozenset()

    def test_whether_its_stubs_name_a_tool(self) -> None:
        """Which a model must then have."""
        with_tool = HistoryPolicy(strategies=(Clearing(recover_with="recover_tool_output"),))
        assert HistoryShaper(HistoryPruner(with_tool)).recovers
        assert not HistoryShaper().recovers

    def test_another_way_to_shorten_is_another_policy(self) -> None:
        """Answers to differently shortened prompts do not share a cache."""
        policies = [
            Policy(tiers=(tier(PLAIN),), shape=(HistoryShaper(HistoryPruner(HistoryPolicy(strategies=one))),))
            for one in ((Clearing(),), (Clearing(),), (Clearing(keep_turns=5),))
        ]
        assert policies[0].scope == policies[1].scope != policies[2].scope
