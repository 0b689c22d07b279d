"""What the judgements say: quality by week and tier, whether it changed, whether people agree, and what it cost.

What was not judged stands beside what was: a mean over those calls that a judge happened to manage is no mean of all.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from tuppence.errors import ConfigError
from tuppence.evidence.judging.agreement import Agreement, kappa
from tuppence.evidence.judging.drift import Drift, drift, interval
from tuppence.evidence.judging.judgements import TOP_GRADE, Judgement
from tuppence.prices import PicoUSD, usd

Aspect = Literal["accuracy", "fluency"]
ALL_TIERS = "all tiers"
_LEVELS = {"rated": TOP_GRADE, "pairwise": 3}


@dataclass(frozen=True, slots=True)
class WeekLine:
    """What was judged of one tier's calls in one week."""

    week: str
    tier: str
    mode: str
    counts: Mapping[str, int]
    """Calls by what came of them; see `Judgement.status`."""
    means: Mapping[str, float]
    """Means of `accuracy` and `fluency` from 1 to 5, or of `preference` from 0 to 1; empty where nothing was scored."""
    interval: tuple[float, float] | None
    """95 % interval of the mean of the aspect that is watched, on its own scale."""
    pico_usd: PicoUSD
    unpriced: int
    """Judgements of unknown price: they are missing from the cost."""

    @property
    def cost_usd(self) -> Decimal:
        return usd(self.pico_usd)


@dataclass(frozen=True, slots=True)
class Series:
    """The weeks of one tier under one judge and its instructions: scores of others do not compare."""

    tier: str
    mode: str
    judge: str
    instructions: str
    weeks: tuple[str, ...]
    """Those that were tested or are the reference: the one under way is not over."""
    drift: Drift


@dataclass(frozen=True, slots=True)
class JudgeLine:
    """How far one judge can be trusted."""

    mode: str
    judge: str
    instructions: str
    agreement: Agreement
    compared: int
    """Comparisons that were asked in both orders."""
    first: int
    """Those in which the answer that stood first won both times."""
    second: int

    @property
    def bias_p(self) -> float:
        """Probability of so one-sided a preference for a place by chance: the exact two-sided sign test."""
        swayed, least = self.first + self.second, min(self.first, self.second)
        return min(1.0, 2 * sum(math.comb(swayed, i) for i in range(least + 1)) / (1 << swayed))


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """All of it."""

    aspect: Aspect
    alpha: float
    reference_weeks: int
    lines: tuple[WeekLine, ...]
    series: tuple[Series, ...]
    judges: tuple[JudgeLine, ...]


def judge_report(
    judgements: Iterable[Judgement], *, labels: Mapping[str, float] | None = None, aspect: Aspect = "accuracy",
    reference_weeks: int = 4, alpha: float = 0.05, now: float | None = None,
) -> JudgeReport:  # fmt: skip
    """Add judgements up by week and tier, test for drift, and compare with people's `labels`: call id to a score in
    [0, 1].

    `aspect` is what is watched and compared where answers were rated. `now` (Unix seconds) says which week is still
    under way and is not tested. `alpha` is the probability of a false alarm, of each series by itself. Raises
    `ConfigError` for options and labels that cannot be.
    """
    if aspect not in ("accuracy", "fluency"):
        raise ConfigError(f"aspect is {aspect!r}: it is 'accuracy' or 'fluency'")
    known = list(judgements)
    scored = [one for one in known if one.status == "scored"]
    year, week, _ = datetime.fromtimestamp(time.time() if now is None else now, UTC).isocalendar()
    over = [one for one in scored if one.week < f"{year}-W{week:02}"]
    series = [*_grouped(over, lambda one: (one.mode, one.judge, one.instructions, one.tier)).values()]
    pooled = [*_grouped(over, _judge_of).values()]
    several = [group for group in pooled if len({one.tier for one in group}) > 1]
    return JudgeReport(
        aspect, alpha, reference_weeks,
        tuple(_week_line(group, aspect) for group in _grouped(known, lambda o: (o.mode, o.week, o.tier)).values()),
        tuple(_series(group, aspect, reference_weeks, alpha) for group in (*several, *series)),
        tuple(_judge_line(group, labels or {}, aspect) for group in _grouped(scored, _judge_of).values()),
    )  # fmt: skip


def _judge_of(one: Judgement) -> tuple[str, str, str]:
    return one.mode, one.judge, one.instructions


def _grouped(
    judgements: Iterable[Judgement], key: Callable[[Judgement], tuple[str, ...]]
) -> Mapping[tuple[str, ...], list[Judgement]]:
    groups: dict[tuple[str, ...], list[Judgement]] = defaultdict(list)
    for one in judgements:
        groups[key(one)].append(one)
    return dict(sorted(groups.items()))


def _watched(mode: str, aspect: Aspect) -> str:
    return "preference" if mode == "pairwise" else aspect


def shown(score: float, mode: str) -> float:
    """Return a score in [0, 1] on the scale that people read: grades from 1 to 5, preferences from 0 to 1."""
    return score if mode == "pairwise" else 1.0 + (TOP_GRADE - 1) * score


def _scores(group: Sequence[Judgement], aspect: str) -> list[float]:
    return [score for one in group if (score := one.score(aspect)) is not None]


def _week_line(group: Sequence[Judgement], aspect: Aspect) -> WeekLine:
    counts: dict[str, int] = defaultdict(int)
    for one in group:
        counts[one.status] += one.count
    mode = group[0].mode
    aspects = ("preference",) if mode == "pairwise" else ("accuracy", "fluency")
    scores = {name: _scores(group, name) for name in aspects}
    watched = scores[_watched(mode, aspect)]
    low_high = tuple(shown(end, mode) for end in interval(watched)) if watched else None
    return WeekLine(
        group[0].week, group[0].tier, mode, dict(counts),
        {name: shown(sum(found) / len(found), mode) for name, found in scores.items() if found},
        None if low_high is None else (low_high[0], low_high[1]),
        sum(one.pico_usd or 0 for one in group), sum(one.count for one in group if one.pico_usd is None),
    )  # fmt: skip


def _series(group: Sequence[Judgement], aspect: Aspect, reference_weeks: int, alpha: float) -> Series:
    weeks = _grouped(group, lambda one: (one.week,))
    mode, tiers = group[0].mode, {one.tier for one in group}
    scores = [_scores(week, _watched(mode, aspect)) for week in weeks.values()]
    return Series(
        ALL_TIERS if len(tiers) > 1 else group[0].tier, mode, group[0].judge, group[0].instructions,
        tuple(name for (name,) in weeks), drift(scores, reference_weeks=reference_weeks, alpha=alpha),
    )  # fmt: skip


def _judge_line(group: Sequence[Judgement], labels: Mapping[str, float], aspect: Aspect) -> JudgeLine:
    mode = group[0].mode
    # Of two judgements of one call the later counts.
    judged = {one.call_id: one.score(_watched(mode, aspect)) for one in group}
    pairs = [(score, labels[call]) for call, score in judged.items() if call in labels and score is not None]
    leanings = [one.leaning for one in group]
    return JudgeLine(
        mode, group[0].judge, group[0].instructions, kappa(pairs, levels=_LEVELS[mode]),
        len(group) if mode == "pairwise" else 0, leanings.count("first"), leanings.count("second"),
    )  # fmt: skip
