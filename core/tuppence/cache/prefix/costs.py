"""The one cost model of prefix caches: what a prompt's input costs when its provider may hold parts of it.

Exact: prices come from the rate, chances are fractions, nothing is rounded before the sum but each call's own cost. It
knows no provider. Output is left out of a plan, which does not change it, and counts where two models are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tuppence.cache.prefix.rules import WriteBucket
from tuppence.prices import PicoUSD, Rate
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class Point:
    """An end of a prefix that the provider may hold."""

    upto_tokens: int
    """From the beginning of the prompt."""
    warm: Fraction
    """Chance that it is held when the request comes, in [0, 1]."""
    bucket: WriteBucket | None = None
    """How a write up to here is billed; None: like other input."""
    share: Fraction = Fraction(1)
    """How much of what lies between the point before and this one is read when this one is warm."""


def input_usage(tokens: int, points: Sequence[Point], read_tokens: int) -> Usage:
    """Return the usage of a call that reads `read_tokens` of its prompt and writes the rest up to the last point."""
    written: dict[WriteBucket, int] = {"cache_write_5m": 0, "cache_write_1h": 0}
    done = read_tokens
    for point in points:
        if point.bucket is not None and point.upto_tokens > done:
            written[point.bucket] += point.upto_tokens - done
        done = max(done, point.upto_tokens)
    return Usage(
        input=tokens - read_tokens - sum(written.values()),
        cache_read=read_tokens,
        cache_write_5m=written["cache_write_5m"],
        cache_write_1h=written["cache_write_1h"],
    )


def expected_pico(tokens: int, points: Sequence[Point], rate: Rate, *, step_tokens: int = 1) -> Fraction | None:
    """Return the expected cost in pico-USD of a prompt's input; None where any of its reads or writes has no price.

    With points 1..n in order, w_k the chance that point k is held (a longer prefix is never likelier than a shorter
    one: w_k <= w_(k-1), w_0 = 1, w_(n+1) = 0) and C_k the price of reading up to point k and writing the rest:
    E = sum over k = 0..n of (w_k - w_(k+1)) C_k. Reads are rounded down to a multiple of `step_tokens`.
    """
    reads, chances = [0], [Fraction(1)]
    for number, point in enumerate(points):
        before = points[number - 1].upto_tokens if number else 0
        read = before + int((point.upto_tokens - before) * point.share)
        reads.append(read // step_tokens * step_tokens)
        chances.append(min(chances[-1], point.warm))
    chances.append(Fraction(0))
    total = Fraction(0)
    for number, read in enumerate(reads):
        cost = rate.cost(input_usage(tokens, points, read))
        if cost is None:
            return None
        total += (chances[number] - chances[number + 1]) * cost
    return total


def break_even(tokens: int, bucket: WriteBucket | None, rate: Rate) -> Fraction | None:
    """Return from which share of warm requests on caching `tokens` pays; None where a part has no price.

    With i the price as input, w as a write, r as a read, a prefix that a share p of its requests find costs
    p r + (1 - p) w each, so caching pays above p = (w - i) / (w - r). 0: a write costs no more than input. Above 1: it
    never pays.
    """
    plain = rate.cost(Usage(input=tokens))
    written = rate.cost(input_usage(tokens, [Point(tokens, Fraction(0), bucket)], 0))
    read = rate.cost(Usage(cache_read=tokens))
    if plain is None or written is None or read is None:
        return None
    if written <= plain:
        return Fraction(0)
    return Fraction(written - plain, written - read) if written > read else Fraction(2)


@dataclass(frozen=True, slots=True)
class Seat:
    """A model that a prompt may be sent to, and how much of the prompt its provider holds."""

    rate: Rate
    tokens: int
    """The prompt, in this model's own tokens."""
    held_tokens: int = 0
    answer_tokens: int = 0
    """Length of the answer that is expected."""

    @property
    def pico(self) -> PicoUSD | None:
        """What the call costs here; None where a part has no price."""
        held = min(self.held_tokens, self.tokens)
        return self.rate.cost(Usage(input=self.tokens - held, cache_read=held, output=self.answer_tokens))


@dataclass(frozen=True, slots=True)
class Switch:
    """What a call costs at two models, one of which holds the beginning of its prompt."""

    stay_pico: PicoUSD
    go_pico: PicoUSD
    left_pico: PicoUSD
    """What the held prefix would have saved this call, had it stayed."""

    @property
    def extra_pico(self) -> PicoUSD:
        """What going costs more, below 0 where it costs less even so."""
        return self.go_pico - self.stay_pico


def switch_cost(*, stay: Seat, go: Seat) -> Switch | None:
    """Return what leaving a warm prefix costs when another model is asked; None where either price is unknown.

    That the other model may have to be followed by the first after all, and that the prefix grows cold meanwhile, is
    not in it: going costs at least this much more.
    """
    stays, goes, cold = stay.pico, go.pico, replace(stay, held_tokens=0).pico
    if stays is None or goes is None or cold is None:
        return None
    return Switch(stays, goes, cold - stays)
