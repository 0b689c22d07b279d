"""Every way of asking in every situation: all who count agree with the server's log, token by token, pico by pico."""

from collections import Counter
from typing import Any

import anthropic
import openai
import pytest

from .script import CITY, REFUSAL, City, Step, good_text, say
from .situations import HIT, SITUATIONS, Situation
from .surfaces import SURFACES, Seen, Surface, twice
from .world import World, asked, cached

QUESTION = "When do you open the harbour?"


def cells() -> list[Any]:
    """Return the cells that exist, each with one of the two orders of providers; neighbours differ in it.

    Of the agents' cells, which are the slow ones, every other: each situation still meets two agents at least.
    """
    return [
        pytest.param(surface, situation, "oa" if (i + j // 2) % 2 else "ao", id=f"{surface.name}-{situation.name}")
        for i, surface in enumerate(SURFACES)
        for j, situation in enumerate(SITUATIONS)
        if surface.form in situation.forms and (surface.form != "agent" or (i + j) % 2)
    ]


@pytest.mark.parametrize(("surface", "situation", "order"), cells())
def test_all_who_count_agree(world: World, surface: Surface, situation: Situation, order: str) -> None:
    """Ledger, handlers, blocks, messages and LangChain's counts are the server's bill; no draft is shown."""
    for name in (*situation.tiers, *situation.judges):
        if name in ("small", "middle", "large"):
            say(world.server, f"{name}-model", situation.says.get(name, (AssertionError,)))
    cache = cached() if situation.rounds > 1 else None
    llm = world.llm(order=order, tiers=situation.tiers, judges=situation.judges, cache=cache, **situation.options)
    if situation.answer is None:
        with pytest.raises((openai.APIError, anthropic.APIError)):
            asked(surface, llm, QUESTION, world.config)
        seen = []
    else:
        seen = asked(surface, llm, QUESTION, world.config, rounds=situation.rounds)
    world.audit()
    calls = surface.calls if surface.form != "agent" or answered_well(situation) else 1
    assert world.lines() == Counter({situation.attempts: calls}) + Counter({(HIT,): calls * (situation.rounds - 1)})
    world.audit_calls(calls * situation.rounds)
    for one in seen:
        for message in one.messages:
            world.audit_message(message)
        assert_answered(one, surface, situation)


def answered_well(situation: Situation) -> bool:
    """Say whether an agent gets so far as to call its tool."""
    return situation.answer not in (None, Step.BAD)


def assert_answered(seen: Seen, surface: Surface, situation: Situation) -> None:
    """The user got the accepted answer whole, once, and nothing else."""
    if surface.form == "structured":
        assert seen.parsed == [City(**CITY)]
        return
    questions = twice(QUESTION) if "batch" in surface.name else [QUESTION]
    texts = [text_of(situation, question) for question in questions]
    assert seen.shown in (None, *texts)
    if seen.messages:
        assert [message.text for message in seen.messages][-len(texts) :] == texts


def text_of(situation: Situation, question: str) -> str:
    if isinstance(situation.answer, str):
        return situation.answer
    return REFUSAL if situation.answer is Step.BAD else good_text(question)
