"""The digest for a person, a sentence and a table, and for programs, in JSON with every digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuppence.prices import PicoUSD, usd
from tuppence.spend.digest.decomposition import Key, largest
from tuppence.spend.digest.digest import Digest
from tuppence.spend.digest.saying import driven, money
from tuppence.spend.figures import label

if TYPE_CHECKING:
    from rich.console import RenderableType

_SAID = 4
# A driver's place is named when it holds so much of what the driver did.
_MOSTLY = 0.7


def as_sentence(digest: Digest) -> str:
    """Say it in one line: `$412.00 -> $530.00 (+29%): +$81.00 more users, +$40.00 longer prompts on /chat`."""
    before, after = digest.before.pico_usd, digest.after.pico_usd
    share = digest.change_share
    change = "" if share is None else f" ({share:+.0%})"
    parts = [driven(_placed(digest, driver), pico) for (driver, _), pico in largest(_overall(digest), _SAID)]
    return f"{money(before)} -> {money(after)}{change}" + (f": {', '.join(parts)}" if parts else "")


def as_table(digest: Digest) -> RenderableType:
    """Lay the drivers out, largest first, with the places that most of each comes from."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("driver")
    table.add_column("change $", justify="right", no_wrap=True)
    table.add_column("of before", justify="right", no_wrap=True)
    table.add_column(f"by {digest.by}")
    for (driver, _), pico in largest(_overall(digest), len(digest.drivers)):
        sign = "+" if pico > 0 else "-"
        words = driven((driver, None), pico).split(" ", 1)[1]
        table.add_row(words, f"{sign}{money(pico)}", _part(digest, pico), Text(_places(digest, driver)))
    total = digest.change_pico
    table.add_section()
    table.add_row("all", f"{'-' if total < 0 else '+'}{money(total)}", _part(digest, total), "", style="bold")
    span = f"{digest.since:%d %b} to {digest.until:%d %b %Y}, beside the {digest.days} days before"
    return Group(Text(f"{span}\n{as_sentence(digest)}"), table, *(Text(note) for note in notes(digest)))


def notes(digest: Digest) -> list[str]:
    """Say what the figures leave out."""
    said = []
    if digest.unpriced:
        said.append(f"{digest.unpriced:,} attempts have no known price and are in none of these figures")
    if not (digest.before.chats and digest.after.chats):
        said.append("too few calls carry a session to tell more chats from longer ones: tag them with `session`")
    elif not (digest.before.users and digest.after.users):
        said.append("too few calls carry a user to tell more users from busier ones: tag them with `user`")
    return said


def as_fields(digest: Digest) -> dict[str, Any]:
    """Spell it for JSON; money is text, so that no reader rounds it."""
    return {
        "since": digest.since.isoformat(),
        "until": digest.until.isoformat(),
        "days": digest.days,
        "before_usd": f"{usd(digest.before.pico_usd):f}",
        "after_usd": f"{usd(digest.after.pico_usd):f}",
        "change_usd": f"{digest.change_usd:f}",
        "change_share": None if digest.change_share is None else round(digest.change_share, 6),
        "said": as_sentence(digest),
        "drivers": {driver: f"{usd(pico):f}" for driver, pico in digest.drivers.items()},
        "by": digest.by,
        "effects": [
            {"driver": driver, digest.by: place, "usd": f"{usd(pico):f}"}
            for (driver, place), pico in largest(digest.effects, len(digest.effects))
        ],
        "unpriced": digest.unpriced,
        "notes": notes(digest),
    }


def _overall(digest: Digest) -> dict[Key, PicoUSD]:
    return {(driver, None): pico for driver, pico in digest.drivers.items()}


def _placed(digest: Digest, driver: str) -> Key:
    """Name the one place that a driver's effect comes from, if there is one and others beside it."""
    places = {place: pico for (name, place), pico in digest.effects.items() if name == driver}
    top = max(places, key=lambda place: abs(places[place]))
    total = sum(abs(pico) for pico in places.values())
    alone = len(places) == 1 or driver == "mix" or abs(places[top]) < _MOSTLY * total
    return driver, None if alone else label(top)


def _places(digest: Digest, driver: str) -> str:
    places = {key: pico for key, pico in digest.effects.items() if key[0] == driver and key[1] is not None}
    return ", ".join(
        f"{'+' if pico > 0 else '-'}{money(pico)} {label(place)}" for (_, place), pico in largest(places, 3)
    )  # fmt: skip


def _part(digest: Digest, pico: PicoUSD) -> str:
    return f"{pico / digest.before.pico_usd:+.1%}" if digest.before.pico_usd else "-"
