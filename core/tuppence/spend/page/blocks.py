"""The page's sections, each from its facts; one without facts is left out, and what is missing is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuppence.spend.page import charts, tables
from tuppence.spend.page.frames import Chart
from tuppence.spend.page.legends import line_legend, stack_legend
from tuppence.spend.page.markup import Html, element
from tuppence.spend.page.sections import AlertShown, BudgetShown, Facts, ForecastShown, SavingsShown, Split
from tuppence.spend.page.wording import UNKNOWN, count, dollars, moment, percent, ratio


class Blocks:
    """Sections of one page, and the pictures that they want to have drawn."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.charts: dict[str, Chart] = {}

    def figures(self) -> Html:
        """Say the few figures that a reader comes for."""
        facts = self.facts
        priced = f"{count(facts.unpriced)} attempts unpriced" if facts.unpriced else "every attempt priced"
        paid = dollars(facts.pico_usd) if facts.priced else UNKNOWN
        each = f"{dollars(facts.pico_usd // facts.calls)} each" if facts.calls and facts.priced else "of unknown price"
        per_call = ratio(facts.attempts / facts.calls if facts.calls else None)
        boxes = (
            ("Paid", paid, priced),
            _saved(facts.savings),
            ("Calls", count(facts.calls), each),
            ("Attempts per call", per_call, f"{count(facts.attempts)} attempts"),
            ("Cache hits", percent(facts.hits, facts.calls), f"{count(facts.hits)} answers"),
        )
        heading = element("h2", "At a glance", id="glance")
        parts = (heading, element("dl", *map(_box, boxes)))
        return element("section", *parts, class_="figures", aria_labelledby="glance")

    def gaps(self) -> Html:
        """Say what the figures leave out; nothing where they leave out nothing."""
        said = list(_gaps(self.facts))
        if not said:
            return Html("")
        items = element("ul", *(element("li", one) for one in said))
        return _section("gaps", "What these figures leave out", items, class_="notice")

    def spend(self) -> Html:
        step = self.facts.axis.step
        about = f"By {step}, in UTC: stacked from the bottom up in the order of the legend, the dearest first."
        panels = element("div", *map(self._panel, self.facts.splits), data_tabs="Spend by", id="spend-by")
        return _section("spend", "Spend over time", panels, about=about, class_="long")

    def savings(self, savings: SavingsShown) -> Html:
        covered = f"{count(savings.compared)} of {count(self.facts.calls)} calls"
        about = (
            f"Against {savings.baseline}, over {covered}: those that were answered, with every attempt priced. Each "
            "step stands on those before it; what saving costs (drafts, retries, judges) comes off again, and a step "
            "that lost money is shown as it is."
        )
        title = "Where the saving comes from"
        picture = self._chart("savings-chart", title, charts.waterfall(savings))
        return _section("savings", title, picture, tables.savings_table(savings), about=about)

    def attempts(self) -> Html:
        """Show attempts per call beside what caches gave."""
        moments, axis = self.facts.moments, self.facts.axis
        tries = _section(
            "attempts", "Attempts per call",
            self._chart("attempts-chart", "Attempts per call over time", charts.amplification(moments, axis)),
            tables.attempts_table(moments, axis), class_="short",
            about="Drafts, retries, escalations and judges, for each call that was made; hits need no attempt.",
        )  # fmt: skip
        hits = _section(
            "hits", "Cache hits",
            self._chart("hits-chart", "Cache hit rates over time", charts.hit_rates(moments, axis)),
            line_legend(charts.HIT_RATES), tables.hits_table(moments, axis), class_="short",
            about="Exact and similar: share of calls. Prompt cache: share of input read from the provider's.",
        )  # fmt: skip
        return element("div", tries, hits, class_="pair")

    def tiers(self) -> Html:
        lines = self.facts.tiers
        about = (
            "From the question to the end of the answer: ● half of the attempts were faster, ◆ 95 of 100 were. "
            "Batch jobs, for which nobody waits, are left out."
        )
        picture = self._chart("latency-chart", "Latency by tier", charts.latency(lines))
        return _section("tiers", "Tiers and latency", picture, tables.tiers_table(lines), about=about)

    def dearest(self) -> Html:
        about = "By id and labels: prompts and answers are never in the ledger."
        calls = tables.dearest_table(self.facts.dearest)
        return _section("dearest", "The dearest calls", calls, about=about, class_="long")

    def forecast(self, shown: ForecastShown) -> Html:
        parts = []
        if shown.days_us and self.facts.axis.step == "day":
            picture = charts.forecast(shown, self.facts.splits[0], self.facts.axis)
            parts.append(self._chart("forecast-chart", "Forecast", picture))
            said = f"Bars: paid. Dashed: expected. Band: {shown.level:.0%} of outcomes."
            parts.append(element("p", said, class_="about"))
        if shown.days_us:
            parts.append(tables.forecast_table(shown))
        return _section(
            "forecast", "Forecast", *parts, about=f"{shown.scope[:1].upper()}{shown.scope[1:]}: {shown.sentence}"
        )

    def _panel(self, split: Split) -> Html:
        axis = self.facts.axis
        picture = self._chart(f"spend-{split.by}", f"Spend over time by {split.by}", charts.spend(split, axis))
        parts = (picture, stack_legend(split), tables.split_table(split, axis))
        return element("div", element("h3", f"By {split.by}"), *parts, class_="panel", id=f"panel-{split.by}")

    def _chart(self, name: str, title: str, chart: Chart) -> Html:
        self.charts[name] = chart
        words = f"{title}: a picture of the figures in the table that follows."
        return element("figure", element("div", id=name, class_="chart", role="img", aria_label=words))


def budgets(shown: Sequence[BudgetShown]) -> Html:
    return _section("budgets", "Budgets", tables.budgets_table(shown))


def alerts(shown: Sequence[AlertShown]) -> Html:
    """List what rang, or say that nothing did."""
    if not shown:
        return _section("alerts", "Alerts", about="Nothing has rung.")
    return _section("alerts", "Alerts", element("ul", *map(_alert, shown), class_="alerts"))


def _alert(alert: AlertShown) -> Html:
    state = element("span", "over" if alert.over else "open", class_="state over" if alert.over else "state")
    where = element("small", f"{moment(alert.at_us)} UTC · {alert.scope}")
    return element("li", state, element("b", alert.rule), " ", alert.what, where)


def _gaps(facts: Facts) -> Iterator[str]:
    savings = facts.savings
    if facts.unpriced:
        yield f"{count(facts.unpriced)} attempts have no known price and are missing from the cost: they are not zero."
    if facts.estimated:
        yield f"{count(facts.estimated)} attempts are estimates, because the provider did not say what it used."
    if savings is not None and facts.calls > savings.compared:
        missing = facts.calls - savings.compared
        yield f"{count(missing)} calls cannot be compared with a baseline and have no part in the saving."


def _saved(savings: SavingsShown | None) -> tuple[str, str, str]:
    if savings is None or not savings.compared:
        return "Saved", UNKNOWN, "no call can be compared"
    share = percent(abs(savings.saved_pico), savings.full_pico)
    if savings.saved_pico < 0:
        return "Cost more", dollars(-savings.saved_pico), f"{share} above the baseline"
    return "Saved", dollars(savings.saved_pico), f"{share} of the baseline"


def _section(name: str, title: str, *content: Html, about: str = "", class_: str | None = None) -> Html:
    parts = [element("h2", title, id=f"{name}-title")]
    if about:
        parts.append(element("p", about, class_="about"))
    return element("section", *parts, *content, id=name, class_=class_, aria_labelledby=f"{name}-title")


def _box(box: tuple[str, str, str]) -> Html:
    name, value, beside = box
    values = (element("dd", value, class_="value"), element("dd", beside, class_="beside"))
    return element("div", element("dt", name), *values)


def header(facts: Facts, reload_s: int | None) -> Html:
    """Say what the page is about, for which time, and when it was made."""
    spans = []
    if facts.axis.starts_us:
        first, last = (moment(facts.axis.starts_us[i], "day") for i in (0, -1))
        spans.append(first if first == last else f"{first} to {last}")
    spans += [f"{name} {value}" for name, value in facts.where]
    spans.append(f"ledger {facts.ledger}")
    made = f"made {moment(facts.made_us)} UTC"
    spans.append(made if reload_s is None else f"{made}, again every {reload_s} s")
    title = element("div", element("h1", "Spend report"), element("p", " · ".join(spans), class_="lead"))
    # Shown by the script, which alone can make it work.
    return element("header", title, element("button", "Dark theme", type="button", id="theme", hidden=True))


def empty() -> Html:
    """Stand in for all sections where there is nothing to show."""
    how = "Nothing was recorded here for the time and labels that were asked for."
    return _section("empty", "No calls yet", element("p", how))


def footer() -> Html:
    """Say how the figures are meant."""
    said = (
        "A call costs the sum of its attempts: drafts, retries, escalations, judges.",
        "Sums are exact to the pico-dollar and rounded only to be shown.",
        "An attempt counts where it started, in UTC. Hits from a cache ask no model: they are calls, not attempts.",
        "Percentiles are by nearest rank over all attempts on a tier, failed ones included.",
    )
    return element("footer", element("h2", "How this is counted"), element("ul", *(element("li", one) for one in said)))
