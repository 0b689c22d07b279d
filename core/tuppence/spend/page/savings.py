"""The waterfall of savings in the page's words."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from tuppence.spend.page.sections import Fall, SavingsShown
from tuppence.spend.selection import Selection
from tuppence.spend.waterfall import waterfall_of

_STEPS: Mapping[str, str] = {
    "cache": "answered from a cache", "prune": "shorter prompts", "route": "cheaper tiers",
    "output": "shorter answers", "batch": "batch prices", "self_host": "own servers",
}  # fmt: skip
_OVERHEAD: Mapping[str, str] = {
    "draft": "drafts not used", "retry": "retries", "validation_retry": "retries after a check",
    "escalation": "answers not used", "fallback": "other tiers asked in vain", "spill_over": "spilled over in vain",
    "agreement": "second opinions",
    "judge": "judges", "condense": "condensing", "hit": "checking hits",
}  # fmt: skip


def savings(connection: Connection, selection: Selection) -> SavingsShown:
    """Read where the saving comes from; steps that did nothing are left out."""
    found = waterfall_of(connection, selection)
    falls = [Fall(_STEPS[step.name], -step.pico_usd, step.estimated) for step in found.steps if step.pico_usd]
    falls += [Fall(_OVERHEAD.get(cause, cause), pico) for cause, pico in found.overhead.items()]
    names = " or ".join(map(repr, found.baselines))
    return SavingsShown(
        baseline=f"every call on tier {names} alone" if names else "every call on the policy's strongest tier alone",
        full_pico=found.full_baseline,
        steps=tuple(falls),
        compared_pico=found.paid - found.not_compared,
        compared=found.compared,
        not_compared_pico=found.not_compared,
    )
