"""Few-shot examples: which of them a request needs, what that costs, and whether any are needed."""

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prices import token_rate
from tuppence.prune.audit import counter_for
from tuppence.prune.prompts.examples import Example, ExampleSelector, block_costs, needed_examples, plainly

LOST, LATE, FEE = (
    Example("I lost my card", "lost_card"),
    Example("My card has not arrived yet", "card_arrival"),
    Example("Why was I charged a fee?", "fee_charged"),
)
LOST_TOO = Example("I lost my card abroad", "lost_card")
EXAMPLES = [LATE, LOST, FEE, LOST_TOO]
RATE = token_rate(input="1", output="4", cache_read="0.1", cache_write_5m="1.25", version="test")


class TestSelecting:
    """The k most relevant, in the collection's order."""

    def test_the_most_relevant_are_sent_in_their_own_order(self) -> None:
        """The same examples give the same bytes, however they rank."""
        selected = ExampleSelector(EXAMPLES, k=2).select("I have lost my card abroad")
        assert selected.examples == (LOST, LOST_TOO)
        assert selected.text == f"{plainly(LOST)}\n\n{plainly(LOST_TOO)}"

    def test_diversity_passes_over_a_second_one_of_a_kind(self) -> None:
        """Two ways to say the same teach less than two things."""
        selected = ExampleSelector(EXAMPLES, k=2, diversity=0.5).select("lost my card, it has not arrived")
        assert LATE in selected.examples and not {LOST, LOST_TOO} <= set(selected.examples)

    def test_none_are_sent_where_none_are_wanted(self) -> None:
        """k = 0 is an answer, not a mistake."""
        selected = ExampleSelector(EXAMPLES, k=0).select("lost")
        assert (selected.examples, selected.text, selected.audit.tokens_after) == ((), "", 0)

    def test_the_audit_counts_what_was_not_sent(self) -> None:
        """Once for all: a collection may have thousands."""
        audit = ExampleSelector(EXAMPLES, k=1).select("fee").audit
        (cut,) = audit.cuts
        assert (cut.kind, cut.source, cut.tokens) == ("example", "3 of 4 examples", audit.tokens_saved)

    def test_an_embedder_that_breaks_sends_them_all(self) -> None:
        """An optimisation fails open, and says so."""

        class Breaking:
            name = "breaking"

            def embed(self, texts: Sequence[str]) -> list[int]:
                if len(texts) == 1:
                    raise ConnectionError("gone")
                return []

        selected = ExampleSelector(EXAMPLES, k=1, embedder=Breaking()).select("fee")  # type: ignore[arg-type]
        assert selected.examples == tuple(EXAMPLES)
        assert selected.audit.kept_because == "selecting examples broke (ConnectionError: gone)"

    def test_an_embedder_ranks_by_meaning(self) -> None:
        """Vectors stand in for words where one is given."""
        np = pytest.importorskip("numpy")

        class Axes:
            name = "axes"

            def embed(self, texts: Sequence[str]) -> object:
                return np.array([["fee" in t or "money" in t, "card" in t] for t in texts], np.float32)

        selected = ExampleSelector(EXAMPLES, k=1, embedder=Axes()).select("where is my money")  # type: ignore[arg-type]
        assert selected.examples == (FEE,)

    @pytest.mark.parametrize("wrong", [{"k": -1}, {"k": 1, "diversity": 1.1}, {"k": 1, "diversity": -0.1}])
    def test_numbers_that_mean_nothing_are_refused(self, wrong: dict[str, float]) -> None:
        """At construction."""
        with pytest.raises(ConfigError):
            ExampleSelector(EXAMPLES, **wrong)  # type: ignore[arg-type]

    @given(
        st.lists(st.builds(Example, st.text("ab c", max_size=12), st.text("xy", max_size=3)), max_size=8),
        st.integers(0, 9),
        st.sampled_from([0.0, 0.3, 1.0]),
        st.text("ab c?", max_size=12),
    )
    def test_any_selection_is_in_order_and_no_longer(
        self, given: list[Example], k: int, diversity: float, asked: str
    ) -> None:
        """k of them or all, a subsequence of the collection, the same again the next time."""
        selector = ExampleSelector(given, k=k, diversity=diversity)
        selected = selector.select(asked)
        rest = iter(given)
        assert all(any(example is one for one in rest) for example in selected.examples)
        assert len(selected.examples) in (min(k, len(given)), len(given))
        assert counter_for()(selected.text) == selected.audit.tokens_after <= selected.audit.tokens_before
        assert selected == selector.select(asked)


class TestBlockCosts:
    """A fixed block that is cached, beside selected examples that are not."""

    def test_costs_are_exact(self) -> None:
        """1,000 tokens at a tenth for 9 calls of 10, 200 tokens in full: 190 against 200 millionths of a dollar."""
        costs = block_costs(fixed_tokens=1000, selected_tokens=200, rate=RATE, hit_share=Fraction(9, 10))
        assert costs is not None
        assert (costs.fixed_pico, costs.selected_pico) == (190_000_000, 200_000_000)
        assert costs.cheaper == "fixed"
        assert costs.break_even == Fraction(8, 9)

    def test_a_write_premium_counts(self) -> None:
        """Where misses are written to the cache at 1.25, the selected examples win."""
        costs = block_costs(
            fixed_tokens=1000, selected_tokens=200, rate=RATE, hit_share=Fraction(9, 10), written_as="cache_write_5m"
        )
        assert costs is not None
        assert costs.fixed_pico == 215_000_000
        assert costs.cheaper == "selected"

    @given(st.integers(1, 10_000), st.integers(0, 10_000), st.fractions(0, 1))
    def test_the_break_even_is_where_it_turns(self, fixed: int, selected: int, share: Fraction) -> None:
        """Above it the fixed block costs no more, below it the selected examples."""
        costs = block_costs(fixed_tokens=fixed, selected_tokens=selected, rate=RATE, hit_share=share)
        assert costs is not None and costs.break_even is not None
        if share > costs.break_even:
            assert costs.fixed_pico < costs.selected_pico
        elif share < costs.break_even:
            assert costs.fixed_pico > costs.selected_pico

    def test_an_unknown_price_is_no_answer(self) -> None:
        """Never zero, never a guess."""
        blind = token_rate(input="1", output="4", version="test")
        assert (
            block_costs(fixed_tokens=10, selected_tokens=1, rate=blind, hit_share=0.5, written_as="cache_write_1h")
            is None
        )

    def test_a_share_is_from_0_to_1(self) -> None:
        """A per cent is not a share."""
        with pytest.raises(ConfigError, match="hit_share=90"):
            block_costs(fixed_tokens=10, selected_tokens=1, rate=RATE, hit_share=90)


class TestNeeded:
    """The smallest k that outcomes show to be enough."""

    def test_none_are_needed_where_they_change_nothing(self) -> None:
        """The same 300 scores with and without: no loss of 5% could look like that."""
        scores = [float(n % 3 > 0) for n in range(300)]
        found = needed_examples({0: scores, 2: scores, 8: scores}, margin=0.05)
        assert (found.k, found.more) == (0, None)
        assert [one.k for one in found.compared] == [2, 0]

    def test_few_requests_are_not_enough_and_it_says_how_many_are(self) -> None:
        """As many more as it says, alike, decide it."""
        alike = [1.0] * 20
        found = needed_examples({0: alike, 4: alike}, margin=0.05)
        assert found.k == 4 and found.more is not None
        assert "not enough evidence" in found.reason
        more = [1.0] * (20 + found.more)
        assert needed_examples({0: more, 4: more}, margin=0.05).k == 0
        half = more[: len(more) // 2]
        assert needed_examples({0: half, 4: half}, margin=0.05).k == 4

    def test_examples_that_help_stay(self) -> None:
        """2 do as well as 8, none do not: 2 are needed, and more requests would not change that."""
        many = [1.0] * 400
        found = needed_examples({0: [1.0, 0.0] * 200, 2: many, 8: many})
        assert (found.k, found.more) == (2, None)
        assert found.compared[-1].loss == 0.5

    def test_a_number_is_not_jumped_over(self) -> None:
        """Testing stops at the first k that fails: else some k would pass by chance sooner or later."""
        good, bad = [1.0] * 400, [0.0] * 400
        assert needed_examples({0: good, 2: bad, 8: good}).k == 8

    def test_the_error_is_kept(self) -> None:
        """With a true loss of just the margin, fewer examples are believed to do in at most 5% of samples."""
        draw, believed = random.Random(7), 0
        for _ in range(400):
            losses = [float(draw.random() < 0.1) for _ in range(200)]
            believed += needed_examples({0: [1 - loss for loss in losses], 4: [1.0] * 200}, margin=0.1).k == 0
        assert believed <= 20

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=50))
    def test_the_order_of_requests_does_not_matter(self, pairs: list[tuple[float, float]]) -> None:
        """Evidence is of the set."""
        found, turned = (
            needed_examples({0: [a for a, _ in one], 1: [b for _, b in one]}, margin=0.2)
            for one in (pairs, pairs[::-1])
        )
        assert found.k == turned.k
        assert found.compared[0].evidence == pytest.approx(turned.compared[0].evidence)

    @pytest.mark.parametrize(
        ("outcomes", "margin"),
        [
            ({0: [1.0]}, 0.1),
            ({0: [1.0], 2: [1.0, 0.0]}, 0.1),
            ({0: [], 2: []}, 0.1),
            ({0: [2.0], 1: [1.0]}, 0.1),
            ({0: [1.0], 1: [1.0]}, 0),
        ],
    )
    def test_outcomes_that_cannot_be_compared_are_refused(
        self, outcomes: dict[int, list[float]], margin: float
    ) -> None:
        """One k, different requests, none, scores past 1, no margin."""
        with pytest.raises(ConfigError):
            needed_examples(outcomes, margin=margin)
