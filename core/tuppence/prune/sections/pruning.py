"""Shortens a long report to what it has to say: its summary, conclusions and recommendations whole, of its other
sections the sentences that carry the point, and neither raw tables nor what nobody reads. No model is asked.

Whatever breaks here, the caller gets the text back as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tuppence.errors import ConfigError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, TokenCounter, counter_for, untouched
from tuppence.prune.sections.choosing import fill
from tuppence.prune.sections.ranking import DROPPED, KEPT, Wanted, rank
from tuppence.prune.sections.reading import Report, read_report
from tuppence.prune.sections.rendering import Pieces, audited, written
from tuppence.prune.sections.units import Unit, take_apart
from tuppence.prune.sentences import Span
from tuppence.tokens import estimate_tokens

DEFAULT_SHARE = 0.5

_ROUNDS = 4
"""How often a text that came out longer than the sum of its parts is filled anew."""
_SPARE = 2


@dataclass(frozen=True, slots=True)
class PrunedText:
    """What is left of a text."""

    text: str
    kept: tuple[Span, ...]
    """Which characters of the input stand in `text`, in order and word for word."""
    audit: Audit


class SectionPruner:
    """Keeps the sections that say what a report has to say, then the sentences of the others, up to a budget."""

    def __init__(
        self,
        *,
        keep: Collection[str] = KEPT,
        drop: Collection[str] = DROPPED,
        max_tokens: int | None = None,
        share: float | None = None,
        model: str = DEFAULT_MODEL,
    ) -> None:
        """Take kinds (see `Section.kind`, and `table`, `navigation`, `furniture`) or headings for `keep` and `drop`.

        A kind in `keep` is not dropped although `drop` holds it by default. `max_tokens` bounds the text that comes
        out, `share` does so as a part of what came in (half of it where neither is given); `model` says whose tokens.
        """
        for name, given in (("keep", keep), ("drop", drop)):
            if isinstance(given, str):
                raise ConfigError(
                    f"{name} must be a list of kinds and headings (got the text {given!r}): write [{given!r}]"
                )
        if max_tokens is not None and share is not None:
            raise ConfigError(f"max_tokens={max_tokens} and share={share} are two bounds: give one of them")
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"max_tokens must be at least 1 (got {max_tokens}): nothing else would be left")
        if share is not None and not 0 < share <= 1:
            raise ConfigError(f"share must be above 0 and at most 1 (got {share}): 0.5 keeps half of the tokens")
        both = sorted(set(keep) & set(drop)) if tuple(drop) != DROPPED else []
        if both:
            raise ConfigError(f"{both[0]!r} is in keep and in drop: a section can only be one of them")
        self._keep = Wanted.of(keep)
        self._drop = Wanted.of(set(drop) - set(keep))
        self._max_tokens = max_tokens
        self._share = DEFAULT_SHARE if share is None else share
        self._count = counter_for(model)

    def prune(self, text: str, question: str = "") -> PrunedText:
        """Shorten `text`; with a question, what answers it comes before the summary. Never raises for any text."""
        try:
            return self._pruned(text, question)
        except Exception as error:  # noqa: BLE001 - a prune that breaks must not cost the call: the text goes as it is
            return _whole(text, estimate_tokens(text), f"reading the text failed: {type(error).__name__}: {error}")

    def _pruned(self, text: str, question: str) -> PrunedText:
        before = self._count(text)
        report = read_report(text)
        units = take_apart(report)
        ranking = rank(report, units, self._keep, self._drop, question)
        if not ranking.order:
            return _whole(text, before, "there is nothing in it but what would be left out")
        budget, doubts = self._budget(report, before)
        pieces = Pieces.of(units)
        kept = _fitted(text, units, pieces, ranking.order, budget, self._count)
        shorter, spans = written(text, units, pieces, kept)
        after = self._count(shorter)
        if after >= before:
            return _whole(text, before, "nothing to gain")
        cuts = audited(report, units, pieces, kept, ranking.dropped, budget, self._count)
        return PrunedText(shorter, spans, Audit(before, after, cuts, doubts))

    def _budget(self, report: Report, before: int) -> tuple[int, str]:
        """Return how many tokens may be left, and why they are more than asked for."""
        if self._max_tokens is not None:
            return self._max_tokens, "" if report.headed else "no headings found: sentences were chosen by words alone"
        if report.headed:
            return int(self._share * before), ""
        share = (1 + self._share) / 2
        return int(share * before), f"no headings found: {share:.0%} was kept instead of {self._share:.0%}"


def _fitted(
    text: str, units: Sequence[Unit], pieces: Pieces, order: Sequence[int], budget: int, count: TokenCounter
) -> frozenset[int]:
    """Fill the budget, anew with less where the whole came out longer than its parts: white space, marks for tables."""
    costs = [count(" " + unit.of(text)) + (unit.leads or unit.form != "sentence") for unit in units]
    room = budget
    for _ in range(_ROUNDS):
        kept = fill(units, costs, order, room)
        over = count(written(text, units, pieces, kept)[0]) - budget
        if over <= 0:
            break
        room -= over + _SPARE
    return kept


def _whole(text: str, tokens: int, why: str) -> PrunedText:
    return PrunedText(text, (Span(0, len(text)),) if text else (), untouched(tokens, why))
