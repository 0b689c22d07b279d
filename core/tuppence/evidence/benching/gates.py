"""A gate for a build: what every model, or one of them, must reach. What is not known does not pass.

`quality>=.9, cost<=.002, against=baseline.json`: each condition that does not hold is told with its figures.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tuppence.errors import ConfigError
from tuppence.evidence.benching.comparing import Scores, compared
from tuppence.evidence.benching.results import ModelResult

_Figure = Callable[[ModelResult], Decimal | float | None]
_FIGURES: Mapping[str, _Figure] = {
    "quality": lambda one: one.quality,
    "quality_low": lambda one: one.low,
    "cost": lambda one: one.usd_per_question,
    "cost_per_correct": lambda one: one.usd_per_correct,
    "p50": lambda one: one.p50_ms,
    "p95": lambda one: one.p95_ms,
    "failed": lambda one: one.failed / one.questions,
}
_HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_CONDITION = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*(.+?)\s*")
_SETTING = re.compile(r"\s*(against|model|alpha)\s*=(?!=)\s*(.+?)\s*")
_EXAMPLE = "'quality>=.9,cost<=.002,against=baseline.json'"


@dataclass(frozen=True, slots=True)
class Condition:
    """One figure and its bound."""

    figure: str
    sign: str
    bound: Decimal

    def __str__(self) -> str:
        return f"{self.figure}{self.sign}{self.bound}"


@dataclass(frozen=True, slots=True)
class Gate:
    """Conditions that all must hold."""

    conditions: tuple[Condition, ...] = ()
    against: str | None = None
    """A report of before, in which no model may have been better, as far as a test can tell."""
    model: str | None = None
    """The model that it is about; None for every one."""
    alpha: float = 0.05
    """Probability of refusing a model that has not become worse."""


def parse_gate(text: str) -> Gate:
    """Read a gate as it is written on the command line; raises `ConfigError`."""
    conditions, settings = [], dict[str, str]()
    for part in text.split(","):
        setting = _SETTING.fullmatch(part)
        condition = _CONDITION.fullmatch(part)
        if setting is not None:
            settings[setting[1]] = setting[2]
        elif condition is not None and condition[1] in _FIGURES:
            conditions.append(Condition(condition[1], condition[2], _number(condition[3], text)))
        else:
            raise ConfigError(
                f"the gate {text!r} has {part.strip()!r}: write {_EXAMPLE}; the figures are {', '.join(_FIGURES)}, "
                "and alpha=, model= and against= may be set"
            )
    if not conditions and "against" not in settings:
        raise ConfigError(f"the gate {text!r} asks for nothing: write {_EXAMPLE}")
    alpha = float(_number(settings.get("alpha", "0.05"), text))
    if not 0 < alpha < 1:
        raise ConfigError(f"the gate {text!r} has alpha {alpha}: give a probability between 0 and 1, such as 0.05")
    return Gate(tuple(conditions), settings.get("against"), settings.get("model"), alpha)


def violations(gate: Gate, found: Sequence[ModelResult], baseline: Mapping[str, Scores] | None) -> list[str]:
    """Say what does not hold, a line each; `baseline` are the scores that `gate.against` names."""
    judged = [one for one in found if gate.model in (None, one.name)]
    if not judged:
        return [f"model {gate.model!r} was not run: there are {', '.join(one.name for one in found)}"]
    said = []
    for one in judged:
        said += [line for condition in gate.conditions if (line := _broken(condition, one)) is not None]
        if baseline is not None and (line := _regressed(one, baseline, gate)) is not None:
            said.append(line)
    return said


def _broken(condition: Condition, one: ModelResult) -> str | None:
    value = _FIGURES[condition.figure](one)
    if value is None:
        return f"{one.name}: {condition.figure} is not known, and {condition} must hold{_failures(one)}"
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if _HOLDS[condition.sign](exact, condition.bound):
        return None
    return f"{one.name}: {condition.figure} is {float(exact):.6g}, and {condition} must hold{_failures(one)}"


def _regressed(one: ModelResult, baseline: Mapping[str, Scores], gate: Gate) -> str | None:
    if one.name not in baseline:
        return f"{one.name}: {gate.against} does not have it: it has {', '.join(baseline) or 'no model'}"
    paired = compared(one, baseline[one.name])
    if paired is None:
        return f"{one.name}: {gate.against} shares no question with this run: make it anew from the same set"
    if paired.p_worse > gate.alpha:
        return None
    return (
        f"{one.name}: worse than {gate.against} by {-100 * paired.difference:.1f} points on {paired.questions} "
        f"questions ({paired.worse} worse, {paired.better} better; {paired.method}, p = {paired.p_worse:.2g})"
        f"{_failures(one)}"
    )


def _failures(one: ModelResult) -> str:
    if not one.failed:
        return ""
    reason, count = max(one.failures.items(), key=operator.itemgetter(1))
    return f" ({one.failed} of {one.questions} were not answered; {count} times {reason})"


def _number(text: str, gate: str) -> Decimal:
    try:
        number = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ConfigError(f"the gate {gate!r} has {text!r} where a number must stand: write {_EXAMPLE}")
    return number
