"""What traffic will cost, worked out in full: every figure comes with the sum that makes it."""

from tuppence.estimate.calculator import DAYS_PER_MONTH, Estimate, Leg, estimate, flat_leg, priced_leg
from tuppence.estimate.traffic import Traffic, recorded, repriced_leg
from tuppence.prices.spelling import Step

__all__ = [
    "DAYS_PER_MONTH",
    "Estimate",
    "Leg",
    "Step",
    "Traffic",
    "estimate",
    "flat_leg",
    "priced_leg",
    "recorded",
    "repriced_leg",
]
