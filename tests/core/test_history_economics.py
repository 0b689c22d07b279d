"""When an edit pays: both sides priced to the pico-dollar, further calls judged by conversations that have ended."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prices import token_rate, usd
from tuppence.prune.history import Batch, Change, Decisions, PromptPrice, net_of
from tuppence.prune.history.decisions import Standing, chain_of
from tuppence.prune.history.lengths import Lengths
from tuppence.request import Message

from .history_suite import AUTOMATIC, HALF, MARKED, NO_CACHE, PRICES

sizes = st.integers(0, 100_000)
few = st.integers(0, 50)


class TestNet:
    """What a cut brings over this call and those expected after it."""

    def test_the_worked_example_of_the_guide(self) -> None:
        """6,000 tokens cut before 4,000 that stay: $0.012 at once, for $0.0018 in each further call."""
        net = net_of(Change(held_tokens=12_000, edit_at=2_000, before=12_500, after=6_500), MARKED, Fraction(8))
        assert net is not None
        assert usd(net.now_pico) == Decimal("-0.012")  # 6,000 x $0.30 less 4,000 x ($3.75 - $0.30), a million each
        assert net.later_pico == Fraction(1_800_000_000)  # 6,000 x $0.30
        assert usd(net.pico) == Decimal("0.0024")
        assert net.pays()
        assert not net.pays(Fraction(2))

    @given(
        removed=sizes, stays=sizes, ahead=sizes, new=sizes, calls=st.integers(0, 50), overhead=st.integers(0, 10**12)
    )
    def test_it_is_the_formula(self, removed: int, stays: int, ahead: int, new: int, calls: int, overhead: int) -> None:
        """(1 + n) R r - S (w - r) - overhead, at every price, for R, S and E within what is held."""
        held = ahead + removed + stays
        change = Change(held, ahead, held + new, held + new - removed, overhead)
        prices = ((MARKED, 3_750_000, 300_000), (AUTOMATIC, 3_000_000, 300_000), (HALF, 3_000_000, 1_500_000))
        for price, write, read in prices:
            net = net_of(change, price, Fraction(calls))
            assert net is not None
            assert net.pico == (1 + calls) * removed * read - stays * (write - read) - overhead

    @given(removed=sizes, stays=sizes, calls=few)
    def test_without_a_cache_every_cut_saves(self, removed: int, stays: int, calls: int) -> None:
        """w = r = 1: what stays costs the same wherever the edit is."""
        net = net_of(Change(0, 0, removed + stays, stays), NO_CACHE, Fraction(calls))
        assert net is not None
        assert net.pico == (1 + calls) * removed * 3_000_000
        assert net.pays() == (removed > 0)

    def test_what_was_never_held_is_cut_for_nothing(self) -> None:
        """An edit behind the held prefix writes nothing anew."""
        net = net_of(Change(held_tokens=2_000, edit_at=2_000, before=5_000, after=3_000), MARKED, Fraction(0))
        assert net is not None
        assert net.once_pico == 0
        assert net.pays(Fraction(10))

    def test_a_prefix_that_is_too_short_is_not_held(self) -> None:
        """Below the provider's minimum, an edit breaks nothing."""
        short = PromptPrice(AUTOMATIC.rate, minimum_tokens=1024)
        net = net_of(Change(held_tokens=1_000, edit_at=0, before=1_000, after=900), short, Fraction(0))
        assert net is not None
        assert net.now_pico == 100 * 3_000_000

    def test_a_summary_is_part_of_the_price(self) -> None:
        """What the summariser costs is taken off."""
        change = Change(held_tokens=0, edit_at=0, before=1_000, after=0, overhead_pico=10**10)
        net = net_of(change, NO_CACHE, Fraction(0))
        assert net is not None
        assert net.pico == 1_000 * 3_000_000 - 10**10
        assert not net.pays()

    def test_without_a_price_nothing_is_known(self) -> None:
        """A cache whose writes have no price gives no answer, rather than a free one."""
        unpriced = PromptPrice(token_rate(input="3", output="15"), writes="cache_write_1h")
        assert net_of(Change(0, 0, 10, 5), unpriced, Fraction(1)) is None

    def test_it_says_so_in_words(self) -> None:
        """A person reads what is saved, when, and what was expected."""
        told = str(net_of(Change(0, 0, 1_000_000, 0), NO_CACHE, Fraction(3, 2)))
        assert told == "saves $7.500000 (+3.000000 now, +3.000000 in each call after it; 1.5 further calls expected)"

    @pytest.mark.parametrize(("lifetime", "minimum"), [(0.0, 0), (-1.0, 0), (60.0, -1)])
    def test_a_price_that_cannot_be_is_refused(self, lifetime: float, minimum: int) -> None:
        """No lifetime and a negative minimum are mistakes."""
        with pytest.raises(ConfigError, match=r"lifetime_s|minimum_tokens"):
            PromptPrice(NO_CACHE.rate, lifetime_s=lifetime, minimum_tokens=minimum)

    @given(held=sizes, tokens=sizes)
    def test_reading_never_costs_more_than_writing(self, held: int, tokens: int) -> None:
        """A warm prompt is no dearer than a cold one."""
        for price in PRICES:
            warm, cold = price.cost(tokens, held), price.cost(tokens)
            assert warm is not None
            assert cold is not None
            assert warm <= cold


class TestFurtherCalls:
    """How long conversations go on, from those that have ended."""

    def test_one_is_assumed_where_nothing_was_seen(self) -> None:
        """Caution: too early an edit costs, none costs nothing."""
        assert Lengths().further(1) == Lengths().further(40) == 1

    def test_those_that_came_this_far_count(self) -> None:
        """Of conversations of 2, 10 and 20 calls, two reached the eighth; one made-up conversation weighs in."""
        lengths = Lengths({2: 1, 10: 1, 20: 1})
        assert lengths.further(8) == Fraction(1 + 2 + 12, 3)
        assert lengths.further(21) == 1

    def test_a_conversation_ends_by_silence(self) -> None:
        """It counts once its prefix is forgotten, by any other call."""
        decisions = Decisions()
        messages = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
        chain = chain_of(messages)
        decisions.keep(chain[:1], Standing(1, 1, 0.0), lifetime_s=300)
        decisions.keep(chain, Standing(3, 2, 10.0), lifetime_s=300)
        decisions.keep(chain_of([Message("user", "other")]), Standing(1, 1, 310.0), lifetime_s=300)
        assert decisions.lengths.told() == {}
        decisions.keep(chain_of([Message("user", "third")]), Standing(1, 1, 311.0), lifetime_s=300)
        assert decisions.lengths.told() == {2: 1}


class TestDecisions:
    """What stands is found by the messages that it was decided for."""

    messages = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v"))
    batch = Batch("clearing", 2, (1,), "notes")

    def test_a_longer_conversation_finds_what_stood(self) -> None:
        """The longest known beginning counts."""
        decisions, chain = Decisions(), chain_of(self.messages)
        decisions.keep(chain[:2], Standing(2, 1, 0.0), lifetime_s=300)
        decisions.keep(chain[:3], Standing(3, 2, 1.0, (self.batch,)), lifetime_s=300)
        found = decisions.find(chain)
        assert found is not None
        assert found.batches == (self.batch,)

    def test_another_conversation_does_not(self) -> None:
        """A word that differs, another tool id and another tenant are other conversations."""
        decisions = Decisions()
        decisions.keep(chain_of(self.messages, "a"), Standing(4, 2, 0.0, (self.batch,)), lifetime_s=300)
        assert decisions.find(chain_of(self.messages, "b")) is None
        assert decisions.find(chain_of([Message("system", "t"), *self.messages[1:]], "a")) is None
        assert decisions.find(chain_of([Message("system", "s", extra={"id": 1}), *self.messages[1:]], "a")) is None

    def test_they_survive_a_file(self, tmp_path: Path) -> None:
        """Everything comes back, the lengths of ended conversations too."""
        decisions, chain = Decisions(), chain_of(self.messages)
        decisions.keep(chain, Standing(4, 2, 0.5, (self.batch,)), lifetime_s=300)
        decisions.keep(chain_of([Message("user", "x")]), Standing(1, 1, 900.0), lifetime_s=300)
        decisions.save(tmp_path / "decisions.json")
        after = Decisions()
        after.load(tmp_path / "decisions.json")
        assert after.told() == decisions.told()
        assert after.lengths.told() == {2: 1}
        assert after.find(chain) == Standing(4, 2, 0.5, (self.batch,))

    def test_they_are_bounded(self) -> None:
        """The calls unused for longest are forgotten."""
        decisions = Decisions(max_calls=3)
        for number in range(10):
            decisions.keep(chain_of([Message("user", str(number))]), Standing(1, 1, float(number)), lifetime_s=300)
        assert len(decisions) == 3
        assert decisions.find(chain_of([Message("user", "9")])) is not None
        assert decisions.find(chain_of([Message("user", "1")])) is None

    @pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', json.dumps({"format": "tuppence-history/1"})])
    def test_another_file_is_refused(self, tmp_path: Path, text: str) -> None:
        """What holds no decisions is named, with what to do."""
        path = tmp_path / "decisions.json"
        path.write_text(text)
        with pytest.raises(ConfigError):
            Decisions().load(path)

    def test_no_room_at_all_is_a_mistake(self) -> None:
        """At least one call must fit."""
        with pytest.raises(ConfigError, match="max_calls"):
            Decisions(max_calls=0)
