"""The tables of the page: every picture has its figures here, and so do readers who see no pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tuppence.spend.figures import short
from tuppence.spend.page.markup import Html, element
from tuppence.spend.page.palette import layers
from tuppence.spend.page.sections import (
    Axis,
    BudgetShown,
    DearCall,
    ForecastShown,
    Moment,
    SavingsShown,
    Split,
    TierLine,
)
from tuppence.spend.page.wording import UNKNOWN, count, dollars, moment, percent, ratio, seconds, signed

Row = Sequence[str]


def table(caption: str, head: Row, rows: Iterable[Row], *, foot: Row | None = None, texts: int = 1) -> Html:
    """Lay out a table whose first `texts` columns are words, and the first of them the row's head."""
    columns = [
        element("th", name, scope="col", class_="text" if i < texts else None) for i, name in enumerate(head)
    ]  # fmt: skip
    parts = [
        element("caption", caption),
        element("thead", element("tr", *columns)),
        element("tbody", *(_row(row, texts) for row in rows)),
    ]
    if foot is not None:
        parts.append(element("tfoot", _row(foot, texts)))
    return element("div", element("table", *parts), class_="scroll", tabindex=0, role="region", aria_label=caption)


def behind(picture: str, *content: Html) -> Html:
    """Put what a picture shows behind it, to be opened."""
    return element("details", element("summary", f"Figures: {picture}"), *content)


def split_table(split: Split, axis: Axis) -> Html:
    """Show sums by label, then every stretch of time that cost something."""
    found = list(layers(split))
    whole = sum(layer.share.total for layer in found)
    sums = table(
        f"Spend by {split.by}", (split.by, "cost", "share"),
        [(layer.name, dollars(layer.share.total), percent(layer.share.total, whole)) for layer in found],
        foot=("total", dollars(whole), percent(whole, whole)),
    )  # fmt: skip
    rows = (
        (moment(us, axis.step), *(dollars(layer.share.pico_usd[i]) for layer in found))
        for i, us in enumerate(axis.starts_us)
        if any(layer.share.pico_usd[i] for layer in found)
    )
    over_time = table(f"The same by {axis.step}, UTC", (axis.step, *(layer.name for layer in found)), rows)
    return behind(f"spend by {split.by}", sums, over_time)


def savings_table(savings: SavingsShown) -> Html:
    full, paid = savings.full_pico, savings.compared_pico
    rows = [("full baseline", dollars(full), percent(full, full), "")]
    rows += [
        (step.name, signed(step.pico_usd), percent(step.pico_usd, full), "estimate" if step.estimated else "")
        for step in savings.steps
    ]
    rows.append(
        ("paid for these calls", dollars(savings.compared_pico), percent(savings.compared_pico, savings.full_pico), "")
    )
    rows.append(("paid for calls not compared", dollars(savings.not_compared_pico), "", ""))
    head = ("step", "amount", "of the baseline", "certainty")
    in_all = ("paid in all", dollars(paid + savings.not_compared_pico), "", "")
    return behind("where the saving comes from", table("From the baseline to what was paid", head, rows, foot=in_all))


def attempts_table(moments: Sequence[Moment], axis: Axis) -> Html:
    rows = [
        (when, count(one.calls), count(one.attempts), ratio(one.amplification))
        for when, one in _eventful(moments, axis)
    ]  # fmt: skip
    head = (axis.step, "calls", "attempts", "per call")
    return behind("attempts per call", table("Attempts per call, UTC", head, rows))


def hits_table(moments: Sequence[Moment], axis: Axis) -> Html:
    rows = [
        (
            when, percent(one.exact_hits, one.calls), percent(one.similar_hits, one.calls),
            percent(one.cached_tokens, one.input_tokens),
        )
        for when, one in _eventful(moments, axis)
    ]  # fmt: skip
    head = (axis.step, "exact hits", "similar hits", "prompt cache")
    return behind("cache hits", table("Shares answered or read from caches, UTC", head, rows))


def tiers_table(tiers: Sequence[TierLine]) -> Html:
    whole = sum(line.pico_usd for line in tiers)
    rows = [
        (
            line.tier, count(line.attempts), count(line.hits), count(line.failed), count(line.retries),
            short(line.input_tokens), percent(line.cached_tokens, line.input_tokens), short(line.output_tokens),
            seconds(line.p50_ms), seconds(line.p95_ms), count(line.unpriced), _cost(line),
            percent(line.pico_usd, whole),
        )
        for line in tiers
    ]  # fmt: skip
    head = (
        "tier",
        "attempts",
        "hits",
        "failed",
        "retries",
        "in",
        "cached",
        "out",
        "p50",
        "p95",
        "unpriced",
        "cost",
        "share",
    )
    return table("Tokens, latency and cost by tier", head, rows)


def dearest_table(calls: Sequence[DearCall]) -> Html:
    head = ("call", "started (UTC)", "tiers asked", "tags", "attempts", "in", "out", "cost")
    columns = [element("th", name, scope="col", class_="text" if i < 4 else None) for i, name in enumerate(head)]
    parts = (
        element("caption", "The dearest calls, all their attempts together"),
        element("thead", element("tr", *columns)),
        element("tbody", *map(_call, calls)),
    )
    return element(
        "div", element("table", *parts), class_="scroll", tabindex=0, role="region", aria_label="The dearest calls"
    )  # fmt: skip


def forecast_table(shown: ForecastShown) -> Html:
    rows = [
        (moment(us, "day"), dollars(expected), dollars(low), dollars(high))
        for us, expected, low, high in zip(
            shown.days_us, shown.expected_pico, shown.low_pico, shown.high_pico, strict=True
        )
    ]  # fmt: skip
    return behind("forecast", table("Forecast by day, UTC", ("day", "expected", "at least", "at most"), rows))


def budgets_table(budgets: Sequence[BudgetShown]) -> Html:
    columns = ("budget", "for", "spent", "held", "limit", "used", "")
    head = [element("th", name, scope="col", class_="text" if i < 2 else None) for i, name in enumerate(columns)]
    body = element("tbody", *map(_budget, budgets))
    parts = (element("caption", "Spent and held against each limit"), element("thead", element("tr", *head)), body)
    return element("div", element("table", *parts), class_="scroll", tabindex=0, role="region", aria_label="Budgets")


def _cost(line: TierLine) -> str:
    return dollars(line.pico_usd) if line.attempts + line.hits > line.unpriced else UNKNOWN


def _eventful(moments: Sequence[Moment], axis: Axis) -> Iterator[tuple[str, Moment]]:
    for us, one in zip(axis.starts_us, moments, strict=True):
        if one.calls or one.attempts:
            yield moment(us, axis.step), one


def _row(cells: Row, texts: int) -> Html:
    # What the column is too narrow for is read by hovering.
    head = element("th", cells[0], scope="row", class_="text", title=cells[0] if len(cells[0]) > 24 else None)
    others = (element("td", cell, class_="text" if i < texts else None) for i, cell in enumerate(cells[1:], 1))
    return element("tr", head, *others)


def _call(call: DearCall) -> Html:
    tags = [element("span", element("b", f"{name} "), value, class_="tag", title=value) for name, value in call.tags]
    unpriced = f" + {call.unpriced} unpriced" if call.unpriced else ""
    return element(
        "tr",
        element("th", element("code", call.call_id), scope="row", class_="text", title=call.call_id),
        element("td", moment(call.started_us), class_="text"),
        element("td", " → ".join(call.tiers), class_="text"),
        element("td", *(tags or [Html("(none)")]), class_="text wrap"),
        *(element("td", text) for text in (count(call.attempts), short(call.input_tokens), short(call.output_tokens))),
        element("td", f"{dollars(call.pico_usd)}{unpriced}"),
    )


def _budget(budget: BudgetShown) -> Html:
    used = budget.spent_pico + budget.held_pico
    share = percent(used, budget.limit_pico)
    # The bar repeats the share beside it: to a screen reader it would say everything twice.
    bar = element(
        "meter",
        min="0",
        low="0.8",
        high="0.9999",
        max="1",
        optimum="0",
        value=f"{min(1, used / budget.limit_pico) if budget.limit_pico else 1:.4f}",
        aria_hidden="true",
    )
    return element(
        "tr",
        element("th", budget.budget + (" (soft)" if budget.soft else ""), scope="row", class_="text"),
        element("td", budget.scope, class_="text"),
        *(element("td", dollars(pico)) for pico in (budget.spent_pico, budget.held_pico, budget.limit_pico)),
        element("td", share if used <= budget.limit_pico else f"{share}, over"),
        element("td", bar),
    )
