"""Few-shot examples: the few that a request needs, in place of all of them, and none where graded outcomes show that
none are needed.

Selected examples differ from request to request, so a provider's prefix cache holds none of them, where it would hold a
fixed block: `block_costs` says which is cheaper. The same request always selects the same examples, in the order of the
collection. In doubt an example stays: whatever breaks, all of them are sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tuppence.embed import Embedder, Vectors
from tuppence.errors import ConfigError
from tuppence.prices import Rate
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for, untouched
from tuppence.prune.lexical import Bm25, terms
from tuppence.prune.topics.similarity import cosine, weighed
from tuppence.usage import Usage

_POOL = 5
"""Diversity is sought among the best five times k: further down, what is different is beside the point."""


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example of a task."""

    asked: str
    answered: str
    id: str = ""


def plainly(example: Example) -> str:
    """Write an example as two lines."""
    return f"Input: {example.asked}\nOutput: {example.answered}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The examples for one request, in the order of the collection."""

    examples: tuple[Example, ...]
    text: str
    """As they go into the prompt; empty where there are none."""
    audit: Audit


class ExampleSelector:
    """Selects the `k` examples that are most relevant to a request, and not all of a kind.

    Relevance is BM25 over what was asked, or the cosine of an embedder's vectors. `diversity` from 0 to 1 is 1 - lambda
    of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each next example maximises lambda relevance -
    (1 - lambda) likeness to those chosen. 0 takes the most relevant ones.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        k: int,
        diversity: float = 0.0,
        embedder: Embedder | None = None,
        shown: Callable[[Example], str] = plainly,
        model: str = DEFAULT_MODEL,
    ) -> None:
        """Index `examples`; with an embedder each is embedded once, here. Raises `ConfigError` for what cannot be."""
        if k < 0:
            raise ConfigError(f"k={k!r}: give the number of examples to send, or 0 for none")
        if not 0 <= diversity <= 1:
            raise ConfigError(f"diversity={diversity!r}: give a number from 0 (relevance alone) to 1 (variety alone)")
        self.examples = tuple(examples)
        self.k = k
        self._diversity = diversity
        self._shown = shown
        self._count = counter_for(model)
        asked = [example.asked for example in self.examples]
        self._ranking: _Words | _Meaning = _Words(asked) if embedder is None else _Meaning(asked, embedder)
        self._all = self._joined(self.examples)
        self._tokens = self._count(self._all)

    def select(self, question: str) -> Selection:
        """Select examples for `question`; all of them where that breaks."""
        if len(self.examples) <= self.k:
            return Selection(self.examples, self._all, untouched(self._tokens, f"there are no more than {self.k}"))
        try:
            chosen = self._chosen(question) if self.k else []
        except Exception as error:  # noqa: BLE001 - an embedder may raise anything, and the examples are still there
            why = f"selecting examples broke ({type(error).__name__}: {error})"
            return Selection(self.examples, self._all, untouched(self._tokens, why))
        kept = tuple(self.examples[at] for at in chosen)
        text = self._joined(kept)
        after = self._count(text)
        if after > self._tokens:
            return Selection(self.examples, self._all, untouched(self._tokens, "fewer examples would not be shorter"))
        # One cut for all: a collection may have thousands, and `examples` still holds them.
        left = f"{len(self.examples) - len(kept)} of {len(self.examples)} examples"
        cut = Cut("example", left, f"not among the {self.k} selected for the request", self._tokens - after)
        return Selection(kept, text, Audit(self._tokens, after, (cut,)))

    def _chosen(self, question: str) -> list[int]:
        """Return the places of the examples to send, in order (ties go to the earlier one)."""
        relevance = self._ranking.relevance(question)
        ranked = sorted(range(len(relevance)), key=lambda at: -relevance[at])
        if not self._diversity:
            return sorted(ranked[: self.k])
        pool, chosen = ranked[: _POOL * self.k], list[int]()
        closest = dict.fromkeys(pool, 0.0)
        while len(chosen) < self.k:
            best = max(closest, key=lambda at: (1 - self._diversity) * relevance[at] - self._diversity * closest[at])
            chosen.append(best)
            del closest[best]
            for at in closest:
                closest[at] = max(closest[at], self._ranking.likeness(at, best))
        return sorted(chosen)

    def _joined(self, examples: Sequence[Example]) -> str:
        return "\n\n".join(self._shown(example) for example in examples)


class _Words:
    """Ranks by the words of what was asked."""

    def __init__(self, texts: Sequence[str]) -> None:
        listed = [terms(text) for text in texts]
        self._index = Bm25.of_terms(listed)
        self._weights = weighed(listed)

    def relevance(self, question: str) -> list[float]:
        """Return BM25 scores as shares of the best one, so that they weigh against a likeness."""
        scores = self._index.scores(question)
        best = max(scores, default=0.0)
        return [score / best for score in scores] if best else scores

    def likeness(self, one: int, other: int) -> float:
        return cosine(self._weights[one], self._weights[other])


class _Meaning:
    """Ranks by an embedder's vectors of what was asked."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: Vectors = embedder.embed(texts)

    def relevance(self, question: str) -> list[float]:
        scores: list[float] = (self._vectors @ self._embedder.embed([question])[0]).tolist()
        return scores

    def likeness(self, one: int, other: int) -> float:
        return float(self._vectors[one] @ self._vectors[other])


@dataclass(frozen=True, slots=True)
class BlockCosts:
    """What examples cost a call, as input, in pico-USD."""

    fixed_pico: Fraction
    """A fixed block, read from the provider's prefix cache by a share of the calls."""
    selected_pico: Fraction
    """Examples selected for each request: never read from a cache."""
    break_even: Fraction | None
    """Share of cached calls from which on the fixed block is cheaper; above 1: never; None: caching changes nothing."""

    @property
    def cheaper(self) -> Literal["fixed", "selected"]:
        return "selected" if self.selected_pico < self.fixed_pico else "fixed"


def block_costs(
    *,
    fixed_tokens: int,
    selected_tokens: int,
    rate: Rate,
    hit_share: Fraction | float,
    written_as: Literal["input", "cache_write_5m", "cache_write_1h"] = "input",
) -> BlockCosts | None:
    """Compare a fixed block of examples with selected ones; None where a part has no price.

    `hit_share` of the calls find the block in the provider's cache, the others pay for it as `written_as` says. Input
    that follows is taken to be cached in neither case, quality is not compared.
    """
    if not 0 <= hit_share <= 1:
        raise ConfigError(f"hit_share={hit_share!r}: give the share of calls that find the block cached, from 0 to 1")
    read = rate.cost(Usage(cache_read=fixed_tokens))
    written = {
        "input": Usage(input=fixed_tokens),
        "cache_write_5m": Usage(cache_write_5m=fixed_tokens),
        "cache_write_1h": Usage(cache_write_1h=fixed_tokens),
    }
    miss = rate.cost(written[written_as])
    selected = rate.cost(Usage(input=selected_tokens))
    if read is None or miss is None or selected is None:
        return None
    share = Fraction(hit_share)
    even = Fraction(miss - selected, miss - read) if miss != read else None
    return BlockCosts(
        share * read + (1 - share) * miss, Fraction(selected), even if even is None else max(even, Fraction(0))
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """How a task does with `k` examples, beside the most that were tried."""

    k: int
    requests: int
    loss: float
    """Mean score with the most examples, less that with `k`."""
    evidence: float
    """Against "worse by the margin or more": 20 is what an error of 5% asks for."""


@dataclass(frozen=True, slots=True)
class Needed:
    """How many examples a task needs, as far as its outcomes show."""

    k: int
    reason: str
    more: int | None
    """About how many more graded requests would show that fewer do; None where they are not expected to."""
    compared: tuple[Compared, ...]
    """From the most examples down, to the first number that was not shown to do."""


def needed_examples(outcomes: Mapping[int, Sequence[float]], *, margin: float = 0.02, error: float = 0.05) -> Needed:
    """Return the smallest k shown to be less than `margin` worse than the largest, wrong with chance at most `error`.

    `outcomes` has the scores in [0, 1] of the same requests, in the same order, for each k that was tried. Numbers are
    tested from the largest down until one fails, which keeps the error without a correction (Maurer, Hothorn and
    Lehmacher, 1995). Each test is a bet against a mean loss of the margin or more: the mean, over fixed stakes s, of
    the products of 1 + s (margin - loss), one-sided and on pairs; above 1/error with chance at most `error` (Ville;
    Waudby-Smith and Ramdas, JRSS B 86, 2024, section 4). That is exact for any number of requests, and requests may be
    added until it is enough.
    """
    _must_fit(outcomes, margin, error)
    largest, *fewer = sorted(outcomes, reverse=True)
    compared: list[Compared] = []
    k, more = largest, None
    for tried in fewer:
        losses = [best - score for best, score in zip(outcomes[largest], outcomes[tried], strict=True)]
        growth = [sum(math.log1p(stake * (margin - loss)) for loss in losses) for stake in _stakes(margin)]
        evidence = sum(math.exp(min(one, _MOST)) for one in growth) / len(growth)
        compared.append(Compared(tried, len(losses), sum(losses) / len(losses), evidence))
        if evidence < 1 / error:
            more = _more(max(growth), len(losses), len(growth) / error)
            break
        k = tried
    return Needed(k, _reason(k, largest, compared[-1], margin, more), more, tuple(compared))


_MOST = 700.0
"""The exponential of more is past what a float holds."""


def _stakes(margin: float) -> list[float]:
    """Return stakes from nearly all that one request can lose down to a 128th: small ones suit scores that vary
    much."""
    return [0.9 / (1 - margin) / 2**n for n in range(8)]


def _more(growth: float, requests: int, needed: float) -> int | None:
    """Extend the evidence of the best stake at the rate at which it has grown."""
    return math.ceil(math.log(needed) / (growth / requests)) - requests if growth > 0 else None


def _reason(k: int, largest: int, last: Compared, margin: float, more: int | None) -> str:
    if last.k == k:
        return f"{k} examples were less than {margin:.1%} worse than {largest} on {last.requests} requests"
    way = "lower" if last.loss > 0 else "higher"
    seen = f"{last.k} examples scored {abs(last.loss):.1%} {way} than {largest} on {last.requests} requests"
    if more is None:
        return f"{k}: {seen}, which is too much or too close to {margin:.1%}"
    return f"{k}: not enough evidence for fewer; {seen}; about {more} more would do if that holds"


def _must_fit(outcomes: Mapping[int, Sequence[float]], margin: float, error: float) -> None:
    if not 0 < margin < 1 or not 0 < error < 1:
        raise ConfigError(f"margin={margin!r} and error={error!r} must lie between 0 and 1, such as 0.02 and 0.05")
    lengths = {len(scores) for scores in outcomes.values()}
    if len(outcomes) < 2 or min(outcomes) < 0 or len(lengths) != 1 or lengths == {0}:
        found = {k: len(scores) for k, scores in outcomes.items()}
        raise ConfigError(f"outcomes by k have these lengths: {found}; give the same requests for two k or more")
    wrong = [score for scores in outcomes.values() for score in scores if not 0 <= score <= 1]
    if wrong:
        raise ConfigError(f"outcomes must be scores from 0 to 1 (got {wrong[0]!r})")
