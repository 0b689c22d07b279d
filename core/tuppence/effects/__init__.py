"""The effects that plans yield and the outcomes that they get back: where the flow, the checks and the cache
meet.

A plan is a generator that does no I/O: it yields an `Effect`, a driver has a port perform it, and the outcome
is sent back in. Failures are values here (`Failed`, `Broken`), so that a plan can decide about them like about
anything else.
"""

from tuppence.effects.asking import (
    Ask,
    Call,
    Consult,
    Declined,
    Deliver,
    Failed,
    FailureKind,
    Reshape,
    Sleep,
    Undecided,
)
from tuppence.effects.plans import Broken, Effect, Gate, Plan, held, live
from tuppence.effects.remembering import (
    Audit,
    Embed,
    Entry,
    Hit,
    Keep,
    Lease,
    Lookup,
    Nearest,
    Neighbour,
    Open,
    Peek,
    Remember,
    Subject,
)
from tuppence.effects.reserving import BudgetStore, Charge, Granted, Refused, Release, Reserve
from tuppence.effects.settling import Abandoned, Record, Recorder, Settle
from tuppence.effects.strategies import Check, Choice, LearningRoute, Route, Shaped, Shaper, StreamingCheck

__all__ = [
    "Abandoned",
    "Ask",
    "Audit",
    "Broken",
    "BudgetStore",
    "Call",
    "Charge",
    "Check",
    "Choice",
    "Consult",
    "Declined",
    "Deliver",
    "Effect",
    "Embed",
    "Entry",
    "Failed",
    "FailureKind",
    "Gate",
    "Granted",
    "Hit",
    "Keep",
    "LearningRoute",
    "Lease",
    "Lookup",
    "Nearest",
    "Neighbour",
    "Open",
    "Peek",
    "Plan",
    "Record",
    "Recorder",
    "Refused",
    "Release",
    "Remember",
    "Reserve",
    "Reshape",
    "Route",
    "Settle",
    "Shaped",
    "Shaper",
    "Sleep",
    "StreamingCheck",
    "Subject",
    "Undecided",
    "held",
    "live",
]
