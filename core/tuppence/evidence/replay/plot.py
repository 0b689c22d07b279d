"""The picture of a replay: cost against quality, with every control that a policy must be held against. Draws with
matplotlib (extra `report`) and never opens a window.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuppence.errors import ConfigError
from tuppence.evidence.metrics.curves import hull
from tuppence.evidence.replay.bootstrap import Figure as Number
from tuppence.evidence.replay.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision; markers differ, too.
_BLUE, _VERMILION, _GREEN, _PURPLE, _GREY, _BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676", "#000000"
_INCHES = (9.6, 5.4)
_DPI = 160
# A long path as a policy's name must not push the picture aside.
_LEGEND_CHARACTERS = 30
# The same report gives the same bytes; text stays text, so that a page can be searched and read aloud.
_SETTINGS = {"svg.hashsalt": "tuppence", "svg.fonttype": "none", "font.size": 10.0, "axes.titlesize": 12.0}
_KINDS = (".png", ".svg")


def draw(report: Report, *, title: str = "Cost against quality") -> Figure:
    """Draw the report as a matplotlib figure; raises `ConfigError` where nothing is graded or matplotlib is missing."""
    matplotlib, figures = _matplotlib()
    if not report.complete:
        raise ConfigError(
            f"there is nothing to draw: none of {report.rows:,} rows has a graded and priced outcome of every model"
        )
    with matplotlib.rc_context(_SETTINGS):
        figure: Figure = figures.Figure(figsize=_INCHES, layout="constrained")
        axes = figure.add_subplot()
        _lines(axes, report)
        _points(axes, report)
        _dress(axes, title)
        handles, names = axes.get_legend_handles_labels()
        labels = [textwrap.fill(name, _LEGEND_CHARACTERS) for name in names]
        figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def save_plot(report: Report, path: Path, *, title: str = "Cost against quality") -> None:
    """Write the picture as the PNG or SVG that `path` ends in; raises `ConfigError` for other endings."""
    if path.suffix.lower() not in _KINDS:
        raise ConfigError(f"{path.name} ends in {path.suffix!r}: a picture is one of {', '.join(_KINDS)}")
    path.write_bytes(_rendered(report, path.suffix.lower()[1:], title))


def as_svg(report: Report, *, title: str = "Cost against quality") -> str:
    """Return the picture as one `<svg>` element, to be put into a page."""
    text = _rendered(report, "svg", title).decode("utf-8")
    return text[text.index("<svg") :]


def _rendered(report: Report, kind: str, title: str) -> bytes:
    figure = draw(report, title=title)
    buffer = io.BytesIO()
    with _matplotlib()[0].rc_context(_SETTINGS):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _lines(axes: Axes, report: Report) -> None:
    """Draw what a random mix gives, and the policy over its thresholds."""
    alone = [(m.usd_per_call, m.quality) for m in report.models.values()]
    cost, quality = (np.array([_value(one[i]) for one in alone]) for i in (0, 1))
    corners = hull(cost, quality)
    axes.plot(
        cost[corners] * 1_000, quality[corners] * 100, color=_GREY, linestyle="--", linewidth=1.2,
        label="random mix of the models",
    )  # fmt: skip
    curve = report.curve
    if curve is not None:
        axes.plot(
            curve.cost * 1_000, curve.quality * 100, color=_BLUE, linewidth=1.6, alpha=0.75,
            label=f"{report.names[0]}, over thresholds",
        )  # fmt: skip


def _points(axes: Axes, report: Report) -> None:
    policies = [(report.names[0], report.policy, "o", _BLUE)]
    if report.against is not None:
        policies.append((report.names[1], report.against, "s", _VERMILION))
    for name, arm, marker, colour in policies:
        _point(axes, name, arm.usd_per_call, arm.quality, marker=marker, colour=colour, size=9)
    last = len(report.models) - 1
    for place, (name, alone) in enumerate(report.models.items()):
        marker = "v" if place == 0 else "^" if place == last else "D"
        _point(axes, f"{name} alone", alone.usd_per_call, alone.quality, marker=marker, colour=_BLACK, size=6, order=4)
    label, best = report.controls.get("task_label"), report.controls["oracle"]
    if label is not None:
        # Its cost is the policy's by definition, and no news.
        cost = None if label.usd_per_call is None else Number(label.usd_per_call.value)
        _point(axes, "task label only", cost, label.quality, marker="P", colour=_PURPLE, size=8)
    _point(axes, "oracle", best.usd_per_call, best.quality, marker="*", colour=_GREEN, size=11)


def _point(
    axes: Axes, name: str, cost: Number | None, quality: Number | None, *, marker: str, colour: str, size: float,
    order: int = 3,
) -> None:  # fmt: skip
    if cost is None or quality is None:
        return
    axes.errorbar(
        cost.value * 1_000, quality.value * 100, xerr=_bars(cost, 1_000), yerr=_bars(quality, 100), fmt=marker,
        color=colour, markersize=size, markeredgecolor="white", markeredgewidth=0.8, elinewidth=1.0, label=name,
        zorder=order, linestyle="none",
    )  # fmt: skip


def _bars(number: Number, scale: float) -> Any:
    if number.low is None or number.high is None:
        return None
    # A percentile interval may leave its value out by a rounding.
    ends = max(number.value - number.low, 0.0), max(number.high - number.value, 0.0)
    return [[ends[0] * scale], [ends[1] * scale]]


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("cost, USD for 1,000 calls")
    axes.set_ylabel("quality, mean score in %")
    axes.set_xlim(left=0)
    axes.grid(visible=True, color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _value(number: Number | None) -> float:
    assert number is not None
    return number.value


def _matplotlib() -> tuple[Any, Any]:
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise ConfigError("a plot needs matplotlib, which is not installed: pip install 'tuppence[report]'") from error
    return matplotlib, matplotlib.figure
