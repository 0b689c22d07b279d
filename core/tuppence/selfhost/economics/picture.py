"""The picture of a plan: what each way costs over volume, and what would move the break-even. Draws with matplotlib
(extra `report`) and never opens a window.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.selfhost.economics.options import Option
from tuppence.selfhost.economics.sensitivity import Swing
from tuppence.selfhost.errors import SelfHostError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision; the dashes differ, too.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = ((0, ()), (0, (5, 2)), (0, (5, 2, 1, 2)), (0, (1, 2)))
_GREY = "#767676"
_INCHES = (10.4, 4.6)
_DPI = 160
# The same plan gives the same bytes; text stays text.
_SETTINGS = {"svg.hashsalt": "tuppence", "svg.fonttype": "none", "font.size": 10.0, "axes.titlesize": 11.0}
_KINDS = (".png", ".svg")


def save_picture(
    path: Path, options: tuple[Option, ...], *, requests: Fraction, base: Fraction | None, swings: tuple[Swing, ...]
) -> None:
    """Write the picture as the PNG or SVG that `path` ends in; raises `SelfHostError` for other endings.

    `requests`: the month's volume. `base`: the break-even that `swings` move, or None where no volume pays.
    """
    if path.suffix.lower() not in _KINDS:
        raise SelfHostError(f"{path.name} ends in {path.suffix!r}: a picture is one of {', '.join(_KINDS)}")
    matplotlib, figures = _matplotlib()
    with matplotlib.rc_context(_SETTINGS):
        figure: Figure = figures.Figure(figsize=_INCHES, layout="constrained")
        shown = base is not None and bool(swings)
        axes = figure.subplots(1, 2 if shown else 1, squeeze=False)[0]
        _costs(axes[0], options, requests, base)
        if base is not None and swings:
            _tornado(axes[1], swings, base)
        figure.savefig(path, dpi=_DPI, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def _costs(axes: Axes, options: tuple[Option, ...], requests: Fraction, base: Fraction | None) -> None:
    most = float(max(requests, base or 0) * 2) or 1.0
    for index, option in enumerate(options):
        ends = [float(option.fixed_usd), float(option.fixed_usd) + most * float(option.request_usd)]
        (line,) = axes.plot([0, most], ends, label=option.name, linewidth=2, color=_COLOURS[index % len(_COLOURS)])
        line.set_linestyle(_DASHES[index % len(_DASHES)])
    axes.axvline(float(requests), color=_GREY, linewidth=1)
    axes.annotate(
        f"{float(requests):,.0f} now",
        (float(requests), 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -4),
        textcoords="offset points",
        color=_GREY,
        va="top",
    )
    axes.set(title="What a month costs", xlabel="requests a month", ylabel="dollars a month", xlim=(0, most))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(_thousands)
    axes.yaxis.set_major_formatter(_thousands)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)


def _tornado(axes: Axes, swings: tuple[Swing, ...], base: Fraction) -> None:
    """Draw a bar for each number, the widest on top; one that ends no volume's paying runs off the picture."""
    known = [float(end) for swing in swings for end in (swing.low, swing.high) if end is not None]
    far = 1.15 * max(known)
    for row, swing in enumerate(reversed(swings)):
        ends = sorted(far if end is None else float(end) for end in (swing.low, swing.high))
        axes.barh(row, ends[1] - ends[0], left=ends[0], color=_COLOURS[1], height=0.6)
        if swing.low is None or swing.high is None:
            axes.annotate("never pays ", (far, row), ha="right", va="center", color="white")
    axes.use_sticky_edges = False
    axes.margins(x=0.05)
    axes.axvline(float(base), color=_COLOURS[0], linewidth=2)
    axes.set_yticks(range(len(swings)), [swing.name for swing in reversed(swings)])
    axes.set(title="Break-even, each number a quarter lower or higher", xlabel="requests a month")
    axes.xaxis.set_major_formatter(_thousands)
    axes.spines[["top", "right"]].set_visible(False)


def _thousands(value: float, _position: float) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def _matplotlib() -> tuple[Any, Any]:
    try:
        import matplotlib
        import matplotlib.figure as figures
    except ImportError as error:
        raise SelfHostError("a picture needs matplotlib: pip install 'tuppence[report]'") from error
    return matplotlib, figures
