"""An experiment's verdict as a sentence that a person can act on. It rounds and spells; it never reckons."""

from __future__ import annotations

from tuppence.evidence.experiments.measures import Finding, Plan
from tuppence.evidence.experiments.moments import FEWEST
from tuppence.evidence.experiments.reading import Seen

_COUNTED = {"quality": "a score", "errors": "an end", "latency": "a latency", "cost": "a price"}


def spelt(action: str, seen: Seen, plan: Plan, found: tuple[Finding, ...], p_split: float) -> str:
    """Say what was found and what to do."""
    if action == "broken":
        return _broken(seen, p_split)
    said = _said(action, found)
    return "; ".join([*said, _advice(action, seen, plan, found)])


def p_value(p: float) -> str:
    """Spell a p-value: `p = .003`, `p < .001`."""
    if p < 0.001:
        return "p < .001"
    return f"p = {p:.3f}".replace("0.", ".") if p < 0.0995 else f"p = {p:.2f}".replace("0.", ".")


def change(one: Finding) -> str:
    """Spell a change with its interval: `-41% (-44 to -38%)`, `-1.2 points (-2.0 to -0.4)`."""
    if one.change is None or one.low is None or one.high is None:
        return "not known"
    if one.name in ("quality", "errors"):
        return f"{_signed(one.change, 1)} points ({_signed(one.low, 1)} to {_signed(one.high, 1)})"
    return f"{_signed(one.change)}% ({_signed(one.low)} to {_signed(one.high)}%)"


def _said(action: str, found: tuple[Finding, ...]) -> list[str]:
    """Say what is known of cost and quality, and of a guardrail where it decides."""
    by_name = {one.name: one for one in found}
    said = [_cost(by_name["cost"]), _quality(by_name["quality"])]
    for one in (by_name.get("errors"), by_name.get("latency")):
        if one is not None and one.change is not None and (one.state == "harmed" or action != "harm"):
            said.append(_guardrail(one))
    return said


def _cost(one: Finding) -> str:
    if one.change is None or one.low is None or one.high is None:
        return "what the treatment saves is not known yet"
    if one.low <= 0.0 <= one.high:
        return f"the treatment's cost may be the same as before ({_signed(one.low)} to {_signed(one.high)}%)"
    word = "less" if one.change < 0 else "more"
    near, far = sorted((abs(one.low), abs(one.high)))
    return f"the treatment costs {abs(one.change):.0%} {word} ({100 * near:.0f} to {100 * far:.0f}%)"


def _quality(one: Finding) -> str:
    if one.change is None or one.low is None or one.high is None or one.p is None:
        return "how good its answers are is not known yet"
    span = f"({_signed(one.low, 1)} to {_signed(one.high, 1)} points)"
    if one.low > 0:
        return f"quality is better {span}"
    if one.state == "passed":
        return f"quality is not worse by more than {_points(one.margin)} ({p_value(one.p)})"
    if one.state == "harmed":
        return f"quality is worse by more than {_points(one.margin)} {span}"
    return f"quality may have changed by {_signed(one.change, 1)} points {span}"


def _guardrail(one: Finding) -> str:
    what = "the share of failed calls" if one.name == "errors" else "latency"
    margin = _points(one.margin) if one.name == "errors" else f"{one.margin:.0%}"
    if one.state == "harmed":
        return f"{what} rose by more than {margin}: {change(one)}"
    if one.state == "passed":
        return f"{what} did not rise by more than {margin}"
    return f"{what} may have changed by {change(one)}"


def _advice(action: str, seen: Seen, plan: Plan, found: tuple[Finding, ...]) -> str:
    if action == "ship":
        return "ship it"
    if action == "harm":
        return f"harm ({', '.join(one.name for one in found if one.state == 'harmed')}): stop"
    if action == "futile":
        return f"futile: {_why_futile(seen, plan, found)}: stop"
    return f"go on: {_what_is_missing(seen, found)}"


def _why_futile(seen: Seen, plan: Plan, found: tuple[Finding, ...]) -> str:
    if any(one.name == "cost" and one.state == "futile" for one in found):
        return f"it does not save the {plan.saving:.0%} that are asked for"
    exposed = seen.treatment.exposed + seen.control.exposed
    still = ", ".join(one.name for one in found if one.state in ("open", "unknown"))
    if plan.max_units is not None and exposed >= plan.max_units:
        return f"all {plan.max_units:,} planned units are used up and {still} still open"
    return f"{still} would need more than the {plan.max_units:,} units planned"


def _what_is_missing(seen: Seen, found: tuple[Finding, ...]) -> str:
    unknown = [_COUNTED[one.name] for one in found if one.state == "unknown"]
    if unknown:
        return f"each arm needs at least {FEWEST} units with {' and '.join(unknown)}"
    still = [one for one in found if one.state == "open"]
    if any(one.needed is None for one in still):
        doubtful = ", ".join(one.name for one in still if one.needed is None)
        return f"not decided, and if what is seen now is all there is, {doubtful} will not do"
    more = max((one.needed or 0 for one in still), default=0) - seen.treatment.exposed - seen.control.exposed
    return f"needs about {_rough(max(more, 1)):,} more units ({', '.join(one.name for one in still)} open)"


def _broken(seen: Seen, p_split: float) -> str:
    treated, exposed = seen.treatment.exposed, seen.treatment.exposed + seen.control.exposed
    shares = ", then ".join(f"{share:.0%}" for share, _, _ in seen.shares)
    return (
        f"the arms are not as set: {treated:,} of {exposed:,} units got the treatment, where it was to be {shares} "
        f"({p_value(p_split)}); do not trust the comparison, and look for calls of one arm that are not recorded"
    )


def _points(margin: float) -> str:
    points = 100 * margin
    return f"{points:g} point{'' if points == 1 else 's'}"


def _signed(part: float, digits: int = 0) -> str:
    """Spell a part in hundredths with its sign, and a zero without a minus."""
    return f"{round(100 * part, digits) + 0.0:+.{digits}f}"


def _rough(count: int) -> int:
    """Round to two digits: the figure is a guess."""
    size = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // size) * size
