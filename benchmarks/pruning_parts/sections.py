"""What a section pruner keeps of long reports: tokens, facts that a summary needs, and facts that none needs.

The corpus is `reports/`. A fact survives if one of its wordings stands in what is left, white space aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pruning_parts.reports import Report, reports
from tuppence.tokens import count_tokens

Prune = Callable[[str], str]
_MODEL = "gpt-4o"
"""Whose vocabulary is o200k."""


def sections(prune: Prune | None = None) -> dict[str, Any]:
    """Prune every report with shipped settings, or by `prune`, and count what is left."""
    prune = _shipped() if prune is None else prune
    rows = [(report, prune(report.text)) for report in reports()]
    return {
        **_figures(rows),
        "reports": len(rows),
        "longer": sum(_tokens(left) > _tokens(report.text) for report, left in rows),
        **{f"by_{name}": _by(name, rows) for name in ("kind", "form", "language")},
        "without_summary": _figures([row for row in rows if _has_no_summary(row[0])]),
        "lost": [f"{report.id}: {fact}" for report, left in rows for fact in _lost(report, left)],
    }


def _shipped() -> Prune:
    from tuppence.prune.sections import SectionPruner

    pruner = SectionPruner()
    return lambda text: pruner.prune(text).text


def _figures(rows: Sequence[tuple[Report, str]]) -> dict[str, Any]:
    """Add up tokens; shares of facts are over all reports together."""
    found: dict[str, list[bool]] = {"facts": [], "facts_in_body_only": [], "facts_irrelevant": []}
    for report, left in rows:
        flat = " ".join(left.split())
        for fact in report.facts:
            kept = any(said in flat for said in fact.texts)
            found["facts" if fact.summary_relevant else "facts_irrelevant"].append(kept)
            if fact.summary_relevant and fact.in_body_only:
                found["facts_in_body_only"].append(kept)
    before = sum(_tokens(report.text) for report, _ in rows)
    shares = {name: sum(kept) / len(kept) if kept else None for name, kept in found.items()}
    return {"tokens_share": sum(_tokens(left) for _, left in rows) / before, **shares}


def _by(name: str, rows: Sequence[tuple[Report, str]]) -> dict[str, Any]:
    groups = dict.fromkeys(getattr(report, name) for report, _ in rows)
    return {one: _figures([row for row in rows if getattr(row[0], name) == one]) for one in groups}


def _has_no_summary(report: Report) -> bool:
    return all(fact.in_body_only for fact in report.facts if fact.summary_relevant)


def _lost(report: Report, left: str) -> list[str]:
    return [fact.text for fact in report.facts if fact.summary_relevant and not fact.survives(left)]


def _tokens(text: str) -> int:
    return count_tokens(text, _MODEL).tokens
