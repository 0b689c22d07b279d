"""What can happen to a logical call: what each provider does, and which attempts must then be on the books."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from langchain_tuppence import function_tier
from tuppence.checks import agrees_with, judged_by
from tuppence.policy import Retries
from tuppence.testing import Fault

from .script import RULES, Says, Step
from .surfaces import Form

Line = tuple[str, str, str]
"""(tier, cause, outcome) of one attempt."""

GOOD, PLAIN, BAD = Step.GOOD, Step.PLAIN, Step.BAD
DOWN = Fault(status=500)
BUSY = Fault(status=429, retry_after=0.0)


@dataclass(frozen=True)
class Situation:
    name: str
    says: Mapping[str, tuple[Says, ...]]
    attempts: tuple[Line, ...]
    """Of one logical call."""
    rounds: int = 1
    """How often the same is asked; the answer of the first round is served again in the others."""
    answer: Step | str | None = Step.GOOD
    """What is answered: a text in so many words, None where everything fails."""
    forms: tuple[Form, ...] = ("text", "structured", "agent")
    tiers: tuple[str, ...] = ("small", "large")
    options: Mapping[str, Any] = field(default_factory=dict)
    judges: tuple[str, ...] = ()


TEXT: tuple[Form, ...] = ("text",)
SMALL: Line = ("small", "draft", "accepted")
REJECTED: Line = ("small", "draft", "rejected")
LARGE: Line = ("large", "escalation", "accepted")
RETRIED: Line = ("small", "retry", "accepted")
FALLBACK: Line = ("large", "fallback", "accepted")
STRONGEST: Line = ("large", "draft", "accepted")
HIT: Line = ("cache", "hit", "hit")


def failed(tier: str, first: str) -> tuple[Line, Line]:
    return (tier, first, "failed"), (tier, "retry", "failed")


def _rules(request: Any) -> str | None:
    return RULES if "open" in request.question else None


def _none(_: Any) -> None:
    return None


SITUATIONS = (
    Situation("accepted", {"small": (GOOD,)}, (SMALL,)),
    Situation("accepted_plainly", {"small": (PLAIN,)}, (SMALL,), answer=PLAIN),
    Situation("unchecked", {"small": (GOOD,)}, (SMALL,), options={"check": None}, forms=TEXT),
    Situation("escalated", {"small": (BAD,), "large": (GOOD,)}, (REJECTED, LARGE)),
    Situation(
        "last_is_bad_too", {"small": (BAD,), "large": (BAD,)}, (REJECTED, LARGE), answer=BAD, forms=("text", "agent")
    ),
    Situation("hit", {"small": (GOOD,)}, (SMALL,), rounds=3),
    Situation("hit_of_escalated", {"small": (BAD,), "large": (GOOD,)}, (REJECTED, LARGE), rounds=2),
    Situation("down", {"small": (DOWN,), "large": (GOOD,)}, (*failed("small", "draft"), FALLBACK)),
    Situation("busy_then_well", {"small": (BUSY, GOOD)}, (("small", "draft", "failed"), RETRIED)),
    Situation(
        "busy_retry_fallback", {"small": (BUSY,), "large": (PLAIN,)}, (*failed("small", "draft"), FALLBACK),
        answer=PLAIN,
    ),
    Situation(
        "escalated_to_one_that_is_busy", {"small": (BAD,), "large": (BUSY, GOOD)},
        (REJECTED, ("large", "escalation", "failed"), ("large", "retry", "accepted")),
    ),
    Situation(
        "all_down", {"small": (DOWN,), "large": (BUSY,)}, (*failed("small", "draft"), *failed("large", "fallback")),
        answer=None,
    ),
    Situation(
        "three_tiers", {"small": (BAD,), "middle": (DOWN,), "large": (GOOD,)},
        (REJECTED, *failed("middle", "escalation"), FALLBACK), tiers=("small", "middle", "large"),
    ),
    Situation(
        "middle_answers", {"small": (BAD,), "middle": (GOOD,)}, (REJECTED, ("middle", "escalation", "accepted")),
        tiers=("small", "middle", "large"),
    ),
    Situation(
        "validation_retry", {"small": (BAD,), "large": (BAD, GOOD)},
        (REJECTED, ("large", "escalation", "rejected"), ("large", "validation_retry", "accepted")),
        options={"retries": Retries(validation=1, base_s=0.0)},
    ),
    Situation(
        "judged_well", {"small": (GOOD,), "large": (GOOD,)}, (SMALL, ("large", "judge", "consulted")),
        options={"check": judged_by("large")}, forms=("text", "agent"),
    ),
    Situation(
        "judged_badly", {"small": (BAD,), "large": (GOOD,)}, (REJECTED, ("large", "judge", "consulted"), LARGE),
        options={"check": judged_by("large")}, forms=("text", "agent"),
    ),
    Situation(
        "agreed", {"small": (GOOD,), "large": (GOOD,)}, (SMALL, ("large", "agreement", "consulted")),
        options={"check": agrees_with("large")}, forms=("text", "agent"),
    ),
    Situation(
        "disagreed", {"small": (BAD,), "large": (GOOD,)}, (REJECTED, ("large", "agreement", "consulted"), LARGE),
        options={"check": agrees_with("large")}, forms=("text", "agent"),
    ),
    Situation(
        "a_function_answers", {}, (("rules", "draft", "accepted"),), answer=RULES, forms=TEXT,
        tiers=("rules", "small", "large"),
    ),
    Situation("a_function_declines", {"small": (GOOD,)}, (SMALL,), forms=TEXT, tiers=("declining", "small", "large")),
    Situation("off", {"large": (GOOD,)}, (STRONGEST,), options={"mode": "off"}, forms=TEXT),
    Situation("observed", {"large": (GOOD,)}, (STRONGEST,), options={"mode": "observe"}, forms=TEXT),
    Situation(
        "too_dear", {"small": (BAD,)}, (SMALL,), answer=BAD, forms=TEXT, options={"max_usd_per_call": Decimal("0.01")}
    ),
    Situation(
        "judged_from_beside", {"small": (GOOD,), "middle": (GOOD,)}, (SMALL, ("middle", "judge", "consulted")),
        judges=("middle",), options={"check": judged_by("middle")}, forms=("text", "agent"),
    ),
    Situation(
        "agreed_from_beside", {"small": (GOOD,), "middle": (GOOD,)}, (SMALL, ("middle", "agreement", "consulted")),
        judges=("middle",), options={"check": agrees_with("middle")},
    ),
    Situation(
        "judge_is_down", {"small": (GOOD,), "middle": (DOWN,), "large": (GOOD,)},
        (REJECTED, *failed("middle", "judge"), LARGE),
        judges=("middle",), options={"check": judged_by("middle")}, forms=("text", "agent"),
    ),
)  # fmt: skip

FUNCTIONS = {"rules": function_tier("rules", _rules), "declining": function_tier("declining", _none)}
