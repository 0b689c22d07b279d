"""Room for calls of models that are not tuppence's: held before they are asked, and closed with what they cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.effects import Reserve
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.prices import PriceBook, gpu_hour_rate, pico_usd, token_rate
from tuppence.request import Message, Request
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.budgets.holding import Asked, Holding, SoftLimitReached
from tuppence.usage import Usage

RATE = token_rate(input="1", output="2")
BOOK = PriceBook(overrides={"m": RATE, "dearer": token_rate(input="10", output="20"), "gpu": gpu_hour_rate("3.60")})
DAY = Budget(usd="1", per="day")
USED = Usage(input=10, output=5)
COST = RATE.cost(USED)


def asked(model: str = "m", text: str = "How much is tea?", *, marked: bool = False, **params: Any) -> Asked:
    request = Request((Message("user", text),), params={"max_tokens": 100, **params})
    return Asked(model, request, marked=marked)


def made(*budgets: Budget, **options: Any) -> tuple[Holding, Budgets]:
    held = Budgets(*(budgets or (DAY,)), **options)
    return Holding(held, BOOK), held


def stands(budgets: Budgets) -> tuple[int, int]:
    """Return what was spent and what is held, in pico-dollars."""
    (one,) = budgets.standing()
    return pico_usd(one.spent_usd), pico_usd(one.held_usd)


def test_what_a_call_may_come_to_is_held_and_what_it_cost_is_charged() -> None:
    """The rest goes back."""
    holding, budgets = made()
    held = holding.reserve("a call", asked())
    assert held is not None
    assert stands(budgets) == (0, held.pico_usd)
    # 100 tokens of output at 2 millionths, and a few of input at one.
    assert 200 * 10**6 < held.pico_usd < 215 * 10**6
    holding.close(held, USED)
    assert stands(budgets) == (COST, 0)


def test_closing_twice_counts_once() -> None:
    """However it is done."""
    holding, budgets = made()
    held = holding.reserve("a call", asked())
    assert held is not None
    for _ in range(2):
        holding.close(held, USED)
        holding.close_unasked(held)
    assert stands(budgets) == (COST, 0)


def test_the_price_is_that_of_the_model_that_answered() -> None:
    """Where it says so, and that has a price."""
    holding, budgets = made()
    for call, model in enumerate(("dearer", "of an unknown name", None)):
        held = holding.reserve(str(call), asked())
        assert held is not None
        holding.close(held, USED, model=model)
    assert stands(budgets) == (12 * (COST or 0), 0)


def test_an_answer_that_says_nothing_is_charged_by_an_estimate() -> None:
    """From the question and the answer."""
    holding, budgets = made()
    held = holding.reserve("a call", asked())
    assert held is not None
    holding.close(held, None, text="Two pence a cup.")
    spent, left = stands(budgets)
    assert 0 < spent < held.pico_usd
    assert left == 0


@pytest.mark.parametrize(
    ("error", "text", "charged"),
    [
        (ValueError("anything"), "", True),
        (asyncio.CancelledError(), "", True),
        (GeneratorExit(), "Two", True),
        (ConnectionRefusedError("nobody there"), "", False),
        (ConnectionRefusedError("nobody there"), "Two", True),
    ],
)
def test_a_call_that_failed_is_charged_if_it_had_begun(error: BaseException, text: str, charged: bool) -> None:
    """Not where it was never sent, and nothing came."""
    holding, budgets = made()
    held = holding.reserve("a call", asked())
    assert held is not None
    holding.close_failed(held, error, text=text)
    spent, left = stands(budgets)
    assert (spent > 0, left) == (charged, 0)


def test_a_call_that_nobody_can_tell_of_is_charged_what_it_held() -> None:
    """The bound is all that is known; so it is where something that was used has no price."""
    holding, budgets = made()
    first, second = (holding.reserve(call, asked()) for call in ("first", "second"))
    assert first is not None
    assert second is not None
    holding.close_whole(first)
    holding.close(second, Usage(input=1, calls=(("web_search", 1),)))
    assert stands(budgets) == (first.pico_usd + second.pico_usd, 0)


def test_a_model_paid_by_the_hour_holds_a_minute_and_pays_its_time() -> None:
    """A thousandth of a dollar a second."""
    holding, budgets = made()
    held = holding.reserve("a call", asked("gpu"))
    assert held is not None
    assert held.pico_usd == pico_usd("0.06")
    holding.close(held, Usage())
    spent, left = stands(budgets)
    assert 0 < spent < held.pico_usd
    assert left == 0


def test_several_answers_are_held_for_each() -> None:
    """`n=3` asks for three of the longest; the prompt is billed once."""
    holding, _ = made()
    one, three = holding.reserve("one", asked()), holding.reserve("three", asked(n=3))
    assert one is not None
    assert three is not None
    assert 2 * one.pico_usd < three.pico_usd < 3 * one.pico_usd


def test_a_prompt_that_is_to_be_kept_may_cost_more() -> None:
    """What a provider asks for writing its prompt cache is held as well."""
    book = PriceBook.default()
    holding = Holding(Budgets(DAY), book)
    plain, marked = (
        holding.reserve(str(mark), asked("claude-haiku-4-5", "tea " * 500, marked=mark)) for mark in (False, True)
    )
    assert plain is not None
    assert marked is not None
    assert marked.pico_usd > 1.5 * plain.pico_usd


def test_a_soft_budget_stops_only_who_has_something_cheaper() -> None:
    """The others are counted, without its limit and under all others'."""
    soft = Budget(usd="0.0001", per="day", soft=True)
    holding, budgets = made(soft)
    with pytest.raises(SoftLimitReached, match="budget soft day has"):
        holding.reserve("a call", asked(), stop_at_soft=True)
    assert budgets.standing() == []
    held = holding.reserve("a call", asked())
    assert held is not None
    assert stands(budgets) == (0, held.pico_usd)
    both, _ = made(soft, Budget(usd="0.0001", per="month"))
    with pytest.raises(BudgetExceeded, match="budget month has"):
        both.reserve("a call", asked())


def test_one_call_has_limits_of_its_own() -> None:
    """They need no counter."""
    holding, budgets = made(Budget(usd="0.0001", per="call"))
    with pytest.raises(BudgetExceeded, match=r"may cost up to \$0\.0002\d+, more than the \$0\.0001"):
        holding.reserve("a call", asked())
    gentle, _ = made(Budget(usd="0.0001", per="call", soft=True))
    with pytest.raises(SoftLimitReached):
        gentle.reserve("a call", asked(), stop_at_soft=True)
    held = gentle.reserve("a call", asked())
    assert held is not None
    gentle.close(held, USED)
    assert budgets.standing() == []


@pytest.mark.parametrize("model", ["nobody-knows-me", "", "  "])
def test_without_a_price_there_is_no_call(model: str) -> None:
    """Unless that is allowed: then it is let through, and counts nothing."""
    holding, budgets = made()
    with pytest.raises(BudgetError, match=r"no price is known for model.*with_overrides.*unpriced='allow'"):
        holding.reserve("a call", asked(model))
    assert budgets.standing() == []
    allowing, counted = made(unpriced="allow")
    held = allowing.reserve("a call", asked(model))
    assert held is not None
    allowing.close(held, USED)
    assert stands(counted) == (0, 0)


def test_who_is_interrupted_while_reserving_gives_back_what_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the store took it in cannot be known."""
    holding, budgets = made()
    counters = budgets.counters
    reserve = counters.reserve

    def interrupted(asked_for: Reserve, /) -> Any:
        reserve(asked_for)
        raise KeyboardInterrupt

    monkeypatch.setattr(counters, "reserve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        holding.reserve("a call", asked())
    assert stands(budgets) == (0, 0)


calls = st.lists(
    st.tuples(
        st.integers(1, 400), st.integers(0, 100), st.sampled_from(["close", "fail", "whole", "unasked", "leave"])
    ),
    max_size=30,
)


@given(calls)
def test_what_is_spent_and_held_never_passes_a_limit(made_calls: list[tuple[int, int, str]]) -> None:
    """Whatever calls come and however they end, where each costs at most what was held for it."""
    holding, budgets = made(Budget(usd="0.002", per="day"))
    expected = 0
    for number, (words, output, end) in enumerate(made_calls):
        try:
            held = holding.reserve(str(number), asked(text="tea " * words))
        except BudgetExceeded:
            continue
        assert held is not None
        cost = RATE.cost(Usage(input=words, output=output)) or 0
        if end == "close":
            holding.close(held, Usage(input=words, output=output))
            expected += cost
        elif end == "fail":
            holding.close_failed(held, ConnectionRefusedError())
        elif end == "whole":
            holding.close_whole(held)
            expected += held.pico_usd
        elif end == "unasked":
            holding.close_unasked(held)
        spent, under_way = stands(budgets)
        assert spent == expected
        assert spent + under_way <= pico_usd("0.002")
    if made_calls:
        budgets.sweep(time.time() + 1000)
        assert stands(budgets) == (expected, 0)
