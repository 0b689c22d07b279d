"""Does the certificate keep its word? Certify policies whose true quality is known, again and again.

    python benchmarks/certificate_simulation.py --repeats 2000 --labels 1000 --seed 0

Each population is a quality curve over the thresholds, worked out and not estimated: exactly on the target at some of
them, a little below it, far from it. A *violation* is a certificate for a threshold that does not keep more than the
target. Their share may be `delta`, and what chance adds to it in so many repeats. `power` is the mean true saving of
what was certified, in parts of the largest that keeps the target. The last line of output is one JSON object; the exit
status is 1 if any population is violated too often.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuppence.evidence.certificate import Certified, Ladder, NoSaving, NotCertifiable, Verdict, certify

FloatArray = NDArray[np.float64]

GRID = np.linspace(0.0, 1.0, 21)
"""Thresholds on a score that is uniform: also the share of questions that the cheap tier answers."""
TRAIN = 0.3
STRONG_USD = 0.004


@dataclass(frozen=True, slots=True)
class Curve:
    """The quality lost by a cheap answer at score u: up to each of `knots`, a constant in parts of (1 - target) * q.

    `until[i]` is the score up to which `loss[i]` holds. The quality margin left at threshold T, in the same parts, is 1
    minus the integral of the loss up to T.
    """

    until: tuple[float, ...]
    loss: tuple[float, ...]

    def at(self, score: FloatArray) -> FloatArray:
        """Return the loss at scores."""
        return np.asarray(np.array(self.loss)[np.searchsorted(self.until, score, side="left")])

    def margin(self) -> FloatArray:
        """Return the margin that is left at each threshold of the grid."""
        starts = np.concatenate(([0.0], self.until[:-1]))
        covered = np.clip(GRID[:, None] - starts, 0.0, np.array(self.until) - starts)
        return np.asarray(1.0 - covered @ np.array(self.loss))


CURVES = {
    "exact_at_half": Curve((1.0,), (2.0,)),
    "exact_from_half_on": Curve((0.5, 1.0), (2.0, 0.0)),
    "exact_late": Curve((0.75, 0.85, 1.0), (0.0, 10.0, 4.0)),
    "just_below_from_half_on": Curve((0.5, 1.0), (2.1, 0.0)),
    "cliff": Curve((0.5, 1.0), (0.0, 8.0)),
    "soon_too_bad": Curve((0.1, 1.0), (12.0, 4.0)),
    "always_far_above": Curve((1.0,), (0.3,)),
    "no_loss": Curve((1.0,), (0.0,)),
    "better_than_the_strongest": Curve((1.0,), (-1.0,)),
}


def nested(rng: np.random.Generator, loss: FloatArray, quality: float) -> tuple[FloatArray, FloatArray]:
    """Right or wrong; the cheap answer is right only where the strong one is (unless it is the better one)."""
    return _binary(rng, loss, quality, churn=0.0)


def churning(rng: np.random.Generator, loss: FloatArray, quality: float) -> tuple[FloatArray, FloatArray]:
    """Right or wrong; often only one of the two is right."""
    return _binary(rng, loss, quality, churn=0.1)


def graded(rng: np.random.Generator, loss: FloatArray, quality: float) -> tuple[FloatArray, FloatArray]:
    """Scores between 0 and 1, each answer a little off the other."""
    strong = rng.beta(6.0 * quality, 6.0 * (1.0 - quality), size=len(loss))
    part = np.abs(loss) / np.where(loss > 0.0, quality, 1.0 - quality)
    moved = rng.beta(np.maximum(3.0 * part, 1e-9), 3.0 * (1.0 - part)) * (part > 0.0)
    return strong, np.where(loss > 0.0, strong * (1.0 - moved), strong + (1.0 - strong) * moved)


def _binary(
    rng: np.random.Generator, loss: FloatArray, quality: float, *, churn: float
) -> tuple[FloatArray, FloatArray]:
    strong = (rng.random(len(loss)) < quality).astype(np.float64)
    lost, gained = churn + np.maximum(loss, 0.0), churn + np.maximum(-loss, 0.0)
    assert (lost <= quality).all(), "more would be lost than there is: the truth would not be what the curve says"
    flips = rng.random(len(loss)) < np.where(strong > 0.0, lost / quality, gained / (1.0 - quality))
    return strong, np.where(flips, 1.0 - strong, strong)


Scores = Callable[[np.random.Generator, FloatArray, float], tuple[FloatArray, FloatArray]]
SCORES: dict[str, Scores] = {"nested": nested, "churning": churning, "graded": graded}


@dataclass(frozen=True, slots=True)
class Population:
    """Questions without end, and a policy for them."""

    curve: Curve
    scores: Scores
    target: float
    quality: float = 0.7
    """Of the strongest tier."""
    cheap_usd: float = 0.0004

    def draw(self, rng: np.random.Generator, labels: int) -> Ladder:
        """Label questions at random."""
        score = rng.random(labels)
        loss = (1.0 - self.target) * self.quality * self.curve.at(score)
        strong, cheap = self.scores(rng, loss, self.quality)
        # A gamma of mean 1: long answers are several times as dear as short ones.
        strong_usd, cheap_usd = (usd * rng.gamma(2.0, 0.5, labels) for usd in (STRONG_USD, self.cheap_usd))
        kept = score <= GRID[:, None]
        cost = np.where(kept, 0.0, strong_usd) + cheap_usd
        cost[0] = strong_usd
        return Ladder(GRID, np.where(kept, cheap, strong), cost, strong, strong_usd)

    def saved(self) -> FloatArray:
        """Return the true share of the cost that each threshold saves."""
        share = GRID - self.cheap_usd / STRONG_USD
        share[0] = 0.0
        return share

    def keeps(self) -> NDArray[np.bool_]:
        """Say of each threshold whether it truly keeps more than the target."""
        return np.asarray(self.curve.margin() > 1e-9)

    def best(self) -> float:
        """Return the largest true saving among the thresholds that keep at least the target."""
        return float(self.saved()[self.curve.margin() >= -1e-9].max())


def verdicts(population: Population, *, delta: float, labels: int, repeats: int, seed: int) -> Iterator[Verdict]:
    """Certify the same policy on fresh labels, `repeats` times."""
    train = round(TRAIN * labels)
    for repeat in range(repeats):
        rng = np.random.default_rng((seed, repeat))
        parts = population.draw(rng, train), population.draw(rng, labels - train)
        yield certify(*parts, target=population.target, delta=delta)


def judged(population: Population, found: list[Verdict]) -> dict[str, float]:
    """Hold verdicts against the truth."""
    places = [int(np.searchsorted(GRID, one.threshold)) for one in found if isinstance(one, Certified)]
    best, keeps = population.best(), population.keeps()
    wrong = sum(not keeps[place] for place in places)
    saved = sum(population.saved()[place] for place in places)
    return {
        "violation_rate": round(wrong / len(found), 4),
        "certified": round(len(places) / len(found), 4),
        "not_certifiable": round(sum(isinstance(one, NotCertifiable) for one in found) / len(found), 4),
        "no_saving": round(sum(isinstance(one, NoSaving) for one in found) / len(found), 4),
        "power": round(saved / len(found) / best, 4) if best > 0.0 else 0.0,
    }


def forecast(population: Population, *, delta: float, labels: int, repeats: int, seed: int) -> dict[str, float]:
    """Where more labels were asked for, label so many in all, afresh: how often is it certified then?"""
    asked = [
        one.labels.total + one.more_labels
        for one in verdicts(population, delta=delta, labels=labels, repeats=repeats, seed=seed)
        if isinstance(one, NotCertifiable) and one.more_labels is not None
    ]
    done = [
        one
        for repeat, total in enumerate(asked)
        for one in verdicts(population, delta=delta, labels=total, repeats=1, seed=seed + 1 + repeat)
    ]
    certified = sum(isinstance(one, Certified) for one in done)
    return {
        "labels": labels, "asked_for_more": len(asked), "median_total": float(np.median(asked)) if asked else 0.0,
        "certified_then": round(certified / len(done), 4) if done else 0.0,
    }  # fmt: skip


def simulate(*, targets: list[float], delta: float, labels: int, repeats: int, seed: int) -> dict[str, Any]:
    """Run every population; the last entries say whether the promise held."""
    found: dict[str, Any] = {}
    for target in targets:
        for kind, scores in SCORES.items():
            for name, curve in CURVES.items():
                population = Population(curve, scores, target)
                seen = list(verdicts(population, delta=delta, labels=labels, repeats=repeats, seed=seed))
                found[f"{name}/{kind}/{target:g}"] = judged(population, seen)
    dear = Population(CURVES["no_loss"], nested, targets[0], cheap_usd=1.1 * STRONG_USD)
    seen = list(verdicts(dear, delta=delta, labels=labels, repeats=min(repeats, 200), seed=seed))
    found["dearer_than_the_strongest"] = judged(dear, seen)
    few = Population(CURVES["always_far_above"], churning, targets[0])
    worst = max(found, key=lambda name: found[name]["violation_rate"])
    # Three standard errors of a share of `delta`.
    allowed = delta + 3.0 * math.sqrt(delta * (1.0 - delta) / repeats)
    return {
        "repeats": repeats, "labels": labels, "delta": delta, "populations": found,
        "forecast": forecast(few, delta=delta, labels=150, repeats=min(repeats, 500), seed=seed),
        "worst": worst, "worst_violation_rate": found[worst]["violation_rate"], "allowed": round(allowed, 4),
        "kept": found[worst]["violation_rate"] <= allowed,
    }  # fmt: skip


def main() -> int:
    """Simulate, print a line a population, and the whole as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default="0.95,0.98", help="shares of quality to keep, with commas")
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--labels", type=int, default=1000, help="to learn from and to certify with, together")
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    targets = [float(part) for part in told.targets.split(",")]
    found = simulate(
        targets=targets, delta=told.delta, labels=told.labels, repeats=told.repeats, seed=told.seed
    )  # fmt: skip
    for name, one in found["populations"].items():
        print(f"{name:<42} violated {one['violation_rate']:6.1%}  certified {one['certified']:6.1%}  "
              f"power {one['power']:6.1%}")  # fmt: skip
    print(json.dumps(found))
    return 0 if found["kept"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
