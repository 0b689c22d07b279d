"""The corpus of reports that section pruning is measured on is what its README says, the same for everyone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

Reports = Sequence[Any]
Measure = Callable[[Callable[[str], str]], dict[str, Any]]
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
DIGEST = "7f3b8e7c22cdf7354efc81fe17c51f6f"
"""Of all texts. Other texts are another corpus: figures taken on this one do not hold for it."""
_DIGEST = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from pruning_parts.reports import reports
print(hashlib.sha256("\\0".join(one.text for one in reports()).encode()).hexdigest()[:32])
"""


@pytest.fixture(scope="module")
def corpus() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from pruning_parts import reports

        yield reports


@pytest.fixture(scope="module")
def reports(corpus: Any) -> Reports:
    found: Reports = corpus.reports()
    return found


class TestReports:
    """Long, of many kinds and forms, and always the same."""

    def test_the_bytes_are_pinned(self, reports: Reports) -> None:
        """A change of a recipe or of the generator is a new corpus, and must be meant."""
        assert hashlib.sha256("\0".join(one.text for one in reports).encode()).hexdigest()[:32] == DIGEST

    @pytest.mark.parametrize("seed", ["0", "1"])
    def test_another_process_writes_the_same(self, seed: str) -> None:
        """Nothing depends on the order in which sets and hashes come."""
        command = [sys.executable, "-c", _DIGEST, str(BENCHMARKS)]
        done = subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == DIGEST

    def test_they_are_many_and_long(self, reports: Reports) -> None:
        """At least 32 reports of at least eight kinds, most of 1,500 words or more; German says it in fewer."""
        words = [len(one.text.split()) for one in reports]
        assert len(reports) >= 32
        assert len({one.kind for one in reports}) >= 8
        assert len({one.form for one in reports}) == 8
        assert {one.language for one in reports} == {"en", "de", "fr", "es"}
        assert min(words) >= 1_450
        assert max(words) <= 5_000

    def test_no_report_repeats_itself(self, reports: Reports) -> None:
        """Their ids and texts are all different."""
        assert len({one.id for one in reports}) == len({one.text for one in reports}) == len(reports)

    def test_nothing_of_the_recipe_is_left_in_the_text(self, reports: Reports) -> None:
        """Slots are filled, and what marks facts is gone: no wording gives the answer away."""
        for report in reports:
            assert not any(mark in report.text for mark in ("[[", "]]", "((", "{", "}", "<", "..,")), report.id


class TestFacts:
    """What a report says, where, and whether a summary needs it."""

    def test_every_fact_stands_in_its_report(self, reports: Reports) -> None:
        """In each of its wordings, over line and page breaks."""
        for report in reports:
            flat = " ".join(report.text.split())
            assert [said for fact in report.facts for said in fact.texts if said not in flat] == [], report.id

    def test_a_fair_share_stands_in_the_body_alone(self, reports: Reports) -> None:
        """Of the facts that a summary needs, in reports that have a summary: 25 to 35%."""
        facts = [
            fact
            for report in reports
            if not all(fact.in_body_only for fact in report.facts if fact.summary_relevant)
            for fact in report.facts
            if fact.summary_relevant
        ]
        assert 0.25 <= sum(fact.in_body_only for fact in facts) / len(facts) <= 0.35

    def test_a_few_reports_have_no_summary(self, reports: Reports) -> None:
        """There all facts stand in the body."""
        without = [
            one for one in reports if all(fact.in_body_only for fact in one.facts if fact.summary_relevant)
        ]  # fmt: skip
        assert 3 <= len(without) <= 8

    def test_every_report_has_facts_of_both_kinds(self, reports: Reports) -> None:
        """At least seven that a summary needs; cells of tables and details nearly everywhere."""
        relevant = Counter(one.id for one in reports for fact in one.facts if fact.summary_relevant)
        assert min(relevant[one.id] for one in reports) >= 7
        assert sum(not fact.summary_relevant for one in reports for fact in one.facts) >= 200

    def test_what_no_summary_needs_stands_there_once(self, reports: Reports) -> None:
        """So that a dropped table's cell is not found elsewhere by chance."""
        for report in reports:
            flat = " ".join(report.text.split())
            assert all(
                flat.count(said) == 1 for fact in report.facts if not fact.summary_relevant for said in fact.texts
            ), report.id


class TestMeasuring:
    """`sections` counts what it says."""

    @pytest.fixture
    def sections(self, corpus: Any) -> Measure:
        from pruning_parts.sections import sections

        found: Measure = sections
        return found

    def test_keeping_everything_keeps_every_fact_at_the_full_price(self, sections: Measure) -> None:
        """Facts that nobody needs are kept as well."""
        found = sections(lambda text: text)
        assert (found["tokens_share"], found["facts"], found["facts_irrelevant"]) == (1.0, 1.0, 1.0)
        assert found["lost"] == []

    def test_keeping_nothing_keeps_no_fact(self, sections: Measure) -> None:
        """And costs nothing."""
        found = sections(lambda _: "")
        assert (found["tokens_share"], found["facts"], found["facts_irrelevant"]) == (0.0, 0.0, 0.0)

    def test_the_first_half_is_not_enough(self, sections: Measure) -> None:
        """Cutting at half of the characters loses a fair share: the corpus is no gift to truncation."""
        found = sections(lambda text: text[: len(text) // 2])
        assert found["tokens_share"] < 0.55
        assert found["facts"] < 0.85
        assert found["facts_in_body_only"] < found["facts"]
