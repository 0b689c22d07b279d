"""How many sessions begin in each hour, on average: by hour, weekday, growth, holiday, month's end, launch, noise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from months.faults import Change
from months.world import World

_HOURS = np.arange(24)


def expected(world: World, changes: Sequence[Change]) -> np.ndarray:
    """Return mean sessions by [endpoint, hour of the month], the world's own day-to-day noise included."""
    hours = np.arange(world.days * 24)
    days = hours // 24
    calendar = _calendar(world)[days] * _daily_noise(world)[days] * np.exp(_grown(world, hours))
    made = np.stack([calendar * _own(world, place)[hours] for place in range(len(world.endpoints))])
    for day, endpoint, factor in world.launches:
        made[endpoint, hours >= day * 24 + 9] *= factor
    for change in changes:
        if change.kind == "traffic_surge":
            _places(made, change)[...] *= change.factor(hours)
        if change.kind == "more_users":
            made *= change.factor(hours)
    for day in world.missing:
        made[:, day * 24 : day * 24 + 24] = 0.0
    return made


def _places(made: np.ndarray, change: Change) -> np.ndarray:
    return made if change.endpoint is None else made[change.endpoint : change.endpoint + 1]


def _calendar(world: World) -> np.ndarray:
    level = np.ones(world.days)
    level[list(world.holidays)] = world.holiday_level
    for day in range(world.days):
        date = world.start + timedelta(days=day)
        if (date.month, date.day) >= (12, 24) or (date.month, date.day) == (1, 1):
            level[day] = min(level[day], world.holiday_level)
    return level


def _grown(world: World, hours: np.ndarray) -> np.ndarray:
    """Growth goes on for thirty days at one pace, then at another."""
    ends = np.concatenate([[0.0], np.cumsum(world.growth)])
    return np.interp(hours / 720, np.arange(len(ends)), ends)


def _daily_noise(world: World) -> np.ndarray:
    """Whole days are good or bad together, and tomorrow is a little like today."""
    rng = np.random.default_rng([world.seed, 1])
    shocks = rng.normal(0, world.day_noise * np.sqrt(1 - world.day_memory**2), world.days)
    noise = np.zeros(world.days)
    last = 0.0
    for day, shock in enumerate(shocks):
        noise[day] = last = world.day_memory * last + shock
    return np.exp(noise)


def _own(world: World, place: int) -> np.ndarray:
    """Return one endpoint's own profile over the month."""
    endpoint, rng = world.endpoints[place], np.random.default_rng([world.seed, 7, place])
    apart = np.minimum(np.abs(_HOURS - endpoint.peak_hour), 24 - np.abs(_HOURS - endpoint.peak_hour))
    width = rng.uniform(2.5, 6)
    by_hour = endpoint.night + (1 - endpoint.night) * np.exp(-((apart / width) ** 2) / 2)
    if endpoint.night < 0.02:
        by_hour[apart > 2 * width] = 0.0
    by_hour = by_hour / by_hour.sum()
    by_day = np.empty(world.days)
    for day in range(world.days):
        date = world.start + timedelta(days=day)
        by_day[day] = endpoint.weekend if date.weekday() >= 5 else 1.0 - 0.05 * (date.weekday() == 4)
        tomorrow = date + timedelta(days=2)
        if date.day == 1 or tomorrow.month != date.month:
            by_day[day] *= endpoint.month_end
    return endpoint.sessions_a_day * (by_day[:, None] * by_hour[None, :]).ravel()
