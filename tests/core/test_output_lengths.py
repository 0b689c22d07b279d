"""Limits learned from past answers: how long they may be, how sure that is, and when there is none."""

import random
from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prices import gpu_hour_rate, token_rate
from tuppence.prune.output import OutputLengths, OutputNames, OutputPlan, cap_worth, output_edits, stop_from
from tuppence.prune.output.caps import _chance, calls_needed, conformal_rank, shifted, sure_rank
from tuppence.request import Edits, Message, Replace, Request

RATE = token_rate(input="1", output="10")


def learned(answers: Iterable[tuple[int, str | None]], **options: object) -> OutputLengths:
    lengths = OutputLengths(**options)  # type: ignore[arg-type]
    lengths.learn(("faq", "m", tokens, 0, finish) for tokens, finish in answers)
    return lengths


def planned(answers: Iterable[tuple[int, str | None]], **options: object) -> OutputPlan:
    return learned(answers, **options).plan("faq", "m")


def mixed(tokens: Iterable[int], *, seed: int = 0) -> list[tuple[int, str | None]]:
    """Answers that ended by themselves, in no particular order."""
    told: list[tuple[int, str | None]] = [(one, "stop") for one in tokens]
    random.Random(seed).shuffle(told)
    return told


class TestTheRank:
    """Which of the answers seen is long enough."""

    def test_ninety_nine_calls_are_the_least_for_one_in_a_hundred(self) -> None:
        """The longest of 99 is passed by a hundredth call with probability 1 in 100; that of 98 is not."""
        assert calls_needed(0.01) == 99
        assert conformal_rank(98, 0.01) == 99
        assert conformal_rank(99, 0.01) == 99

    @pytest.mark.parametrize(("n", "rank"), [(199, 198), (1000, 991), (5000, 4951)])
    def test_the_conformal_quantile(self, n: int, rank: int) -> None:
        """ceil((n + 1) * .99), counted by hand."""
        assert conformal_rank(n, 0.01) == rank

    @pytest.mark.parametrize(("n", "beyond"), [(299, 0), (473, 1), (628, 2), (1000, 4)])
    def test_with_confidence_it_is_wilks_limit(self, n: int, beyond: int) -> None:
        """P(Bin(n, .01) <= m) <= .05 for the m that may lie beyond and no larger one, in exact fractions."""
        assert sure_rank(n, 0.01, 0.95) == n - beyond

        def tail(m: int) -> Fraction:
            share = Fraction(1, 100)
            return sum((comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(m + 1)), Fraction())

        assert tail(beyond + 1) > Fraction(5, 100)
        assert tail(beyond) <= Fraction(5, 100)

    def test_a_hundred_thousand_calls_are_no_matter(self) -> None:
        """Near the normal approximation: 1,000 expected beyond, less 1.645 standard deviations of 31.5."""
        assert abs(100_000 - sure_rank(100_000, 0.01, 0.95) - (1_000 - 1.645 * 31.46)) < 2

    @given(n=st.integers(1, 3000), share=st.sampled_from([0.001, 0.01, 0.05, 0.2]), sure=st.floats(0.01, 0.999))
    def test_it_is_never_below_the_conformal_rank_nor_above_the_longest(
        self, n: int, share: float, sure: float
    ) -> None:
        """Confidence only adds to the promise."""
        least = conformal_rank(n, share)
        assert (least > n) == (n < calls_needed(share))
        assert least <= sure_rank(n, share, sure) <= max(n, least)

    def test_the_promise_holds_for_every_order_of_a_small_world(self) -> None:
        """Of 4 calls of any kind, in all orders: the last is above the limit of the first 3 in a quarter at most."""
        assert conformal_rank(3, 0.25) == 3
        for world in product(range(3), repeat=4):
            cut = sum(world[last] > max(one for at, one in enumerate(world) if at != last) for last in range(4))
            assert cut <= 1


class TestChange:
    """Answers that are no longer what they were."""

    @pytest.mark.parametrize("recent", [0, 1, 2, 5, 8, 10])
    def test_its_chances_are_those_of_drawing_without_putting_back(self, recent: int) -> None:
        """Of 100 answers 25 are recent and 10 marked; against whole numbers."""
        ways = sum(comb(10, k) * comb(90, 25 - k) for k in range(recent, 11))
        assert _chance(100, 10, 25, range(recent, 26)) == pytest.approx(ways / comb(100, 25))

    def test_answers_in_no_order_are_alike(self) -> None:
        """One false alarm in a hundred is what the two tests may give."""
        alarms = 0
        for seed in range(200):
            draw = random.Random(seed)
            alarms += shifted([draw.lognormvariate(5, 1) for _ in range(400)]) == "longer"
        assert alarms <= 6

    def test_longer_and_shorter_are_told_apart(self) -> None:
        """The newest fourth at twice the length, or at half of it."""
        draw = random.Random(1)
        before = [draw.gauss(200, 40) for _ in range(300)]
        assert shifted([*before, *(2 * one for one in before[:100])]) == "longer"
        assert shifted([*before, *(one / 2 for one in before[:100])]) == "shorter"

    def test_a_longer_tail_alone_is_seen(self) -> None:
        """Half of the newest run on, and the median hardly moves."""
        before = [100 + at % 7 for at in range(300)]
        assert shifted([*before, *([103] * 70 + [900] * 30)]) == "longer"

    def test_the_same_length_always_is_no_change(self) -> None:
        """Ties say nothing."""
        assert shifted([5.0] * 200) is None

    def test_no_limit_is_set_while_answers_grow(self) -> None:
        """And the plan says so."""
        plan = planned([*mixed(range(100, 400)), *mixed(range(500, 600))])
        assert plan.max_tokens is None
        assert plan.brevity is None
        assert "longer than those before" in plan.why

    def test_shorter_answers_keep_the_limit_and_lose_the_line(self) -> None:
        """A limit that is too high cuts nothing; a line would ask for the old length."""
        plan = planned([*mixed(range(500, 800)), *mixed(range(100, 200))])
        assert plan.max_tokens is not None
        assert plan.brevity is None

    def test_only_the_newest_count(self) -> None:
        """What fell out of the window is forgotten."""
        plan = planned([*mixed([9000] * 500), *mixed(range(100, 200), seed=2)], window=100)
        assert plan.max_tokens == 208


class TestThePlan:
    """What is set, and why not."""

    def test_too_few_calls_say_how_many_are_missing(self) -> None:
        """No limit is guessed."""
        plan = planned(mixed(range(1, 60)))
        assert plan == OutputPlan(why="40 more calls needed: 59 of 99 seen")

    def test_a_task_that_was_never_seen_needs_all(self) -> None:
        """Tasks and models are learned apart."""
        assert learned(mixed(range(200))).plan("faq", "other").why.startswith("99 more calls")

    def test_the_limit_is_the_long_answer_rounded_up(self) -> None:
        """The longest of 300 but none, to the next sixteen; the line asks for the median in round words."""
        plan = planned(mixed(range(101, 401)))
        assert plan.max_tokens == 400
        assert plan.brevity == "Answer in about 200 words."
        assert plan.why == "number 300 by length of 300 answers has 400 tokens"

    def test_short_answers_get_the_least_limit_and_no_line(self) -> None:
        """A choice of one letter: providers take no limit below 16."""
        plan = planned(mixed([1] * 150))
        assert (plan.max_tokens, plan.brevity) == (16, None)

    def test_reasoning_is_counted_in_the_limit_and_told_apart(self) -> None:
        """100 tokens of answer after up to 2,000 of reasoning: the limit holds both, the line only the answer."""
        lengths = OutputLengths()
        lengths.learn(("t", "m", 100 + 20 * at, 20 * at, "stop") for at in random.Random(0).sample(range(100), 100))
        plan = lengths.plan("t", "m")
        assert plan.max_tokens == 2080
        assert plan.reasoning_tokens == 2080 - 112
        assert plan.brevity == "Answer in about 80 words."

    def test_answers_without_tokens_are_passed_over(self) -> None:
        """They say nothing of a length."""
        assert planned([(0, "stop"), (-3, None)] * 200).why.startswith("99 more calls")

    @pytest.mark.parametrize(
        "options",
        [
            {"cut_share": 0},
            {"cut_share": 0.6},
            {"confidence": 1.0},
            {"window": 98},
            {"brevity": "Be brief."},
        ],
    )
    def test_settings_that_cannot_work_are_refused(self, options: dict[str, object]) -> None:
        """When they are made, not in a call."""
        with pytest.raises(ConfigError):
            OutputLengths(**options)  # type: ignore[arg-type]


class TestAnswersThatWereCutOff:
    """They are at least as long as they look."""

    def test_they_raise_the_limit(self) -> None:
        """Two of 700 were cut at 64: the limit is that of 700 answers of which two are endless, not short."""
        whole = mixed(range(101, 801))
        cut = [(64, "length") if tokens in (150, 300) else (tokens, finish) for tokens, finish in whole]
        free, told = planned(whole).max_tokens, planned(cut)
        assert free is not None
        assert told.max_tokens is not None
        assert told.max_tokens >= free
        assert "2 that were cut off count as longer" in told.why

    def test_too_many_of_them_and_there_is_no_limit(self) -> None:
        """The long answers were never seen, so nothing is known of them."""
        plan = planned(
            [(min(tokens, 390), "length" if tokens > 390 else "stop") for tokens, _ in mixed(range(101, 401))]
        )
        assert plan.max_tokens is None
        assert plan.why.startswith("10 of 300 answers were cut off")

    def test_a_limit_in_force_does_not_lift_itself(self) -> None:
        """Eight of 1,000 answers cut by the limit are as few as it may cut, though more than half of a percent."""
        told = mixed([*range(101, 1093), *[5000] * 8])
        plan = planned([(one, "stop") if one < 5000 else (1104, "length") for one, _ in told])
        assert plan.max_tokens == 1104
        assert "cut off count as longer" in plan.why

    def test_a_limit_that_nobody_told_of_is_suspected(self) -> None:
        """Three longest answers of exactly 200 tokens, and no word on how they ended."""
        plan = planned([(min(tokens, 200), None) for tokens, _ in mixed(range(101, 251))])
        assert plan.max_tokens is None
        assert "cut off" in plan.why

    def test_a_fixed_form_is_not_suspected(self) -> None:
        """All answers of 23 tokens are a form, not a limit."""
        assert planned([(23, None)] * 200).max_tokens == 32

    def test_an_answer_whose_caller_left_is_one_of_them(self) -> None:
        """Whatever is no known end."""
        assert planned([(50, "abandoned")] * 200).max_tokens is None

    @given(st.data())
    def test_cutting_answers_off_never_lowers_the_limit(self, data: st.DataObject) -> None:
        """Whichever were cut, wherever."""
        whole = data.draw(st.lists(st.integers(1, 5000), min_size=99, max_size=140))
        before = planned([(tokens, "stop") for tokens in whole]).max_tokens
        marked = data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
        after = planned(
            [(max(1, one // 3), "length") if cut else (one, "stop") for one, cut in zip(whole, marked, strict=True)]
        ).max_tokens
        assert before is None or after is None or after >= before


class TestWorth:
    """A limit pays only by what runs away."""

    def test_it_is_counted_to_the_pico_dollar(self) -> None:
        """Ten answers, one at 1,000 tokens: a limit of 100 saves 900 and costs two retries of 50 in and 190 out."""
        worth = cap_worth([100] * 9 + [1000], 100, RATE, input_tokens=50)
        assert worth is not None
        assert worth.saved_pico == 900 * 10_000_000
        assert worth.retries_pico == 2 * (50 * 1_000_000 + 190 * 10_000_000)
        assert worth.net_pico == 9_000_000_000 - 3_900_000_000
        assert (worth.calls, worth.cuts) == (10, 2)

    def test_a_limit_that_does_not_pay_is_not_set(self) -> None:
        """Answers of one length with nothing beyond: a cut could only cost."""
        plan = learned(mixed(range(101, 401))).plan("faq", "m", rate=RATE, input_tokens=1000)
        assert plan.max_tokens is None
        assert plan.worth is not None
        assert plan.worth.net_pico < 0
        assert "does not pay" in plan.why

    def test_a_limit_on_loops_pays(self) -> None:
        """Two of 700 answers ran on to 16,000 tokens."""
        plan = learned(mixed([*range(101, 799), 16_000, 16_000])).plan("faq", "m", rate=RATE, input_tokens=1000)
        assert plan.max_tokens == 800
        assert plan.worth is not None
        assert plan.worth.net_pico > 0

    def test_without_a_price_the_limit_stays_and_its_worth_is_unknown(self) -> None:
        """An unknown price is no zero."""
        hourly = gpu_hour_rate("1")
        plan = learned(mixed(range(101, 401))).plan("faq", "m", rate=hourly)
        assert plan.max_tokens == 400
        assert plan.worth is None
        assert "not known" in plan.why


class TestIntoARequest:
    """A plan written into a call, and what the caller set left standing."""

    PLAN = OutputPlan("Answer in about 50 words.", 320, ("</answer>",), reasoning_tokens=100)
    ASKED = Request((Message("system", "Be kind."), Message("user", "Why?")))

    def test_a_bare_request_gets_limit_stop_and_line(self) -> None:
        """The line goes behind the question, where it moves no cached prefix."""
        assert output_edits(self.PLAN, self.ASKED) == Edits(
            (Replace(1, "Why?\n\nAnswer in about 50 words."),), {"max_tokens": 320, "stop": ["</answer>"]}
        )

    def test_an_empty_plan_changes_nothing(self) -> None:
        """Nothing to do is no edit."""
        assert not output_edits(OutputPlan(), self.ASKED)

    def test_names_are_the_providers(self) -> None:
        """OpenAI's newer models and Anthropic spell them differently."""
        names = OutputNames(limit="max_output_tokens", stop="stop_sequences")
        assert set(output_edits(self.PLAN, self.ASKED, names=names).params) == {"max_output_tokens", "stop_sequences"}

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
    @given(own=st.integers(1, 100_000), cap=st.integers(16, 100_000))
    def test_the_callers_limit_is_never_raised(self, name: str, own: int, cap: int) -> None:
        """Under its own name, and no second one beside it."""
        asked = Request((Message("user", "Why?"),), params={name: own})
        edited = {**asked.params, **output_edits(OutputPlan(max_tokens=cap), asked).params}
        assert edited == {name: min(own, cap)}

    def test_a_thinking_budget_keeps_its_room(self) -> None:
        """Anthropic refuses a limit below the budget."""
        asked = Request((Message("user", "Why?"),), params={"thinking": {"type": "enabled", "budget_tokens": 1024}})
        assert "max_tokens" not in output_edits(self.PLAN, asked).params
        assert output_edits(OutputPlan(max_tokens=1040), asked).params == {"max_tokens": 1040}

    @pytest.mark.parametrize("name", ["stop", "stop_sequences"])
    def test_the_callers_stop_sequences_stay(self, name: str) -> None:
        """They may be what ends a reasoning loop of the caller's own."""
        asked = Request((Message("user", "Why?"),), params={name: ["Observation:"]})
        assert output_edits(OutputPlan(stop=("END",)), asked).params == {}

    @pytest.mark.parametrize(
        "request_",
        [
            Request((Message("user", "Why?"), Message("assistant", "Because"))),
            Request((Message("user", "Why?"), Message("tool", "42"))),
            Request((Message("user", ""),)),
            Request((Message("user", "Why?"),), tools=({"function": {"name": "f"}},)),
            Request((Message("user", "Why?"),), schema={"type": "object"}),
            Request((Message("user", "Why?\n\nAnswer in about 50 words."),)),
        ],
    )
    def test_a_line_is_only_for_a_question_answered_in_words(self, request_: Request) -> None:
        """No schema, no tool's result, no prefilled answer, no image alone, and never twice."""
        assert output_edits(self.PLAN, request_).messages == ()


class TestStops:
    """A mark that ends every answer."""

    ANSWERS = tuple(f"<answer>{number}</answer>\n" for number in range(120))

    def test_a_mark_at_every_end_is_found(self) -> None:
        """The last tag, and it is put back where the provider left it out."""
        stop = stop_from(self.ANSWERS)
        assert stop is not None
        assert stop.mark == "</answer>"
        assert stop.restored("<answer>7") == "<answer>7</answer>"
        assert stop.restored("<answer>7</answer>") == "<answer>7</answer>"

    @pytest.mark.parametrize(
        "answers",
        [
            ANSWERS[:98],
            [*ANSWERS, "<answer>cut"],
            [*ANSWERS, "<answer>a</answer> <answer>b</answer>"],
            [f'{{"n": {number}}}' for number in range(120)],
            [f"number {number} is done" for number in range(120)],
            [""] * 120,
        ],
        ids=["too few", "one without", "one twice", "too short", "a word", "empty"],
    )
    def test_anything_less_is_none(self, answers: list[str]) -> None:
        """One answer that a stop would have cut is enough."""
        assert stop_from(answers) is None

    @given(st.lists(st.text(alphabet="ab<>/\n.", max_size=12), min_size=99, max_size=110), st.text("<>/#x", max_size=6))
    def test_no_answer_seen_would_have_lost_anything(self, answers: list[str], mark: str) -> None:
        """Cut at the stop and restored, each answer is what it was, but for white space at its end."""
        answers = [answer + mark for answer in answers]
        stop = stop_from(answers)
        if stop is not None:
            for answer in answers:
                assert stop.restored(answer.partition(stop.mark)[0]) == answer.rstrip()
