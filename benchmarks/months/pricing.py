"""What a day's attempts cost, what their answers would have cost, and which lever saved what of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from months.arrivals import HOUR_S, Calls
from months.climbs import ACCEPTED, HIT, UNPRICED, Attempts
from months.faults import Change
from months.ladder import STANDARD, PriceTable
from months.world import World

LEVERS = ("prune", "output", "batch", "self_host")


def price_table(world: World, changes: Sequence[Change]) -> tuple[PriceTable, float]:
    """Return prices before and after the month's change of price, and when that is, in seconds."""
    for change in changes:
        if change.kind in ("price_change", "cheaper_price"):
            # Mostly the dearest tier's: a price that few pay changes little.
            tier = world.ladder - 1 if change.flavour % 10 < 7 else 0
            table = PriceTable(world.tiers, tier=tier, factor=change.size)
            return table, change.start_hour * HOUR_S
    return PriceTable(world.tiers), float("inf")


@dataclass(slots=True)
class Money:
    """Money of one day's attempts, a row each, in pico-USD; -1 where it is unknown or there is none."""

    pico: np.ndarray
    baseline: np.ndarray
    levers: np.ndarray
    """By [row, lever of `LEVERS`], 0 where there is none."""
    gpu_ms: np.ndarray
    epoch: np.ndarray


def priced(world: World, changes: Sequence[Change], calls: Calls, rows: Attempts) -> Money:
    """Price attempts by the time they end, and mark those without a price."""
    table, changed_at = price_table(world, changes)
    top = np.full(len(rows), world.ladder - 1)
    tier = np.maximum(rows.tier, 0)
    epoch = (rows.at + rows.latency_ms / 1000 >= changed_at).astype(np.int64)
    is_gpu = table.gpu[0][tier] > 0
    gpu_ms = np.where(is_gpu & (rows.outcome != HIT), np.ceil(rows.latency_ms), 0).astype(np.int64)
    tokens = table.tokens(epoch, rows.lane, tier, rows.used)
    pico = np.where(is_gpu, table.machines(epoch, tier, gpu_ms), tokens)
    pico[rows.outcome == HIT] = 0
    unknown = ~np.array([one.priced for one in world.tiers])[tier] & (rows.outcome != HIT)
    pico[unknown] = -1
    rows.status[unknown] = UNPRICED
    used = rows.used.copy()
    hits = rows.outcome == HIT
    used[hits, 0], used[hits, 3] = calls.prompt[rows.call[hits]], calls.answer[rows.call[hits]]
    standard = np.full(len(rows), STANDARD)
    baseline = table.tokens(epoch, standard, top, used)
    baseline[~hits & (rows.outcome != ACCEPTED)] = -1
    levers = _levers(table, calls, rows, epoch, top, pico)
    return Money(pico, baseline, levers, gpu_ms, epoch)


def _levers(
    table: PriceTable, calls: Calls, rows: Attempts, epoch: np.ndarray, top: np.ndarray, pico: np.ndarray
) -> np.ndarray:
    """Price what was left out and what lanes and machines spared, on the rows that answered at a known price."""
    lane, tier = np.full(len(rows), STANDARD), np.maximum(rows.tier, 0)
    gone = np.zeros((len(rows), 4), np.int64)
    gone[:, 0] = calls.pruned[rows.call]
    unsaid = np.zeros((len(rows), 4), np.int64)
    unsaid[:, 3] = calls.spared[rows.call]
    listed = table.tokens(epoch, lane, tier, rows.used)
    is_gpu = table.gpu[0][tier] > 0
    levers = np.stack([
        table.tokens(epoch, lane, top, gone),
        # On a machine of one's own at the list price of the model that it serves: time spared is not known.
        table.tokens(epoch, lane, tier, unsaid),
        np.where(rows.lane == STANDARD, 0, listed - pico),
        np.where(is_gpu, listed - pico, 0),
    ], axis=1)  # fmt: skip
    levers[(rows.outcome != ACCEPTED) | (pico < 0)] = 0
    return levers
