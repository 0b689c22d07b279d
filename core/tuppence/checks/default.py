"""The check that a policy has unless it names another: free, right for every kind of task, open to streams early."""

from __future__ import annotations

from tuppence.checks.compose import And
from tuppence.checks.presence import not_empty
from tuppence.checks.refusal import not_refused


def default_check() -> And:
    """Reject empty answers and refusals."""
    return not_empty() & not_refused()
