"""A corpus of long reports of our own making, with what they say; see `README.md` for how it was made."""

from pruning_parts.reports.corpus import reports
from pruning_parts.reports.model import Fact, Report

__all__ = ["Fact", "Report", "reports"]
