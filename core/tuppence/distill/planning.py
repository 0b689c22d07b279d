"""Is it worth it to train a small model on recorded traffic? Every figure with the formula that it comes from.

Nothing is guessed: a price that nobody gave leaves the figures that need it open, and "not worth it" is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tuppence.distill.dataset import Dataset, Traffic
from tuppence.distill.dataset.statistics import FEWEST, Statistics, statistics
from tuppence.distill.errors import DistillError
from tuppence.prices import Rate, usd
from tuppence.usage import Usage

MONTH_DAYS = Decimal("365.25") / 12
_HORIZON = 12

Verdict = Literal["worth it", "not worth it", "not enough data", "open"]
"""`open`: a price is missing, or too little time was recorded to know a month's volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What only the user knows."""

    small: Rate | None
    """What the small model's tokens cost once it is trained."""
    escalation: Decimal
    """Share of its answers that will not do, and go to the teacher after all: measured on held-out rows, or supposed.
    """
    training_usd: Decimal | None = None
    labour_usd: Decimal | None = None
    """What the work costs: to look at rows, to evaluate, to deploy."""
    check_usd: Decimal = Decimal(0)
    """What checking one of its answers costs."""
    monthly_usd: Decimal = Decimal(0)
    """What it costs whether it is asked or not, such as a GPU."""
    horizon_months: int = _HORIZON
    """By when it must have paid back."""

    def __post_init__(self) -> None:
        if not 0 <= self.escalation <= 1:
            raise DistillError(f"escalation is {self.escalation}: give a part of 1, such as 0.15")
        amounts = (self.training_usd or 0, self.labour_usd or 0, self.check_usd, self.monthly_usd)
        if min(amounts) < 0 or self.horizon_months < 1:
            raise DistillError("training, labour, checks, monthly costs and horizon cannot be below 0: leave them out")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a plan."""

    value: Decimal | None
    """None where something that it needs is not known."""
    unit: str
    formula: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and why."""

    site: str
    verdict: Verdict
    reasons: tuple[str, ...]
    figures: Mapping[str, Figure]
    """By name, in the order in which they follow from each other; dollars are exact but for divisions."""
    statistics: Statistics


def plan(data: Dataset, terms: Terms, *, model: str = "gpt-4o-mini") -> Plan:
    """Weigh what a small model would save at the recorded volume against what it costs to have one.

    `model` names the vocabulary that training tokens are counted with.
    """
    stats = statistics(data, model=model)
    figures = {**_task(data, stats), **_figures(data.traffic, terms)}
    verdict, reasons = _verdict(data, stats, terms, figures)
    return Plan(data.name, verdict, (*reasons, *stats.warnings), figures, stats)


def _task(data: Dataset, stats: Statistics) -> dict[str, Figure]:
    """Say how narrow the task is."""
    changes = data.template.changes_a_month
    longest = stats.answer_tokens.get(90)
    return {
        "rows to train on": Figure(Decimal(stats.rows["train"]), "rows", f"a narrow task needs {FEWEST}"),
        "different answers": Figure(Decimal(stats.answers.different), "answers", "counted over all rows"),
        "entropy of the answers": Figure(
            Decimal(f"{stats.answers.bits:.3f}"), "bits", "sum over the answers of -share * log2(share)"
        ),
        "length of the answers": Figure(
            None if longest is None else Decimal(longest), "tokens", "nine of ten are not longer (90th percentile)"
        ),
        "changes of the prompt": Figure(
            None if changes is None else Decimal(f"{changes:.2f}"), "a month", "new versions / recorded days * 30"
        ),
    }


def _figures(traffic: Traffic, terms: Terms) -> dict[str, Figure]:
    volume = Decimal(traffic.by_teacher) / Decimal(str(traffic.days)) * MONTH_DAYS if traffic.days >= 1 else None
    teacher = usd(traffic.pico_usd) / traffic.priced if traffic.priced else None
    small = _small(traffic, terms.small)
    gain = None if teacher is None or small is None else teacher * (1 - terms.escalation) - small - terms.check_usd
    saved = None if volume is None or gain is None else volume * gain - terms.monthly_usd
    invested = None if terms.training_usd is None or terms.labour_usd is None else terms.training_usd + terms.labour_usd
    pays = None if saved is None or invested is None or saved <= 0 else invested / saved
    least = terms.monthly_usd / gain if gain is not None and gain > 0 else None
    most = None
    if volume is not None and teacher and small is not None:
        most = 1 - (small + terms.check_usd + terms.monthly_usd / volume) / teacher
    span = f"{traffic.by_teacher:,} / {traffic.days:.2f} days * {MONTH_DAYS:.4f}"
    return {
        "calls a month (N)": Figure(volume, "calls", f"answers of the teacher / recorded days * days a month = {span}"),
        "teacher's price of a call (t)": Figure(teacher, "USD", "price of the priced answers / their number"),
        "small model's price of a call (s)": Figure(small, "USD", "mean tokens in and out at its price"),
        "escalation share (e)": Figure(terms.escalation, "", "given"),
        "saved on a call (g)": Figure(gain, "USD", "t - (s + e * t + check) = t * (1 - e) - s - check"),
        "saved a month (S)": Figure(saved, "USD", "N * g - monthly costs"),
        "investment (I)": Figure(invested, "USD", "training + labour"),
        "pays back after": Figure(pays, "months", "I / S"),
        "least calls a month": Figure(least, "calls", "monthly costs / g"),
        "most escalation": Figure(most, "", "1 - (s + check + monthly costs / N) / t"),
    }


def _small(traffic: Traffic, rate: Rate | None) -> Decimal | None:
    """Price the teacher's mean usage at the small model's price; between whole tokens in proportion."""
    calls = traffic.by_teacher
    if rate is None or not calls:
        return None
    tokens_in, more_in = divmod(traffic.input_tokens, calls)
    tokens_out, more_out = divmod(traffic.output_tokens, calls)
    base = rate.cost(Usage(input=tokens_in, output=tokens_out))
    longer = rate.cost(Usage(input=tokens_in + 1, output=tokens_out))
    wordier = rate.cost(Usage(input=tokens_in, output=tokens_out + 1))
    if base is None or longer is None or wordier is None:
        return None
    return usd(base) + (usd(longer - base) * more_in + usd(wordier - base) * more_out) / calls


def _verdict(
    data: Dataset, stats: Statistics, terms: Terms, figures: Mapping[str, Figure]
) -> tuple[Verdict, tuple[str, ...]]:
    gain, saved = figures["saved on a call (g)"].value, figures["saved a month (S)"].value
    pays = figures["pays back after"].value
    if gain is not None and gain <= 0:
        return "not worth it", ("the small model with its escalations costs as much a call as the teacher alone",)
    if saved is not None and saved <= 0:
        return "not worth it", ("at this volume the monthly costs are not earned",)
    if pays is not None and pays > terms.horizon_months:
        return "not worth it", (f"it pays back after {pays:.1f} months, not within {terms.horizon_months}",)
    if stats.rows["train"] < FEWEST:
        return "not enough data", (_until(data, stats),)
    missing = [name for name in ("saved a month (S)", "pays back after") if figures[name].value is None]
    if missing:
        return "open", (f"not known: {', '.join(missing)}; see which of the figures before them lack a value",)
    return "worth it", (f"it saves ${saved:,.2f} a month and pays back after {pays:.1f} months",)


def _until(data: Dataset, stats: Statistics) -> str:
    """Say how long recording must go on, at the pace so far."""
    train, days = stats.rows["train"], data.traffic.days
    told = f"{train:,} of the {FEWEST} rows that a narrow task needs"
    if not train or days < 1:
        return told
    return f"{told}; at this pace {(FEWEST - train) * days / train:,.0f} more days of recording"
