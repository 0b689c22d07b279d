"""The report's section on a certificate in use, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tuppence.evidence.certificate.live import LiveCertificate
from tuppence.evidence.certificate.using import certificate_id
from tuppence.spend.figures import dollars

if TYPE_CHECKING:
    from rich.console import RenderableType


def live_section(found: LiveCertificate) -> RenderableType:
    """Lay the section out: a heading, and a line for each thing that there is to say."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_row("certificate", Text(str(found.path), overflow="fold"), style="bold")
    for name, words in live_lines(found):
        table.add_row(f"  {name}", Text(words))
    return table


def live_lines(found: LiveCertificate) -> Iterator[tuple[str, str]]:
    """Say everything in words, each with its name."""
    one = found.certificate
    yield "state", _state(found)
    yield (
        "promise",
        f"at least {_part(one.target)} of the strongest tier's quality, with probability {_part(1 - one.delta)}",
    )
    yield "made", f"{one.created_at:%Y-%m-%d %H:%M %Z}, of {one.labels.total:,} labels"
    yield "saving", _saving(found)
    yield "outside", _outside(found)
    yield "models", "; ".join(found.strange) or ("as certified" if found.live.asked else "none has been asked")
    yield "drift", _drift(found)


def live_fields(found: LiveCertificate) -> dict[str, Any]:
    """Spell the section for JSON; money is text, so that no reader rounds it."""
    one, live = found.certificate, found.live
    share, between = one.saving.share, live.saved_between or (None, None)
    return {
        "path": str(found.path), "id": certificate_id(one), "state": _state(found), "doubts": list(found.doubts),
        "target": one.target, "delta": one.delta, "made": one.created_at.isoformat(),
        "labels": {"train": one.labels.train, "certify": one.labels.certify},
        "promised": {
            "saved_share": share.value, "saved_share_low": share.low, "saved_share_high": share.high,
            "saved_usd_per_call": f"{one.saving.per_call:f}",
        },
        "measured": {
            "saved_share": live.saved_share, "saved_share_low": between[0], "saved_share_high": between[1],
            "saved_usd": None if live.saved_usd is None else f"{live.saved_usd:f}",
            "compared_calls": live.compared,
        },
        "calls": live.calls, "outside_calls": live.outside, "outside_share": found.outside_share,
        "cached_calls": live.hits, "other_calls": live.other, "models": _models(found), "strange": list(found.strange),
        "drift": {
            "tested": dict(found.watched),
            "found": [
                {"name": d.name, "reference": d.reference, "live": d.live, "after": d.after} for d in found.drifted
            ],
        },
    }  # fmt: skip


def _state(found: LiveCertificate) -> str:
    if found.doubts:
        return "in doubt: " + "; ".join(_brief(found))
    return "nothing speaks against it" if found.live.calls else "no call has run under it yet"


def _brief(found: LiveCertificate) -> Iterator[str]:
    """Name what speaks against it; the figures stand in the lines below."""
    if found.live.outside:
        yield "calls ran outside it"
    if found.strange:
        yield "other models answered"
    if found.drifted:
        yield "traffic has drifted"
    if found.saves_less:
        yield "it saves less than was promised"


def _saving(found: LiveCertificate) -> str:
    live, share = found.live, found.certificate.saving.share
    promised = f"promised {share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f}%)"
    if live.saved_usd is None or live.saved_share is None or live.saved_between is None:
        return f"{promised} of the strongest tier's cost; no call inside it could be compared yet"
    cached = f", answers from a cache ({live.hits:,}) left out" if live.hits else ""
    low, high = live.saved_between
    return (
        f"{promised} of the strongest tier's cost; measured {live.saved_share:.1%} ({100 * low:.1f} to "
        f"{100 * high:.1f}%), ${dollars(live.saved_usd)} in {live.compared:,} calls{cached}"
    )


def _outside(found: LiveCertificate) -> str:
    live = found.live
    other = f"; {live.other:,} more calls ran under no certificate, or another" if live.other else ""
    if found.outside_share is None:
        return f"no call has run under it in this period{other}"
    return f"{live.outside:,} of {live.calls:,} calls ({found.outside_share:.1%}){other}"


def _drift(found: LiveCertificate) -> str:
    if found.drifted:
        return "; ".join(one.words for one in found.drifted)
    tested = ", ".join(f"{name} ({count:,} calls)" for name, count in found.watched.items())
    return f"none found in {tested}" if tested else "no live score to test yet"


def _models(found: LiveCertificate) -> list[dict[str, Any]]:
    return [{"tier": tier, "model": model, "answers": count} for (tier, model), count in found.live.asked.items()]


def _part(value: float) -> str:
    return f"{100 * value:.10g}%"
