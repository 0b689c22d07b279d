"""What shapers do to a call: the order, what is sent, what is written down, and that none of them can fail it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tuppence.assembly import open_shape
from tuppence.attempts import Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.drivers import run
from tuppence.effects import Choice, Consult, Plan, Shaped
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.policy import Policy, Retries, switch_off, switch_on
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Drop, Edits, Insert, Message, Replace, Reply, Request
from tuppence.routes import by_data_class
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

SMALL, LARGE = (Tier(name, model=name, rate=token_rate(input="1", output="2")) for name in ("small", "large"))
LONG = Request(
    (Message("system", "be short"), Message("user", "one two three four"), Message("user", "why?")), received_at=1.0
)


@dataclass(frozen=True)
class Cutting:
    """Replaces one message's text."""

    index: int = 1
    text: str = "one"
    saved: int = 3

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        return Shaped(Edits((Replace(self.index, self.text),)), f"cut message {self.index}", self.saved)


@dataclass(frozen=True)
class Summing:
    """Has another tier write the text."""

    tier: str = "small"
    names = frozenset({"small"})

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Plan[Shaped]:
        return self._asked(request)

    def _asked(self, request: Request) -> Plan[Shaped]:
        outcome = yield from Consult(self.tier, Request((request.messages[1],)), "condense")
        if not isinstance(outcome, Reply):
            return Shaped(Edits(), "no summary: kept as it was")
        return Shaped(Edits((Replace(1, outcome.text),)), "summed up", 2)


def breaking(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    raise ValueError("broken pruner")


def call(*shape: Any, models: ScriptedModels | None = None, request: Request = LONG, **options: Any) -> Result:
    defaults: dict[str, Any] = {"tiers": (SMALL, LARGE), "check": None, "retries": Retries(base_s=0.0), "shape": shape}
    policy = Policy(**{**defaults, **options})
    port = Port(models or ScriptedModels(small="yes", large="yes"), cache=policy.cache)
    return run(plan(request, policy), port)


def texts(models: ScriptedModels, ask: int = -1) -> list[str]:
    return [message.text for message in models.asked[ask].request.messages]


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    yield
    switch_on()


class TestWhatIsSent:
    def test_a_shaped_request_is_what_a_tier_gets(self) -> None:
        """And the usage is that of what was sent."""
        models = ScriptedModels(small="yes")
        result = call(Cutting(), models=models)
        assert texts(models) == ["be short", "one", "why?"]
        assert result.attempts[0].usage.input == 4

    def test_each_shaper_sees_what_the_one_before_it_left(self) -> None:
        """Indices are those of the request as it is by then."""
        models = ScriptedModels(small="yes")

        def dropping(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
            return Shaped(Edits((Drop(1), Insert(1, "user", "earlier: a list"))), "dropped a turn", 1)

        result = call(dropping, Cutting(1, "a list", 1), models=models)
        assert texts(models) == ["be short", "a list", "why?"]
        assert result.decision.shape == "dropped a turn; cut message 1"
        assert result.decision.pruned_tokens == 2

    def test_every_tier_gets_the_same_shape(self) -> None:
        """An escalation sends the shaped request too, and its check saw that one."""
        seen: list[str] = []

        def check(request: Request, reply: Reply) -> Verdict:
            seen.append(request.messages[1].text)
            return Verdict(0.0, "no")

        models = ScriptedModels(small="bad", large="good")
        call(Cutting(), models=models, check=check)
        assert texts(models, 0) == texts(models, 1) == ["be short", "one", "why?"]
        assert seen == ["one"]

    def test_routes_see_the_shaped_request(self) -> None:
        """A prompt that has become short needs no long-context tier."""
        seen: list[str] = []

        def route(request: Request, ladder: tuple[Tier, ...]) -> Choice:
            seen.append(request.messages[1].text)
            return Choice(ladder, "any")

        call(Cutting(), route=route)
        assert seen == ["one"]

    def test_tools_are_written_shorter_for_every_tier(self) -> None:
        """By the edit that each ask carries."""
        models = ScriptedModels(small="yes")

        def shorter(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
            return Shaped(Edits(tools=lambda tools: [{"name": tool["name"]} for tool in tools]), "tools", 5)

        request = Request((Message("user", "hi"),), tools=({"name": "look", "title": "Look"},), received_at=1.0)
        call(shorter, models=models, request=request)
        edit = models.asked[0].edits.tools
        assert edit is not None
        assert edit([{"name": "look", "title": "Look"}]) == [{"name": "look"}]


class TestTheCache:
    def test_a_repeat_is_served_before_anything_is_shaped(self) -> None:
        """The exact cache goes by the request as it came."""
        cache = ExactCache(MemoryStore())
        asked: list[int] = []

        def counting(request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
            asked.append(1)
            return Shaped(Edits(), "")

        for _ in range(2):
            result = call(counting, cache=cache)
        assert result.attempts[-1].outcome == "hit"
        assert len(asked) == 1

    def test_another_shape_has_a_cache_of_its_own(self) -> None:
        """An answer to a pruned prompt is not one to the whole prompt."""
        cache = ExactCache(MemoryStore())
        assert call(cache=cache).attempts[-1].outcome == "accepted"
        assert call(Cutting(), cache=cache).attempts[-1].outcome == "accepted"
        assert call(Cutting(), cache=cache).attempts[-1].outcome == "hit"


class TestASummary:
    def test_is_an_attempt_of_the_call(self) -> None:
        """Its cost is on the call's books, under its cause."""
        models = ScriptedModels(small=["the gist", "yes"], large="never")
        result = call(Summing(), models=models)
        assert [(a.tier, a.cause, a.outcome) for a in result.attempts] == [
            ("small", "condense", "consulted"), ("small", "draft", "accepted"),
        ]  # fmt: skip
        assert texts(models) == ["be short", "the gist", "why?"]
        assert result.pico_usd == sum(a.pico_usd or 0 for a in result.attempts) > 0

    def test_is_not_asked_of_a_tier_that_a_guard_keeps_away(self) -> None:
        """Its prompt quotes the request."""
        private = Request(LONG.messages, tags={"data": "private"}, received_at=1.0)
        own = Tier("own", model="own", rate=SMALL.rate, self_hosted=True)
        result = call(
            Summing(), request=private, tiers=(SMALL, own), guards=(by_data_class(),),
            models=ScriptedModels(small="never", own="yes"),
        )  # fmt: skip
        assert [a.tier for a in result.attempts] == ["own"]
        assert result.decision.shape == "no summary: kept as it was"

    def test_by_a_tier_that_is_not_there_is_refused_at_once(self) -> None:
        """When the policy is made, not when it is used."""
        with pytest.raises(ConfigError, match="shape"):
            call(Summing(), tiers=(LARGE,))


class TestFailure:
    def test_a_shaper_that_breaks_is_gone_round(self) -> None:
        """The request goes out as it was, and the others still shape it."""
        models = ScriptedModels(small="yes")
        result = call(breaking, Cutting(), models=models)
        assert texts(models) == ["be short", "one", "why?"]
        assert result.decision.faults == ["shape: ValueError: broken pruner"]

    def test_edits_that_cannot_be_made_are_gone_round(self) -> None:
        """An index that does not exist changes nothing."""
        models = ScriptedModels(small="yes")
        result = call(Cutting(index=9), models=models)
        assert texts(models) == [message.text for message in LONG.messages]
        assert result.decision.pruned_tokens == 0
        assert "IndexError" in result.decision.faults[0]

    def test_a_plan_that_breaks_half_way_is_gone_round(self) -> None:
        """What it had asked by then is on the books."""

        def half(request: Request, _tiers: tuple[Tier, ...]) -> Plan[Shaped]:
            yield from Consult("small", Request((Message("user", "sum up"),)), "condense")
            raise RuntimeError("half-way")

        result = call(half)
        assert [a.cause for a in result.attempts] == ["condense", "draft"]
        assert result.decision.faults == ["shape: RuntimeError: half-way"]

    @pytest.mark.parametrize("what", ["tidy", Cutting, 3])
    def test_what_is_no_shaper_is_refused_at_once(self, what: Any) -> None:
        """When the policy is made."""
        with pytest.raises(ConfigError, match=r"shape\[0\] is .*: give a shaper"):
            call(what)

    def test_what_is_no_list_of_shapers_is_refused_at_once(self) -> None:
        """A single one, as easily written."""
        with pytest.raises(ConfigError, match="give a list of shapers"):
            open_shape(Cutting())  # type: ignore[arg-type]


class TestModes:
    def test_observing_changes_and_spends_nothing(self) -> None:
        """It says by how much the prompt would have been shorter."""
        models = ScriptedModels(large="yes")
        result = call(Summing(), Cutting(), models=models, mode="observe")
        assert texts(models) == [message.text for message in LONG.messages]
        assert result.decision.would == "send 3 tokens less (cut message 1)"
        assert [a.cause for a in result.attempts] == ["draft"]

    def test_switched_off_nothing_is_shaped(self) -> None:
        """As with every other optimisation."""
        switch_off()
        models = ScriptedModels(large="yes")
        call(breaking, Cutting(), models=models)
        assert texts(models) == [message.text for message in LONG.messages]
