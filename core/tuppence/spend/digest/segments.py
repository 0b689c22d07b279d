"""What one endpoint spent on one tier within a period: the pieces that a change of cost is explained from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuppence.prices import PicoUSD

if TYPE_CHECKING:
    from tuppence.spend.cells import Cell

Weights = Mapping[str, tuple[float, float, float]]
"""By model, what a token costs that is read fresh, read from the provider's prefix cache, and written; any unit."""

LIKE_A_LIST = (1.0, 0.1, 5.0)
"""How the three prices of a model that nothing is known of relate: as those of current models on the packaged list."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Sums over the attempts of one endpoint on one tier and model. A call's own counts stand where it began."""

    endpoint: str | None
    tier: str
    model: str
    calls: int
    hits: int
    """Calls that an answer cache answered."""
    attempts: int
    """Tries to get an answer; hits are none, failures are some."""
    failures: int
    input_tokens: int
    """Of the attempts that did not fail; all of them, those from the prefix cache included."""
    cached_tokens: int
    output_tokens: int
    pico_usd: PicoUSD
    failed_pico: PicoUSD
    """What was billed for failures; a part of `pico_usd`."""
    retries: int = 0
    """Of the attempts that did not fail, those that repeat an answer: it had failed its validation."""
    fresh_surcharge: int = 0
    """How many tokens read fresh cost as much as putting some into the prompt cache cost more, less what a discounted
    lane spared.
    """
    cached_surcharge: int = 0
    output_surcharge: int = 0
    """Below 0, like that of cached tokens, where a lane was discounted."""

    @property
    def worth(self) -> tuple[int, int, int]:
        """Tokens read fresh, from the prompt cache, and written, that would have cost as much outside of lanes and
        without putting any into the cache.
        """
        return (
            self.input_tokens - self.cached_tokens + self.fresh_surcharge, self.cached_tokens + self.cached_surcharge,
            self.output_tokens + self.output_surcharge,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Period:
    """Everything spent in a stretch of time, and by how many."""

    segments: tuple[Segment, ...]
    users: int = 0
    """Different users; 0 where calls carry no such tag."""
    chats: int = 0
    """Different sessions; 0 where calls carry no such tag."""

    @property
    def pico_usd(self) -> PicoUSD:
        return sum(one.pico_usd for one in self.segments)

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self.segments)


def merged(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Add up the segments of the same endpoint, tier and model."""
    sums: dict[tuple[str | None, str, str], list[int]] = {}
    for one in segments:
        found = sums.setdefault((one.endpoint, one.tier, one.model), [0] * 13)
        added = (
            one.calls, one.hits, one.attempts, one.failures, one.input_tokens, one.cached_tokens, one.output_tokens,
            one.pico_usd, one.failed_pico, one.retries, one.fresh_surcharge, one.cached_surcharge, one.output_surcharge,
        )  # fmt: skip
        for index, value in enumerate(added):
            found[index] += value
    return tuple(Segment(*key, *values) for key, values in sums.items())


def segment(cell: Cell) -> Segment:
    """Read a cell that is kept apart by a label, tier, model, outcome and, where repeats are to be told apart, cause.

    Without the cause, attempts after failures are among the repeats.
    """
    label, tier, model, outcome, *cause = cell.key
    repeats = cell.retries if cause in ([], ["validation_retry"]) else 0
    failed = outcome == "failed"
    tokens = (0, 0, 0) if failed else (cell.input_tokens, cell.cached_tokens, cell.output_tokens)
    return Segment(
        label, tier or "", model or "", cell.calls, cell.hits, cell.attempts, cell.failures, *tokens, cell.pico_usd,
        cell.pico_usd if failed else 0, 0 if failed else repeats,
    )  # fmt: skip
