"""What reports promise of every ledger, whichever database it lies in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuppence.spend import Line, notes, report
from tuppence.spend.certificate_calls import certificate_calls
from tuppence.spend.output_lengths import PastOutput, past_outputs

from .cells_suite import rolled_up
from .ledger_rows import DAY_US, HOUR_US, START_US, Row, Store, answered_by, manyfold, numbered, random_rows, row

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
_by = st.sampled_from([(), ("tier",), ("user",), ("day",), ("cause", "user"), ("day", "tier"), ("model",)])


def plainly(rows: Sequence[Row], by: tuple[str, ...]) -> dict[Any, Line]:
    """Add rows up one by one, and count distinct ids."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for one in rows:
        day = (datetime(1970, 1, 1) + timedelta(microseconds=one["started_us"])).date().isoformat()
        groups[tuple(day if name == "day" else one[name] for name in by)].append(one)
        groups["total"].append(one)
    answers = answered_by(rows)
    return {key: _line(() if key == "total" else key, ones, answers.__contains__, set(answers.values()))
            for key, ones in groups.items()}  # fmt: skip


def _line(key: tuple[str | None, ...], rows: list[Row], compared: Callable[[str], bool], answers: set[int]) -> Line:
    asked = [one for one in rows if one["outcome"] != "hit"]
    would = [one for one in rows if one["would_pico"] is not None and one["pico_usd"] is not None]
    cost = sum(one["pico_usd"] for one in rows if compared(one["call_id"]))
    return Line(
        key=key, calls=len({one["call_id"] for one in rows}), attempts=len(asked), hits=len(rows) - len(asked),
        errors=sum(one["outcome"] == "failed" for one in rows),
        input_tokens=sum(one["input"] + one["cache_read"] for one in asked),
        output_tokens=sum(one["output"] for one in asked), estimated=sum(one["status"] == "estimated" for one in rows),
        unpriced=sum(one["pico_usd"] is None for one in rows), pico_usd=sum(one["pico_usd"] or 0 for one in rows),
        compared=len({one["call_id"] for one in rows if compared(one["call_id"])}), observed=len(would),
        would_save_pico=sum(one["pico_usd"] - one["would_pico"] for one in would),
        saved_pico=sum(one["baseline_pico"] for one in rows if one["id"] in answers) - cost,
    )  # fmt: skip


class ReportSuite:
    """Inherit it, and give it a fixture `store`."""

    @manyfold
    @given(rows=random_rows(), by=_by)
    def test_lines_are_what_adding_row_by_row_gives(self, store: Store, rows: list[Row], by: tuple[str, ...]) -> None:
        """Distinct calls too, of calls torn apart, tried again, judged, watched and unpriced."""
        made = report(store(rows), by=by)
        truth = plainly(rows, by)
        assert {line.key: line for line in made.lines} == {
            key: line for key, line in truth.items() if key != "total" and by
        }
        assert made.total == truth.get("total", made.total)

    @manyfold
    @given(rows=random_rows(), start=st.integers(0, 50), hours=st.integers(0, 30), by=_by)
    def test_a_span_of_time_gives_what_the_ledger_of_these_rows_gives(
        self, store: Store, rows: list[Row], start: int, hours: int, by: tuple[str, ...]
    ) -> None:
        first, last = START_US + start * HOUR_US, START_US + (start + hours) * HOUR_US
        chosen = [one for one in rows if first <= one["started_us"] < last]
        since = MONDAY + timedelta(hours=start)
        made = report(store(rows), by=by, since=since, until=since + timedelta(hours=hours))
        truth = plainly(chosen, by)
        assert {line.key: line for line in made.lines} == {
            key: line for key, line in truth.items() if key != "total" and by
        }
        assert made.total == truth.get("total", made.total)

    def test_rolled_up_days_are_in_the_lines(self, store: Store) -> None:
        """And it is said what they are; who asks for a session is told that they are missing."""
        days = [
            rolled_up(
                calls=5, attempts=6, pico_usd=100, unpriced=1, compared=3, compared_pico=70, baseline_pico=300,
                output=40, observed=1, would_pico=10, observed_pico=15, user="ann",
            ),
            rolled_up(outcome="failed", attempts=2, status="estimated", tier="large"),
        ]  # fmt: skip
        place = store(numbered([row("a", pico=5, baseline_pico=100, started_us=START_US + DAY_US)]), days)
        made = report(place, by=("day", "tier"))
        assert [line.key for line in made.lines] == [
            ("2026-03-02", "small"), ("2026-03-02", "large"), ("2026-03-03", "small"),
        ]  # fmt: skip
        assert made.total == Line(
            key=(), calls=6, attempts=9, hits=0, errors=2, input_tokens=7 + 7 + 100, output_tokens=50, estimated=2,
            unpriced=1, pico_usd=105, compared=4, observed=1, would_save_pico=5, saved_pico=230 + 95,
        )  # fmt: skip
        assert any("2026-03-03" in note and "only sums" in note for note in notes(made))
        asked = report(place, where={"session": "s"})
        assert asked.total.calls == 0
        assert any("left out" in note for note in notes(asked))
        assert report(place, where={"user": "ann"}).total.calls == 5
        assert report(place, since=MONDAY + timedelta(days=1)).rolled_up is None

    def test_caches_are_told_of(self, store: Store) -> None:
        """An exact hit, one that a judge verified, a call that missed, and one whose framework tried it again."""
        rows = [
            row("a", "hit", 0, tier="cache", baseline_pico=100, latency_ms=2.0),
            row("b", "consulted", 10, tier="judge", cause="judge", latency_ms=30.0),
            row("b", "hit", 0, n=2, tier="similar", baseline_pico=100, latency_ms=40.0),
            row("c", "rejected", 5, latency_ms=100.0, extra={"missed": "audited"}),
            row("c", "accepted", 50, n=2, latency_ms=200.0, baseline_pico=50),
            row("d", "failed", 0, extra={"missed": "differs in number"}),
            row(
                "d", "accepted", 50, again=1, latency_ms=500.0, baseline_pico=50, extra={"missed": "differs in number"}
            ),
            row("e", "hit", 0, tier="cache", baseline_pico=None),
            row("f", "hit", 0, tier="cache", policy_version="", baseline_pico=900),
        ]
        ones = [one | {"id": number, "started_us": START_US + number} for number, one in enumerate(rows, 1)]
        found = report(store(ones)).hits
        assert found is not None
        exact, similar = found.lines
        assert (found.calls, exact.hits, similar.hits) == (5, 2, 1)
        assert (exact.compared, exact.saved_pico, similar.compared, similar.saved_pico) == (1, 100, 1, 90)
        assert (exact.median_ms, similar.median_ms, found.asked_median_ms) == (1.5, 40.0, 400.0)
        assert found.missed == (("audited", 1), ("differs in number", 1))

    def test_prompt_caches_are_told_of(self, store: Store) -> None:
        """A write that is read, one that is not, a read of another tenant's, and one of unknown price."""

        def money(saved: int, extra: int) -> Row:
            return {"prefix": {"reads_saved_pico": saved, "writes_extra_pico": extra}}

        rows = [
            row("a", cache_write_5m=1000, extra=money(0, 7)),
            row("b", cache_read=1000, extra=money(2**40, 0), started_us=START_US + 1),
            row("c", cache_write_1h=1000, cache_read=1000, extra=money(5, 11), started_us=START_US + 2),
            row("d", cache_read=9999, tenant="other", extra=money(3, 0), started_us=START_US + 3),
            row("e", pico=None, cache_read=10, tier="large", model="large-1", started_us=START_US + 4),
        ]
        large, small = report(store(numbered(rows))).prefix
        assert (small.reads_saved_pico, small.writes_extra_pico, small.unread_pico, small.unpriced) == (
            2**40 + 8, 18, 11, 0,
        )  # fmt: skip
        assert (large.read_tokens, large.unpriced, large.reads_saved_pico) == (10, 1, 0)

    def test_calls_under_a_certificate(self, store: Store) -> None:
        """Four of them: one inside, one outside, one from a cache, one that nobody can compare."""

        def under(outside: bool) -> Row:
            return {"certificate": "c1"} | ({"outside": True} if outside else {})

        rows = [
            row("a", "rejected", 5, extra=under(False), score=0.2),
            row("a", "accepted", 30, n=2, tier="large", model="large-1", baseline_pico=50),
            row("b", baseline_pico=100, extra=under(True), score=0.9),
            row("c", "hit", 0, extra=under(False), baseline_pico=100),
            row("d", pico=None, extra=under(False), baseline_pico=100, score=0.7),
            row("e", baseline_pico=100),
        ]
        made = MONDAY - timedelta(days=1)
        found = certificate_calls(store(numbered(rows)), "c1", made=made)
        assert (found.calls, found.outside, found.hits, found.other) == (4, 1, 1, 1)
        assert (found.compared, found.baseline_pico, found.pico_usd) == (1, 50, 35)
        assert found.error_pico == 0.0
        assert found.asked == {("large", "large-1"): 1, ("small", "small-1"): 3}
        assert found.scores == {"small": [0.2, 0.7]}
        later = certificate_calls(store(numbered(rows)), "c1", made=MONDAY + timedelta(days=1))
        assert later.calls == 0
        assert later.asked_before == {("large", "large-1"), ("small", "small-1")}

    def test_past_answers_are_told_oldest_first(self, store: Store) -> None:
        rows = [
            row("a", output=30, started_us=START_US + 9, task="faq", extra={"finish": "length"}),
            row("b", "abandoned", output=7, started_us=START_US, endpoint="/x", reasoning=3),
            row("c", "failed", output=5),
        ]
        assert list(past_outputs(store(numbered(rows)))) == [
            PastOutput("/x", "small-1", 7, 3, "abandoned"), PastOutput("faq", "small-1", 30, 0, "length"),
        ]  # fmt: skip
