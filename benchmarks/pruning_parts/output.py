"""What output control gives: limits learned on one half of the calls, judged on the other and on made-up lengths."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pruning_parts.output_answers import pointers_local, short_names
from tuppence.prices import PriceBook, Rate, token_rate
from tuppence.prune.output import OutputLengths
from tuppence.prune.output.caps import conformal_rank
from tuppence.usage import Usage

__all__ = ["output_caps", "pointers_local", "short_names"]

Pair = tuple[str, str]
"""Task and model."""
_HALVINGS = 10
_RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class _Question:
    key: str
    task: str
    tokens: Mapping[str, int]
    """Output tokens by model."""


def output_caps(data: Path) -> dict[str, Any]:
    """Learn limits on one half of the questions of `data/routing`, by hash of their id, and judge them on the other.

    `truncated_share` is over all calls of the other half whose task and model got a limit and whose lengths vary at
    all; its interval resamples questions, since models share them. `halvings` tells the same for ten other hashes,
    beside the conformal rank alone.
    """
    questions = _questions(data)
    first = _halved(questions, "")
    others = [_halved(questions, f"{number}:") for number in range(_HALVINGS)]
    return {
        **first.figures(),
        "halvings": {
            "truncated_share": _spread([one.share for one in others]),
            "conformal_rank_alone": _spread([one.conformal_share for one in others]),
        },
        "worth": _worth(questions),
        "heavy_tails": {name: _tails(draw) for name, draw in _TAILS.items()},
        "drift": {name: _drift(growth) for name, growth in _GROWTH.items()},
    }


@dataclass(frozen=True, slots=True)
class _Judged:
    cuts: Mapping[Pair, tuple[int, int]]
    """Calls cut and calls judged, where lengths vary and a limit was set."""
    conformal_share: float
    no_limit: Counter[str]
    constant: tuple[int, int]
    by_question: Mapping[str, tuple[int, int]]

    @property
    def share(self) -> float:
        return sum(cut for cut, _ in self.cuts.values()) / sum(n for _, n in self.cuts.values())

    def figures(self) -> dict[str, Any]:
        worst = sorted(self.cuts, key=lambda pair: -self.cuts[pair][0] / self.cuts[pair][1])[:3]
        return {
            "calls": sum(n for _, n in self.cuts.values()),
            "truncated_share": round(self.share, 5),
            "between": _resampled(list(self.by_question.values())),
            "pairs": len(self.cuts),
            "pairs_above_1%": sum(cut > 0.01 * n for cut, n in self.cuts.values()),
            "no_limit": dict(self.no_limit),
            "constant_lengths": {"calls": self.constant[1], "cut": self.constant[0]},
            "worst": {" ".join(pair): [*self.cuts[pair], *_clopper_pearson(*self.cuts[pair])] for pair in worst},
        }


def _questions(data: Path) -> list[_Question]:
    paths = sorted((data / "routing").glob("*.jsonl.gz"))
    if not paths:
        raise FileNotFoundError(f"{data / 'routing'} holds no .jsonl.gz: give the folder with the data of all areas")
    found = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                tokens = {
                    model: told["output_tokens"] for model, told in row["outcomes"].items() if told.get("output_tokens")
                }
                found.append(_Question(f"{path.stem}/{row['id']}", f"{path.stem[:4]}/{row['dataset']}", tokens))
    return found


def _halved(questions: Sequence[_Question], salt: str) -> _Judged:
    learning, judging = _halves(questions, salt)
    lengths = OutputLengths()
    for one in learning:
        lengths.learn((one.task, model, tokens, 0, None) for model, tokens in one.tokens.items())
    pairs = {(one.task, model) for one in questions for model in one.tokens}
    caps = {pair: lengths.plan(*pair) for pair in sorted(pairs)}
    plain = _conformal(learning)
    varying = {pair for pair in pairs if len({one.tokens.get(pair[1]) for one in questions if one.task == pair[0]}) > 1}
    cuts, constant, conformal = dict[Pair, tuple[int, int]](), (0, 0), (0, 0)
    by_question = dict[str, tuple[int, int]]()
    for one in judging:
        for model, tokens in one.tokens.items():
            pair = one.task, model
            cap = caps[pair].max_tokens
            if cap is None:
                continue
            if pair not in varying:
                constant = _added(constant, (int(tokens > cap), 1))
                continue
            cut = int(tokens > cap), 1
            cuts[pair] = _added(cuts.get(pair, (0, 0)), cut)
            by_question[one.key] = _added(by_question.get(one.key, (0, 0)), cut)
            conformal = _added(conformal, (int(tokens > plain[pair]), 1))
    reasons = Counter(_reason(plan.why) for plan in caps.values() if plan.max_tokens is None)
    return _Judged(cuts, conformal[0] / conformal[1], reasons, constant, by_question)


def _halves(questions: Sequence[_Question], salt: str) -> tuple[list[_Question], list[_Question]]:
    """Split by hash, in an order that is hashed too: files are sorted by subject, and traffic is not."""
    mixed = sorted(questions, key=lambda one: _hash(f"{salt}order/{one.key}"))
    learning = [one for one in mixed if _hash(f"{salt}half/{one.key}") % 2 == 0]
    return learning, [one for one in mixed if _hash(f"{salt}half/{one.key}") % 2]


def _conformal(learning: Sequence[_Question]) -> dict[Pair, float]:
    """The conformal rank alone, without the confidence on top and unrounded."""
    seen: dict[Pair, list[int]] = {}
    for one in learning:
        for model, tokens in one.tokens.items():
            seen.setdefault((one.task, model), []).append(tokens)
    ranks = {pair: conformal_rank(len(told), 0.01) for pair, told in seen.items()}
    return {pair: sorted(seen[pair])[rank - 1] for pair, rank in ranks.items() if rank <= len(seen[pair])}


def _reason(why: str) -> str:
    if "more calls needed" in why:
        return "too few calls"
    return "newest are longer" if "longer than those before" in why else "cut off before"


# What limits are worth in money: judged on the other half, at list prices.

_PRICED = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307", "gemini-1.5-flash")
_UNLISTED = ("Meta-Llama-3.1-8B-Instruct", "Phi-3.5-mini-instruct")
"""Models that run on now and then, at a made-up 1 and 4 USD for a million tokens."""
_PROMPT_TOKENS = 150
"""What the data set gives for every question."""


def _worth(questions: Sequence[_Question]) -> dict[str, Any]:
    """Price all calls of the judging half without a limit, with one always, and with one only where it pays."""
    learning, judging = _halves(questions, "")
    lengths = OutputLengths()
    for one in learning:
        lengths.learn((one.task, model, tokens, 0, None) for model, tokens in one.tokens.items())
    book, found = PriceBook.default(), dict[str, Any]()
    for model in (*_PRICED, *_UNLISTED):
        rate = token_rate(input="1", output="4") if model in _UNLISTED else book.rate(model)
        for task in sorted({one.task for one in judging if model in one.tokens}):
            told = [one.tokens[model] for one in judging if one.task == task and model in one.tokens]
            always = lengths.plan(task, model)
            chosen = lengths.plan(task, model, rate=rate, input_tokens=_PROMPT_TOKENS)
            if rate is None or always.max_tokens is None:
                continue
            free, capped = _spent(told, None, rate), _spent(told, always.max_tokens, rate)
            found[f"{task} {model}"] = {
                "pico_usd": free, "always": round(capped / free - 1, 5),
                "where_it_pays": round(_spent(told, chosen.max_tokens, rate) / free - 1, 5),
            }  # fmt: skip
    return found


def _spent(lengths: Sequence[int], cap: int | None, rate: Rate) -> int:
    """Price the calls; one that is cut off is asked again without a limit, for a mean answer."""
    mean = round(sum(lengths) / len(lengths))
    again = rate.cost(Usage(input=_PROMPT_TOKENS, output=mean)) or 0
    return sum(
        (rate.cost(Usage(input=_PROMPT_TOKENS, output=length if cap is None else min(length, cap))) or 0)
        + (again if cap is not None and length > cap else 0)
        for length in lengths
    )


# Made-up lengths, where the truth is known.

_TAILS: Mapping[str, Callable[[random.Random], float]] = {
    "lognormal_1.5": lambda draw: 100 * draw.lognormvariate(0, 1.5),
    "pareto_1.2": lambda draw: 50 * draw.paretovariate(1.2),
    "loops_0.5%": lambda draw: 16_000 if draw.random() < 0.005 else draw.gauss(200, 40),
}
_GROWTH: Mapping[str, Callable[[float], float]] = {
    "none": lambda _: 1.0,
    "doubling_slowly": lambda part: 1 + part,
    "doubling_at_once": lambda part: 1.0 if part < 0.5 else 2.0,
}
_SEEDS = 200
_LEARNED = 650
_DRIFTING = 4_000
_EVERY = 100


def _tails(draw: Callable[[random.Random], float]) -> dict[str, Any]:
    """Learn from 650 calls and judge on 5,000, two hundred times; `above_1%` is the share of limits that cut more."""
    shares, censored = [], Counter[str]()
    for seed in range(_SEEDS):
        chance = random.Random(seed)
        seen = [max(1, round(draw(chance))) for _ in range(_LEARNED)]
        unseen = [max(1, round(draw(chance))) for _ in range(5_000)]
        cap = _cap((tokens, "stop") for tokens in seen)
        if cap is not None:
            shares.append(sum(tokens > cap for tokens in unseen) / len(unseen))
        # The same calls under somebody's earlier limit, which cut seven of them off.
        earlier = sorted(seen)[-8]
        cut = _cap((min(tokens, earlier), "length" if tokens > earlier else "stop") for tokens in seen)
        censored["no limit" if cut is None else "a limit"] += 1
    return {
        "truncated_share": _spread(shares), "above_1%": round(sum(one > 0.01 for one in shares) / len(shares), 3),
        "seven_cut_off_before": dict(censored),
    }  # fmt: skip


def _cap(told: Iterator[tuple[int, str]]) -> int | None:
    lengths = OutputLengths()
    lengths.learn(("t", "m", tokens, 0, finish) for tokens, finish in told)
    return lengths.plan("t", "m").max_tokens


def _drift(growth: Callable[[float], float]) -> dict[str, float]:
    """A limit learned once from the first 1,000 calls, and one that is planned anew every 100 calls."""
    cuts, held, judged = Counter[str](), 0, 0
    for seed in range(10):
        chance, lengths, frozen = random.Random(seed), OutputLengths(), None
        for start in range(0, _DRIFTING, _EVERY):
            fresh = [
                max(1, round(200 * chance.lognormvariate(0, 0.4) * growth((start + at) / _DRIFTING)))
                for at in range(_EVERY)
            ]
            if start >= 1_000:
                cap = lengths.plan("t", "m").max_tokens
                frozen = frozen or cap
                judged += len(fresh)
                held += len(fresh) * (cap is None)
                cuts["once"] += sum(frozen is not None and tokens > frozen for tokens in fresh)
                cuts["anew"] += sum(cap is not None and tokens > cap for tokens in fresh)
            lengths.learn(("t", "m", tokens, 0, "stop") for tokens in fresh)
    return {
        "learned_once": round(cuts["once"] / judged, 5), "planned_anew": round(cuts["anew"] / judged, 5),
        "without_limit": round(held / judged, 3),
    }  # fmt: skip


# Figures.


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(sum(values) / len(values), 5), "least": round(min(values), 5), "most": round(max(values), 5),
    }  # fmt: skip


def _added(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _resampled(counts: Sequence[tuple[int, int]]) -> list[float]:
    """A 95% interval of the share, by drawing questions anew."""
    chance, shares = random.Random(0), []
    for _ in range(_RESAMPLES):
        drawn = chance.choices(counts, k=len(counts))
        shares.append(sum(cut for cut, _ in drawn) / sum(n for _, n in drawn))
    shares.sort()
    return [round(shares[int(_RESAMPLES * 0.025)], 5), round(shares[int(_RESAMPLES * 0.975)], 5)]


def _clopper_pearson(cut: int, n: int) -> list[float]:
    """A 95% interval of one pair's share; questions are independent of each other."""
    from scipy.stats import beta

    low = beta.ppf(0.025, cut, n - cut + 1) if cut else 0.0
    return [round(float(low), 5), round(float(beta.ppf(0.975, cut + 1, n - cut)), 5)]
