"""The pictures as data for plotly.js: plain dictionaries, since plotly's own classes take a second to check them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuppence.prices import PicoUSD
from tuppence.spend.page import frames
from tuppence.spend.page.frames import Chart, chart, money, money_axis, money_hover, name_axis, plain, time_axis, times
from tuppence.spend.page.palette import COSTS, DASHES, REST_COLOUR, SAVES, SERIES, SUM, SYMBOLS, layers
from tuppence.spend.page.sections import Axis, ForecastShown, Moment, SavingsShown, Split, TierLine
from tuppence.spend.page.wording import dollars, seconds, signed

HIT_RATES = ("exact hits", "similar hits", "prompt cache")
_BAR_SHARE = 0.8
_ROW_PX, _FRAME_PX = 40, 60


def spend(split: Split, axis: Axis) -> Chart:
    """Stack what each label cost over time, the dearest at the bottom."""
    hover = money_hover(max(_columns(split), default=0))
    traces = [
        _bars(plain(layer.name), axis, layer.share.pico_usd, hover)
        | {"marker": {"color": layer.colour, "pattern": _pattern(layer.pattern), "line": {"width": 0}}}
        for layer in layers(split)
    ]
    return chart(traces, time_axis(axis), money_axis(), barmode="relative", bargap=0)


def waterfall(savings: SavingsShown) -> Chart:
    """Fall from the full baseline to what was paid, one row a step."""
    rows = [("Full baseline", "absolute", savings.full_pico)]
    rows += [(_step_name(step.name, step.estimated), "relative", step.pico_usd) for step in savings.steps]
    rows.append(("Paid for these calls", "total", savings.compared_pico))
    if savings.not_compared_pico:
        rows.append(("Calls not compared", "relative", savings.not_compared_pico))
        rows.append(("Paid in all", "total", savings.compared_pico + savings.not_compared_pico))
    trace = {
        "type": "waterfall", "orientation": "h", "measure": [measure for _, measure, _ in rows],
        "y": [f"{name}<br>{_amount(measure, pico)}" for name, measure, pico in rows],
        "x": [money(pico) for *_, pico in rows], "hovertemplate": "%{y}<extra></extra>", "width": 0.62,
        "connector": {"mode": "between", "line": {"width": 1, "color": SUM, "dash": "dot"}},
        "decreasing": {"marker": {"color": SAVES}}, "increasing": {"marker": {"color": COSTS}},
        "totals": {"marker": {"color": SUM}},
    }  # fmt: skip
    across = money_axis() | {"nticks": 4}
    return chart([trace], across, name_axis(), hovermode="closest") | {"height": _ROW_PX * len(rows) + _FRAME_PX}


def amplification(moments: Sequence[Moment], axis: Axis) -> Chart:
    """Draw attempts per logical call over time."""
    trace = _line("attempts per call", axis, [moment.amplification for moment in moments], 0)
    trace["hovertemplate"] = "%{y:.3f} attempts per call<extra></extra>"
    upright = {"tickformat": ".2~f", "fixedrange": True, "automargin": True, "nticks": 5, "rangemode": "tozero"}
    return chart([trace], time_axis(axis), upright)


def hit_rates(moments: Sequence[Moment], axis: Axis) -> Chart:
    """Draw what caches answered: exact and similar repeats as shares of calls, provider prefixes as one of input."""
    rates = (
        [_share(one.exact_hits, one.calls) for one in moments],
        [_share(one.similar_hits, one.calls) for one in moments],
        [_share(one.cached_tokens, one.input_tokens) for one in moments],
    )
    traces = [_line(HIT_RATES[i], axis, values, i) for i, values in enumerate(rates)]
    for trace in traces:
        trace["hovertemplate"] = "%{fullData.name}: %{y:.1%}<extra></extra>"
    return chart(traces, time_axis(axis), frames.share_axis())


def latency(tiers: Sequence[TierLine]) -> Chart:
    """Span from the median to the 95th percentile of each tier, on a scale of powers of ten."""
    known = [(plain(line.tier), line.p50_ms, line.p95_ms) for line in tiers if line.p50_ms is not None]
    spans: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"color": REST_COLOUR, "width": 3},
        "x": [ms for _, p50, p95 in known for ms in (p50, p95, None)],
        "y": [name for name, *_ in known for _ in range(3)],
    }  # fmt: skip
    names = [name for name, *_ in known]
    traces = [
        spans,
        _marks("p50", names, [p50 for _, p50, _ in known], SAVES, "circle"),
        _marks("p95", names, [p95 for *_, p95 in known], COSTS, "diamond"),
    ]
    decades = [10.0**power for power in range(-3, 8)]
    across = {
        "type": "log", "tickvals": decades, "ticktext": [_decade(ms) for ms in decades], "fixedrange": True,
        "zeroline": False,
    }  # fmt: skip
    return chart(traces, across, name_axis(), hovermode="closest") | {"height": _ROW_PX * len(known) + _FRAME_PX}


def forecast(shown: ForecastShown, split: Split, axis: Axis) -> Chart:
    """Draw what was paid a day, and what lies ahead with its interval."""
    paid, ahead = _columns(split), times(shown.days_us)
    hover = money_hover(max((*paid, *shown.high_pico), default=0))
    edge = {"type": "scatter", "mode": "lines", "x": ahead, "line": {"width": 0}, "hovertemplate": hover}
    band = {"fill": "tonexty", "fillcolor": "rgba(106,120,201,0.25)"}
    traces: list[dict[str, Any]] = [
        _bars("paid", axis, paid, hover) | {"marker": {"color": SUM}},
        edge | {"name": "at least", "y": [money(pico) for pico in shown.low_pico]},
        edge | {"name": "at most", "y": [money(pico) for pico in shown.high_pico]} | band,
        edge
        | {"name": "expected", "y": [money(pico) for pico in shown.expected_pico]}
        | {"line": {"color": SERIES[2], "width": 2.5, "dash": "dash"}},
    ]
    return chart(traces, time_axis(axis, shown.days_us[-1]), money_axis())


def _columns(split: Split) -> list[PicoUSD]:
    return [sum(column) for column in zip(*(layer.share.pico_usd for layer in layers(split)), strict=True)]


def _bars(name: str, axis: Axis, amounts: Sequence[PicoUSD], hover: str) -> dict[str, Any]:
    return {
        "type": "bar", "name": name, "x": times(axis.starts_us), "y": [money(pico) for pico in amounts],
        "width": frames.STEP_MS[axis.step] * _BAR_SHARE, "hovertemplate": hover,
    }  # fmt: skip


def _line(name: str, axis: Axis, values: Sequence[float | None], number: int) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": times(axis.starts_us), "y": list(values),
        "line": {"color": SERIES[number], "width": 2, "dash": DASHES[number]},
        "marker": {"size": 6, "symbol": SYMBOLS[number]},
    }  # fmt: skip


def _marks(name: str, tiers: Sequence[str], ms: Sequence[float | None], colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": list(ms), "y": list(tiers),
        "marker": {"color": colour, "size": 12, "symbol": symbol, "opacity": 1},
        "customdata": [seconds(one) for one in ms], "hovertemplate": f"%{{y}}, {name}: %{{customdata}}<extra></extra>",
    }  # fmt: skip


def _pattern(shape: str) -> dict[str, Any]:
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.45, "size": 6, "solidity": 0.22}


def _amount(measure: str, pico: PicoUSD) -> str:
    return signed(pico) if measure == "relative" else dollars(pico)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _step_name(name: str, estimated: bool) -> str:
    begun = plain(name[:1].upper() + name[1:])
    return f"{begun} (estimate)" if estimated else begun


def _decade(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"
