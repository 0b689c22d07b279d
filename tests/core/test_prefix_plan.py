"""Plans for prefix caches: where marks go, when a write pays, and what is never done."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.cache.prefix import (
    NOTHING_SEEN,
    Point,
    PrefixPlan,
    PrefixPlanner,
    PrefixRule,
    Seat,
    Sighting,
    Traffic,
    break_even,
    expected_pico,
    plan_prefix,
    prompt_of,
    rule_for,
    switch_cost,
)
from tuppence.prices import PriceBook, Rate, token_rate
from tuppence.request import Mark, Message, Request, ToolCall
from tuppence.tiers import Tier
from tuppence.usage import Usage

CLAUDE, GPT, GPT_NOW, GEMINI = "claude-opus-5", "gpt-4o", "gpt-6-sol", "gemini-3.8-flash"
LOOK = {"type": "function", "function": {"name": "look", "description": "Look. " * 500, "parameters": {}}}
RULES = "Be short and never guess. " * 500
NOW = 1_795_000_000.0
BOOK = PriceBook.default()


def rule_of(model: str) -> PrefixRule:
    rule = rule_for(model, at=NOW)
    assert rule is not None
    return rule


def rate_of(model: str) -> Rate:
    rate = BOOK.rate(model, at=NOW)
    assert rate is not None
    return rate


def conversation(exchanges: int = 0, *, system: str = RULES, **options: Any) -> Request:
    turns = [Message(role, f"Turn {n}.") for n in range(exchanges) for role in ("user", "assistant")]  # type: ignore[arg-type]
    return Request((Message("system", system), *turns, Message("user", "And now?")), **options)


def seen(**gaps: list[int | None]) -> Traffic:
    return Traffic({name: tuple(Sighting(gap) for gap in given) for name, given in gaps.items()})  # type: ignore[misc]


def planned(request: Request, traffic: Traffic, model: str = CLAUDE) -> PrefixPlan:
    return plan_prefix(prompt_of(request, model), rule_of(model), rate_of(model), traffic)


# -- when a write pays


def test_nothing_is_written_before_anything_repeated() -> None:
    """A paid write without evidence is not made, and the plan says what it would cost more."""
    plan = planned(conversation(), NOTHING_SEEN)
    assert plan.marks == () and not plan.edits
    assert plan.planned_pico == plan.uncached_pico
    assert plan.reason.startswith("do not cache: it would cost $") and "it pays above 22%" in plan.reason


def test_instructions_that_come_again_within_minutes_are_marked_for_five() -> None:
    """Every request refreshes the entry: the hour's higher price buys nothing."""
    plan = planned(conversation(), seen(system=[10, 10, 200, 10]))
    assert plan.marks == (Mark(0, "5m"),)
    assert plan.reason.startswith("cache system for 5m: saves $")


def test_instructions_that_come_again_every_quarter_of_an_hour_are_marked_for_one() -> None:
    """After five minutes they would be gone each time."""
    assert planned(conversation(), seen(system=[900, 1000, 900, 800])).marks == (Mark(0, "1h"),)


def test_instructions_that_come_again_every_two_hours_are_not_marked() -> None:
    """No lifetime reaches that far."""
    assert planned(conversation(), seen(system=[7200] * 8)).marks == ()


@pytest.mark.parametrize(("warm", "marked"), [(21, False), (22, True)])
def test_the_break_even_of_five_minutes_is_five_in_twenty_three(warm: int, marked: bool) -> None:
    """(1.25 - 1) / (1.25 - 0.1) of the requests must find their prefix: 21.7%."""
    plan = planned(conversation(), seen(system=[10] * warm + [None] * (100 - warm)))
    assert bool(plan.marks) is marked


def test_break_even_is_exact() -> None:
    """(w - i) / (w - r), by the rate; 0 where a write is free; above 1 where reading saves nothing."""
    rate = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5", cache_write_1h="20")
    assert break_even(10_000, "cache_write_5m", rate) == Fraction(25, 115)
    assert break_even(10_000, "cache_write_1h", rate) == Fraction(10, 19)
    assert break_even(10_000, None, rate) == 0
    dear = token_rate(input="10", output="20", cache_read="13", cache_write_5m="12.5")
    assert (break_even(10_000, "cache_write_5m", dear) or 0) > 1
    assert break_even(10_000, "cache_write_1h", token_rate(input="1", output="1")) is None


def test_the_expected_cost_is_the_documented_sum() -> None:
    """Half of the requests read 4,000 tokens and write none; the others write them all; 100 are always new."""
    rate = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5")
    prompt = prompt_of(conversation(), CLAUDE)
    plan = plan_prefix(prompt, rule_of(CLAUDE), rate, seen(system=[10, None]))
    kept = prompt.cuts[-1].upto_tokens
    rest = prompt.tokens - kept
    assert plan.planned_pico == Fraction(kept * 1_000_000 + kept * 12_500_000, 2) + rest * 10_000_000
    assert plan.uncached_pico == prompt.tokens * 10_000_000


# -- where marks go


def test_a_conversation_is_marked_before_its_last_message() -> None:
    """What was said is written once and read from then on; the question stays outside."""
    traffic = Traffic({
        "system": (Sighting(10),) * 8, "turns": (Sighting(10, Fraction(9, 10)),) * 8,
    })  # fmt: skip
    request = conversation(8)
    plan = planned(request, traffic)
    assert plan.marks[-1].place == len(request.messages) - 2


def test_what_lives_longer_stands_before_what_lives_shorter() -> None:
    """Instructions come every half hour, a conversation's turns every few seconds: an hour, then five minutes."""
    request = Request(
        (Message("system", RULES), Message("user", RULES * 2), Message("assistant", "Yes."), Message("user", "Go on."))
    )
    half = [Sighting(10)] * 10
    traffic = Traffic({"system": (*half, *[Sighting(1800)] * 10), "turns": (*half, *[Sighting(None)] * 10)})
    assert planned(request, traffic).marks == (Mark(0, "1h"), Mark(2, "5m"))


def test_tools_are_marked_alone_where_only_they_repeat() -> None:
    """Each request brings instructions of its own after them."""
    traffic = seen(tools=[10] * 8, system=[None] * 8)
    plan = planned(conversation(tools=(LOOK,)), traffic)
    assert plan.marks == (Mark("tools", "5m"),)


@pytest.mark.parametrize("role", ["system", "user"])
def test_documents_that_change_leave_the_instructions_before_them_warm(role: Any) -> None:
    """In a message of their own, whoever speaks it: the breakpoint goes before what changes."""
    planner, tier = PrefixPlanner(), Tier("large", model=CLAUDE, provider="anthropic", rate=rate_of(CLAUDE))
    for n in range(8):
        documents = Message(role, f"Document {n}. " * 500)
        request = Request((Message("system", RULES), documents, Message("user", "Why?")), received_at=NOW + n)
        planned = planner.plan(request, tier)
    assert planned.plan.marks == (Mark(0, "5m"),) and planned.drift is None


@pytest.mark.parametrize("role", ["system", "user"])
def test_documents_that_come_again_are_kept_with_the_instructions(role: Any) -> None:
    """Many questions on the same document: one mark, behind it."""
    planner, tier = PrefixPlanner(), Tier("large", model=CLAUDE, provider="anthropic", rate=rate_of(CLAUDE))
    for n in range(8):
        documents = Message(role, "The document. " * 500)
        request = Request((Message("system", RULES), documents, Message("user", f"Why {n}?")), received_at=NOW + n)
        planned = planner.plan(request, tier)
    assert planned.plan.marks == (Mark(1, "5m"),)


def test_documents_inside_the_instructions_are_named_and_not_marked() -> None:
    """A breakpoint stands at the end of a message: what changes within one has to be moved out."""
    planner, tier = PrefixPlanner(), Tier("large", model=CLAUDE, provider="anthropic", rate=rate_of(CLAUDE))
    for n in range(8):
        said = Message("system", f"{RULES}\n\nDocument {n}. " * 2)
        planned = planner.plan(Request((said, Message("user", "Why?")), received_at=NOW + n), tier)
    assert planned.plan.marks == () and planned.drift is not None
    assert planned.drift.segment == "system" and planned.drift.character >= len(RULES)
    assert "after the last breakpoint" in planned.drift.advice


def test_a_long_way_back_gets_marks_in_between() -> None:
    """Anthropic searches twenty blocks backwards: with more since the last call the conversation would be lost."""
    calls = tuple(ToolCall(str(n), "look", "{}") for n in range(14))
    turns = (Message("user", RULES), Message("assistant", "", calls), *[Message("tool", "A cat.")] * 14)
    request = Request((Message("system", RULES), *turns, Message("assistant", "Cats."), Message("user", "Sure?")))
    plan = planned(request, Traffic({"system": (Sighting(10),) * 4, "turns": (Sighting(10, Fraction(1, 2)),) * 4}))
    assert [mark.place for mark in plan.marks] == [0, 2, 17]


def test_marks_in_between_take_only_the_places_that_are_left() -> None:
    """A hundred and twenty blocks would need six."""
    turns = [Message("assistant" if n % 2 else "user", "Cats and dogs. " * 60) for n in range(120)]
    request = Request((Message("system", RULES), *turns, Message("user", "Sure?")))
    plan = planned(request, seen(turns=[10] * 4))
    assert [mark.place for mark in plan.marks] == [60, 80, 100, 120]


def test_a_longer_life_never_stands_behind_a_shorter_one() -> None:
    """Though five minutes would do for instructions that come every ten seconds: the provider refuses that order."""
    request = Request(
        (Message("system", RULES), Message("user", RULES), Message("assistant", "Yes."), Message("user", "So?"))
    )
    plan = planned(request, seen(system=[10] * 4, turns=[1800, 1800, 1800, None]))
    assert plan.marks == (Mark(0, "1h"), Mark(2, "1h"))


def test_what_is_too_short_is_not_marked() -> None:
    """The provider would keep nothing, and say nothing."""
    plan = planned(conversation(system="Be short."), seen(system=[1] * 8))
    assert plan.marks == () and "caches from 512 on" in plan.reason


def test_an_unpriced_write_is_not_made() -> None:
    """A model without a price, and one whose cache has none."""
    prompt = prompt_of(conversation(), CLAUDE)
    traffic = seen(system=[1] * 8)
    assert "no price" in plan_prefix(prompt, rule_of(CLAUDE), None, traffic).reason
    plan = plan_prefix(prompt, rule_of(CLAUDE), token_rate(input="1", output="2"), traffic)
    assert plan.marks == () and "no price" in plan.reason


def test_a_caller_who_marks_himself_is_left_alone() -> None:
    """His own `cache_control` has the last word."""
    plan = planned(conversation(params={"cache_control": {"type": "ephemeral"}}), seen(system=[1] * 8))
    assert not plan.edits and "himself" in plan.reason


def test_a_model_that_no_rule_names_is_left_alone() -> None:
    """No mark is sent where nobody knows what it does."""
    assert not plan_prefix(prompt_of(conversation(), "llama"), None, rate_of(CLAUDE), NOTHING_SEEN).edits


# -- providers that cache by themselves


def test_an_automatic_cache_gets_a_key_for_the_prefix() -> None:
    """Requests with the same tools and instructions keep together, whatever is asked."""
    keys = {
        planned(conversation(n, tags={"tenant": "a"}), NOTHING_SEEN, GPT).params["prompt_cache_key"] for n in range(3)
    }
    assert len(keys) == 1 and len(keys.pop()) <= 64


def test_instructions_that_never_come_again_are_not_part_of_the_key() -> None:
    """Documents stand in them, or the time: by a key of their own all calls would go where nothing of them is held."""

    def keys(traffic: Traffic) -> set[Any]:
        requests = [conversation(system=f"{RULES} It is {n} o'clock.", tools=(LOOK,)) for n in range(3)]
        return {planned(request, traffic, GPT).params["prompt_cache_key"] for request in requests}

    assert len(keys(seen(tools=[10] * 15, system=[None] * 15))) == 3
    assert len(keys(seen(tools=[10] * 16, system=[None] * 16))) == 1
    assert len(keys(seen(tools=[10] * 16, system=[None] * 15 + [10]))) == 3


def test_two_tenants_never_share_a_key() -> None:
    """Nor does a tenant share one with those that name none."""
    plans = [planned(conversation(tags=tags), NOTHING_SEEN, GPT) for tags in ({"tenant": "a"}, {"tenant": "b"}, {})]
    assert len({plan.params["prompt_cache_key"] for plan in plans}) == 3


def test_a_key_that_the_caller_chose_stays() -> None:
    """The plan sets none of its own."""
    for model in (GPT, GPT_NOW):
        plan = planned(conversation(params={"prompt_cache_key": "mine"}), seen(system=[1] * 8), model)
        assert "prompt_cache_key" not in plan.params


def test_gemini_takes_neither_mark_nor_key() -> None:
    """Its implicit cache asks for nothing."""
    plan = planned(conversation(system=RULES * 4), seen(system=[10, 10]), GEMINI)
    assert not plan.edits and plan.reason.startswith("the provider caches by itself")
    assert plan.planned_pico is not None and plan.uncached_pico is not None
    assert plan.planned_pico < plan.uncached_pico


def test_paid_writes_that_nobody_reads_are_switched_off() -> None:
    """GPT-5.6 and later write the newest message unasked, at the price of a write; once that is known not to pay."""
    assert planned(conversation(), seen(system=[None] * 3), GPT_NOW).params == {}
    plan = planned(conversation(), seen(system=[None] * 20), GPT_NOW)
    assert plan.params == {"prompt_cache_options": {"mode": "explicit"}} and plan.marks == ()


def test_paid_writes_that_are_read_are_marked() -> None:
    """At the end of the instructions; tools carry no mark there."""
    plan = planned(conversation(tools=(LOOK,)), seen(tools=[10] * 4, system=[10] * 4), GPT_NOW)
    assert plan.marks == (Mark(0, "30m"),) and "prompt_cache_key" in plan.params


# -- what always holds

gaps = st.one_of(st.none(), st.integers(0, 8000))
sightings = st.builds(Sighting, gaps, st.fractions(0, 1, max_denominator=20))
traffics = st.builds(
    Traffic,
    st.dictionaries(
        st.sampled_from(["tools", "system", "documents", "turns"]),
        st.lists(sightings, max_size=20).map(tuple),
    ),
)
lengths = st.integers(0, 3000)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    messages = [Message("system", "rule " * draw(lengths))] if draw(st.booleans()) else []
    for n in range(draw(st.integers(0, 12))):
        calls = tuple(ToolCall(str(c), "look", "{}") for c in range(draw(st.integers(0, 25))))
        messages.append(Message("assistant" if n % 2 else "user", "word " * draw(lengths), calls))
    tools = ({**LOOK, "more": "x " * draw(lengths)},) if draw(st.booleans()) else ()
    return Request((*messages, Message("user", "Why?")), tools=tools)


@settings(deadline=None, max_examples=60)
@given(requests(), traffics, st.sampled_from([CLAUDE, "claude-haiku-4-5", GPT, GPT_NOW, GEMINI]))
def test_a_plan_keeps_the_providers_limits(request: Request, traffic: Traffic, model: str) -> None:
    """Never too many marks, none below the minimum, none twice, none on the tail, longer lifetimes first."""
    prompt, rule = prompt_of(request, model), rule_of(model)
    plan = plan_prefix(prompt, rule, rate_of(model), traffic)
    assert len(plan.marks) <= rule.max_marks
    upto = {segment.place: segment for segment in prompt.segments}
    marked = [upto[mark.place] for mark in plan.marks]
    assert all(one.upto_tokens >= rule.minimum_tokens and one.name in rule.marks_on for one in marked)
    ends = [one.upto_tokens for one in marked]
    assert ends == sorted(ends) and len({one.place for one in marked}) == len(marked)
    seconds = {one.name: one.seconds for one in rule.lifetimes}
    lived = [seconds[mark.lifetime] for mark in plan.marks]
    assert lived == sorted(lived, reverse=True)


@settings(deadline=None, max_examples=60)
@given(requests(), traffics, st.sampled_from([CLAUDE, "claude-haiku-4-5", GPT, GPT_NOW, GEMINI]))
def test_a_plan_never_costs_more_than_none(request: Request, traffic: Traffic, model: str) -> None:
    """By the rate, and under its own assumption of traffic."""
    plan = plan_prefix(prompt_of(request, model), rule_of(model), rate_of(model), traffic)
    if plan.planned_pico is not None and plan.uncached_pico is not None:
        assert plan.planned_pico <= plan.uncached_pico
        assert bool(plan.marks) is (plan.planned_pico < plan.uncached_pico) or rule_of(model).kind == "automatic"


@settings(deadline=None, max_examples=30)
@given(requests(), traffics)
def test_the_same_request_has_the_same_plan(request: Request, traffic: Traffic) -> None:
    """Made anew, from an equal request, to the last word: what is sent must not differ by chance."""
    again = replace(
        request, messages=tuple(replace(m) for m in request.messages), tools=tuple(map(dict, request.tools))
    )
    assert planned(request, traffic) == planned(again, traffic)


def test_a_price_that_falls_away_leaves_no_expected_cost() -> None:
    """A sum with an unknown part is unknown."""
    assert expected_pico(100, [], token_rate(input="1", output="1")) == 100 * 1_000_000
    prompt = prompt_of(conversation(), GPT)
    unread = PriceBook.default().rate("gpt-5-pro", at=NOW)
    assert unread is not None
    plan = plan_prefix(prompt, rule_of(GPT), unread, seen(system=[10]))
    assert plan.planned_pico is None and plan.params


def test_a_longer_prefix_is_never_likelier_than_a_shorter_one() -> None:
    """Whatever was counted: who holds the whole holds its beginning."""
    rate = rate_of(CLAUDE)
    chances = [(Fraction(1, 5), Fraction(4, 5)), (Fraction(1, 5), Fraction(1, 5))]
    costs = [
        expected_pico(900, [Point(500, a, "cache_write_5m"), Point(800, b, "cache_write_5m")], rate) for a, b in chances
    ]
    assert costs[0] == costs[1]


def test_openai_reads_in_steps() -> None:
    """What is read is a multiple of 128 tokens; the rest is billed as input."""
    prompt = prompt_of(conversation(), GPT)
    plan = plan_prefix(prompt, rule_of(GPT), rate_of(GPT), seen(system=[10]))
    read = prompt.cuts[-1].upto_tokens // 128 * 128
    assert read < prompt.cuts[-1].upto_tokens
    assert plan.planned_pico == rate_of(GPT).cost(Usage(input=prompt.tokens - read, cache_read=read))


# -- leaving a warm prefix


def test_a_cheaper_model_may_cost_more_than_a_warm_one() -> None:
    """90,000 tokens read at $0.50 against all of them as input at $1: the large model's prefix is worth staying for."""
    large = Seat(token_rate(input="5", output="25", cache_read="0.5"), 100_000, held_tokens=90_000)
    small = Seat(token_rate(input="1", output="5", cache_read="0.1"), 100_000)
    switch = switch_cost(stay=large, go=small)
    assert switch is not None
    assert switch.stay_pico == (90_000 * 500_000 + 10_000 * 5_000_000)
    assert switch.extra_pico == 100_000 * 1_000_000 - switch.stay_pico == 5_000_000_000
    assert switch.left_pico == 90_000 * 4_500_000


def test_what_the_answer_costs_counts_for_going() -> None:
    """Each in its own tokens: 2,000 tokens of an answer at $25 are dearer than the 5,000,000,000 saved above."""
    large = Seat(token_rate(input="5", output="25", cache_read="0.5"), 100_000, 90_000, answer_tokens=2000)
    small = Seat(token_rate(input="1", output="5", cache_read="0.1"), 100_000, answer_tokens=2000)
    switch = switch_cost(stay=large, go=small)
    assert switch is not None and switch.extra_pico == 5_000_000_000 - 2000 * 20_000_000


def test_a_switch_between_unpriced_models_has_no_cost() -> None:
    """None, not zero."""
    unread = PriceBook.default().rate("gpt-5-pro", at=NOW)
    assert unread is not None
    go = Seat(token_rate(input="1", output="1"), 100)
    assert switch_cost(stay=Seat(unread, 100, held_tokens=50), go=go) is None


# -- the planner


def test_the_planner_learns_from_what_goes_by() -> None:
    """The first call is not marked; once the instructions came again in time they are, for this tenant alone."""
    planner = PrefixPlanner()
    tier = Tier("large", model=CLAUDE, provider="anthropic", rate=BOOK.rate(CLAUDE))
    plans = [
        planner.plan(conversation(received_at=NOW + 20 * n, tags={"tenant": "a"}), tier).plan.marks for n in range(3)
    ]
    assert plans == [(), (), (Mark(0, "5m"),)]
    other = planner.plan(conversation(received_at=NOW + 70, tags={"tenant": "b"}), tier)
    assert other.plan.marks == () and other.drift is None


def test_the_planner_names_what_drifts() -> None:
    """A date in the instructions changed over night."""
    planner = PrefixPlanner()
    tier = Tier("large", model=CLAUDE, rate=BOOK.rate(CLAUDE))
    for day, drift in (("2026-11-20", False), ("2026-11-20", False), ("2026-11-21", True)):
        found = planner.plan(conversation(system=f"{RULES} Today is {day}.", received_at=NOW), tier).drift
        assert (found is not None) is drift
    assert found is not None and (found.before, found.after) == ("2026-11-20", "2026-11-21")
