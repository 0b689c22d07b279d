"""Made-up months of traffic whose truth is known: what forecasts, alerts, digests and reports are judged on."""

from months.drawing import drawn
from months.faults import CHANGES, FAULTS, KINDS, Change
from months.hours import HourCell
from months.month import Month, month
from months.truth import Truth, Week

__all__ = ["CHANGES", "FAULTS", "KINDS", "Change", "HourCell", "Month", "Truth", "Week", "drawn", "month"]
