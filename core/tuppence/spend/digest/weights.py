"""What a model's tokens cost by kind, found in the ledger's own sums.

The ledger says what an attempt cost, not which of its tokens cost what. At fixed prices a cost is linear in its
tokens, so that the sums of days tell the prices, a user's own too. Where the packaged list explains the sums about as
well, it is believed: a fit to a few days may take noise for a price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tuppence.spend.digest.listed import Listed, listed
from tuppence.spend.digest.segments import Segment, Weights

_Prices = tuple[float, float, float, float]
"""Of a token read fresh, read from the prompt cache, written, and of an answer, whatever its length: a machine by the
hour takes some time for each.
"""


class _Paid(NamedTuple):
    """What a sum of attempts cost, turned round."""

    bought: _Prices
    """Tokens by kind, and answers, for each pico-dollar."""
    answers: int
    """The more of them, the less the mean hangs on single ones, such as on a machine's slow moments."""


_ANSWER = 3
# A fit must leave less than this part of what the list leaves unexplained.
_BETTER = 0.8
# A price that has changed between periods must explain so many times as much as one that has not.
_DOUBT = 1.5
# Sums that are explained to this part of them need no better explanation.
_EXPLAINED = 0.005


def token_weights(*periods: Mapping[str, Sequence[Segment]]) -> Weights:
    """Return weights for each model, from its sums over hours or days; between periods prices may have changed."""
    models = dict.fromkeys(model for period in periods for model in period)
    return {model: _weights(model, [period.get(model, ()) for period in periods])[:3] for model in models}


def _weights(model: str, periods: Sequence[Sequence[Segment]]) -> _Prices:
    rows = [[_paid(one) for one in segments if one.pico_usd > one.failed_pico] for segments in periods]
    known = *(listed(model) or Listed()).weights, 0.0
    unexplained = _unexplained_of_all(rows, known)
    if unexplained <= _EXPLAINED:
        return known
    # Together they say more, unless the price has changed between them.
    together = [row for one in rows for row in one]
    fits = [fitted for one in (together, *rows) if (fitted := _fitted(one)) is not None]
    best = min(fits, key=lambda fitted: _unexplained_of_all(rows, fitted), default=None)
    return best if best is not None and _unexplained_of_all(rows, best) < _BETTER * unexplained else known


def _unexplained_of_all(periods: Sequence[Sequence[_Paid]], weights: _Prices) -> float:
    """Return the part that is unexplained: at one price, or where it is clearly less, at a price for each period."""
    together = [row for rows in periods for row in rows]
    apart = sum(len(rows) * _unexplained(rows, weights) for rows in periods) / max(1, len(together))
    return min(_unexplained(together, weights), _DOUBT * apart)


def _paid(one: Segment) -> _Paid:
    paid = float(one.pico_usd - one.failed_pico)
    fresh, cached, written = one.worth
    answers = one.attempts - one.failures
    return _Paid((fresh / paid, cached / paid, written / paid, answers / paid), answers)


def _unexplained(rows: Sequence[_Paid], weights: _Prices) -> float:
    """Return the part of the sums by which these weights, at the best common factor, are off on average."""
    worth = [sum(tokens * weight for tokens, weight in zip(row.bought, weights, strict=True)) for row in rows]
    mean = sum(worth) / len(worth) if worth else 0.0
    return sum(abs(one / mean - 1.0) for one in worth) / len(worth) if mean else 0.0


def _fitted(rows: Sequence[_Paid]) -> _Prices | None:
    """Solve the normal equations; a kind whose price comes out below 0 is taken to cost nothing, and left out."""
    used = [kind for kind in range(4) if any(row.bought[kind] for row in rows)]
    while used and len(rows) >= 3 * len(used):
        scale = {kind: max(row.bought[kind] for row in rows) for kind in used}
        scaled = [([row.bought[kind] / scale[kind] for kind in used], row.answers) for row in rows]
        size = range(len(used))
        solved = _solved(
            [[sum(n * row[i] * row[j] for row, n in scaled) for j in size] for i in size],
            [sum(n * row[i] for row, n in scaled) for i in size],
        )
        if solved is None and used[-1] == _ANSWER:
            # Days with as many answers do not tell what one takes.
            used.pop()
            continue
        if solved is None:
            return None
        if min(solved) >= 0:
            found = {kind: price / scale[kind] for kind, price in zip(used, solved, strict=True)}
            return found.get(0, 0.0), found.get(1, 0.0), found.get(2, 0.0), found.get(3, 0.0)
        used = [kind for kind, price in zip(used, solved, strict=True) if price > 0]
    return None


def _solved(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Gauss's elimination with pivots; None where the matrix has no inverse to speak of."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    largest = max(abs(rows[i][i]) for i in range(size))
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) <= 1e-10 * largest:
            return None
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [rows[i][size] / rows[i][i] for i in range(size)]
