"""What a chain is known by, and what one run of it cost: the core of the answer cache, without a framework."""

import asyncio
import os
import subprocess
import sys
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tuppence.answers import RunSpend, fingerprint
from tuppence.answers.measured import AT_COST, Inside
from tuppence.attempts import Attempt, Decision, Result
from tuppence.context import current_tags, spend, tags
from tuppence.request import Reply
from tuppence.usage import Usage


class Part:
    """A part of a chain, as a framework would have it."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Service:
    """Something that a part talks to."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Tea(BaseModel):
    price: int


class Cake(BaseModel):
    price: str


Cake.__qualname__ = Tea.__qualname__


def told(**held: Any) -> str:
    return fingerprint(Part(**held), (Part,))


def suffixed(end: str) -> Any:
    return lambda text: text + end


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prompt": "Be brief."}, {"prompt": "Be long."}),
        ({"k": 1}, {"k": 2}),
        ({"k": 1}, {"size": 1}),
        ({"k": 1}, {"k": True}),
        ({"k": ["a", "b"]}, {"k": ["b", "a"]}),
        ({"k": ["ab"]}, {"k": ["a", "b"]}),
        ({"schema": {"name": {"type": "string"}}}, {"schema": {"tags": {"type": "string"}}}),
        ({"schema": Tea}, {"schema": Cake}),
        ({"inner": Part(k=1)}, {"inner": Part(k=2)}),
        ({"inner": Part()}, {"inner": Service()}),
        ({"fn": suffixed("!")}, {"fn": suffixed("?")}),
        ({"fn": lambda text: text + "!"}, {"fn": lambda text: text + "?"}),
        ({"fn": partial(int, base=2)}, {"fn": partial(int, base=8)}),
        ({"fn": Part(k=1).__init__}, {"fn": Part(k=2).__init__}),
        ({"service": Service(collection="a")}, {"service": Service(collection="b")}),
    ],
)
def test_what_may_change_an_answer_tells_chains_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert told(**one) != told(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"k": {"x", "y", "z"}}, {"k": {"z", "y", "x"}}),
        ({"inner": Part(k=1)}, {"inner": Part(k=1)}),
        ({"fn": suffixed("!")}, {"fn": suffixed("!")}),
        ({"callbacks": [1], "tags": ["a"]}, {"callbacks": [], "tags": ["b"]}),
        ({"api_key": "one"}, {"api_key": "two"}),
        ({"service": Service(documents=["a"])}, {"service": Service(documents=["a", "b"])}),
        ({"id": "5ad1ad6c-3a4c-4d40-a3b4-7dc1e02dee7b"}, {"id": "0f0f0f0f-3a4c-4d40-a3b4-7dc1e02dee7b"}),
        ({"repr": "<Store at 0x7f2e28152d10>"}, {"repr": "<Store at 0x7f2e28152d99>"}),
    ],
)
def test_what_cannot_change_an_answer_does_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert told(**one) == told(**other)


def test_what_an_object_works_out_for_itself_does_not_count() -> None:
    """A chain is known by the same name before its first question and after it."""

    class Derives(Part):
        @cached_property
        def length(self) -> int:
            return 7

    class Remembers(Part):
        def __getstate__(self) -> dict[str, Any]:
            return {"k": self.__dict__["k"]}

    derives, remembers = Derives(k=1), Remembers(k=1)
    before = [fingerprint(part, (Part,)) for part in (derives, remembers)]
    assert derives.length == 7
    remembers.__dict__["seen"] = "a question"
    assert [fingerprint(part, (Part,)) for part in (derives, remembers)] == before


def test_a_chain_that_holds_itself_has_an_end() -> None:
    loop = Part(k=1)
    loop.whole = loop  # type: ignore[attr-defined]
    assert fingerprint(loop, (Part,))


PROGRAM = """
from tuppence.answers import fingerprint
class Part: pass
part = Part()
part.fn, part.words = (lambda text: text in {"a", "b", "c"}), {"x", "y", "z"}
print(fingerprint(part, (Part,)))
"""


def test_it_is_the_same_in_every_process() -> None:
    """Whatever order a process gives to sets: an answer in a file is found again."""
    made = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            check=True,
            text=True,
            capture_output=True,
            cwd=Path.home(),
        ).stdout
        for seed in range(4)
    }
    assert len(made) == 1


def paid(pico: int | None, **changes: Any) -> Result:
    attempt = Attempt(
        "small", "m", "draft", "accepted", Usage(), pico, "exact" if pico is not None else "unpriced", "", 0.0, 0.0
    )
    return Result("c", Reply("an answer", **changes), [attempt], Decision("optimise"), {})


@pytest.mark.parametrize(
    ("costs", "pico"),
    [([], 0), ([0], 0), ([7, 5], 12), ([10**19, 1], 10**19 + 1), ([None], None), ([7, None], 7)],
)
def test_a_run_costs_what_its_calls_cost_to_the_pico_dollar(costs: list[int | None], pico: int | None) -> None:
    """An unknown part makes a saving smaller, never larger; a run of unknown parts alone is unpriced."""
    spent = RunSpend()
    for cost in costs:
        spent.add(paid(cost))
    assert AT_COST.cost(spent.usage) == pico


@pytest.mark.parametrize(("finish", "partial"), [("stop", False), (None, False), ("length", True)])
def test_a_run_knows_whether_its_answers_were_whole(finish: Any, partial: bool) -> None:
    spent = RunSpend()
    spent.add(paid(1, finish=finish))
    assert spent.partial is partial
    short = paid(1)
    short.decision.fell_short = True
    spent.add(short)
    assert spent.partial


async def test_runs_at_the_same_time_are_told_apart() -> None:
    """What is settled in a run is counted there and in the blocks around it, and in no other run."""
    from tuppence.context import enclosing_spends

    async def run(pico: int) -> int:
        inside = Inside()

        async def calls() -> str:
            for _ in range(3):
                await asyncio.sleep(0)
                for one in enclosing_spends():
                    one.add(paid(pico))
            return current_tags()["user"]

        assert await inside.arun(calls) == "ann"
        return inside.spent.pico_usd

    with tags(user="ann"), spend() as outer:
        assert await asyncio.gather(*map(run, (1, 10, 100))) == [3, 30, 300]
    assert outer.pico_usd == 333
    assert enclosing_spends() == ()
