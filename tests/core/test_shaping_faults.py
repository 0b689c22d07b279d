"""Shapers that are wrong: whatever one returns, the call is made, and its decision says what was wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tuppence.attempts import Result
from tuppence.drivers import run
from tuppence.effects import Plan, Shaped
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Edits, Message, Replace, Request
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

SMALL = Tier("small", model="small", rate=token_rate(input="1", output="2"))
TOOL = {"name": "look", "title": "Look", "type": "tool"}
LONG = Request((Message("system", "be short"), Message("user", "one two three")), tools=(TOOL,), received_at=1.0)


def call(*shape: Any, models: ScriptedModels, mode: str = "optimise") -> Result:
    policy = Policy(tiers=(SMALL,), check=None, shape=shape, mode=mode)  # type: ignore[arg-type]
    return run(plan(LONG, policy), Port(models))


def cutting(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    return Shaped(Edits((Replace(1, "one"),)), "cut", 2)


def plan_of(result: Any) -> Any:
    def shaper(_request: Request, _tiers: tuple[Tier, ...]) -> Plan[Any]:
        yield from ()
        return result

    return shaper


async def asynchronous(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    return Shaped(Edits(), "never read")


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(small="yes")


class TestWhatIsReturned:
    @pytest.mark.parametrize(
        ("returned", "told"),
        [
            (None, "returned NoneType"),
            ("shorter", "returned str"),
            (Edits((Replace(1, "one"),)), "returned Edits"),
            (iter(()), "returned tuple_iterator"),
            (Shaped(None, "no edits"), "NoneType in place of Edits"),  # type: ignore[arg-type]
            (Shaped(Edits(), 3), "int in place of str"),  # type: ignore[arg-type]
            (Shaped(Edits(), "text for a number", "4"), "str in place of int"),  # type: ignore[arg-type]
        ],
    )
    @pytest.mark.parametrize("mode", ["optimise", "observe"])
    def test_what_is_no_shape_is_named_and_gone_round(
        self, returned: Any, told: str, mode: str, models: ScriptedModels
    ) -> None:
        """At once or by a plan: the call is made with what the other shapers left."""
        for shaper in (lambda request, tiers: returned, plan_of(returned)):
            result = call(shaper, cutting, models=models, mode=mode)
            (fault,) = result.decision.faults
            assert told in fault
            assert result.attempts[-1].outcome == "accepted"
            assert models.asked[-1].request.messages[1].text == ("one" if mode == "optimise" else "one two three")

    @pytest.mark.parametrize("mode", ["optimise", "observe"])
    def test_an_async_function_is_no_shaper(self, mode: str, models: ScriptedModels) -> None:
        """It is said so in both modes, and no coroutine is left over."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = call(asynchronous, models=models, mode=mode)
        (fault,) = result.decision.faults
        assert "async function" in fault


class TestTools:
    def sent(self, models: ScriptedModels) -> list[Any]:
        edit = models.asked[-1].edits.tools
        assert edit is not None
        return edit([TOOL])

    @pytest.mark.parametrize("edit", [lambda tools: [][1], lambda tools: None, "no function"])
    def test_an_edit_that_breaks_leaves_them_as_they_were(self, edit: Any, models: ScriptedModels) -> None:
        """It runs late, when a tier is asked, and still must not fail the call."""
        result = call(lambda request, tiers: Shaped(Edits(tools=edit), "tools", 5), models=models)
        assert self.sent(models) == [TOOL]
        assert len(result.decision.faults) == 1

    def test_each_edit_is_made_on_what_the_one_before_it_left(self, models: ScriptedModels) -> None:
        """As with messages: the second shaper does not undo the first."""

        def without(key: str) -> Any:
            def edit(tools: Any) -> Iterator[Any]:
                return ({name: value for name, value in tool.items() if name != key} for tool in tools)

            return lambda request, tiers: Shaped(Edits(tools=edit), f"no {key}", 1)  # type: ignore[arg-type]

        result = call(without("title"), without("type"), models=models)
        assert self.sent(models) == [{"name": "look"}]
        assert result.decision.faults == []


class TestObserving:
    def test_what_all_shapers_would_save_is_added_up(self, models: ScriptedModels) -> None:
        """The first one's alone would be too little; each saw the whole request, so it may be too much, and says so."""
        result = call(cutting, lambda request, tiers: Shaped(Edits(), "tidied", 3), models=models, mode="observe")
        assert result.decision.would == "send up to 5 tokens less (cut; tidied)"
