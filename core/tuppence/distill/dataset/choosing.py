"""The filters that need all of the traffic: who is learned from, and what judges and users thought of the answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tuppence.distill.dataset.filters import Filters
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.errors import DistillError

_OUT = "UPDATE calls SET reason = ?, body = NULL WHERE reason IS NULL AND "
_FEEDBACK = "(SELECT score FROM feedback WHERE feedback.call_id = calls.call_id)"
_JUDGED = "(SELECT score FROM judged WHERE judged.call_id = calls.call_id)"


def choose(scratch: Scratch, filters: Filters) -> None:
    """Mark the calls that judges or users thought little of."""
    scratch.do(f"{_OUT} {_JUDGED} < ?", "judged low", filters.judged_share)
    scratch.do(f"{_OUT} {_FEEDBACK} < ?", "disliked", filters.liked_at_least)
    if filters.only_judged:
        scratch.do(f"{_OUT} {_JUDGED} IS NULL", "not judged")
    if filters.only_rated:
        scratch.do(f"{_OUT} {_FEEDBACK} IS NULL", "not rated")


def choose_teachers(
    scratch: Scratch, sites: Iterable[int], filters: Filters, escalations: Collection[tuple[str, str]]
) -> Mapping[int, str]:
    """Mark what was not answered by its site's teacher, and return the teachers; "" where a site has no single one.

    Raises `DistillError` where the named one answered nothing, or none is named and no site tells who it is.
    """
    teachers = {site: _teacher(_tiers(scratch, site), filters.teacher, escalations) for site in sites}
    if not any(teachers.values()):
        told = ", ".join(f"{tier} ({calls:,})" for tier, calls in _tiers(scratch, None).items()) or "none"
        if filters.teacher is not None:
            raise DistillError(f"teacher {filters.teacher!r} gave no accepted answer; these did: {told}")
        raise DistillError(
            f"who is to be learned from? Accepted answers came from {told}, and no single tier is the one that all "
            "others escalate to: name the teacher"
        )
    for site, teacher in teachers.items():
        reason = "other tier" if teacher or filters.teacher else "no single teacher"
        scratch.do(f"{_OUT} site = ? AND tier <> ?", reason, site, teacher)
    return teachers


def _tiers(scratch: Scratch, site: int | None) -> Mapping[str, int]:
    """Return who gave accepted answers, and how many, at a site or at all of them."""
    counted = (
        "SELECT tier, COUNT(*) FROM calls WHERE tier <> '' AND site = COALESCE(?, site) "
        "GROUP BY tier ORDER BY COUNT(*) DESC, tier"
    )
    return {str(tier): int(calls) for tier, calls in scratch.each(counted, site)}


def _teacher(tiers: Mapping[str, int], named: str | None, escalations: Collection[tuple[str, str]]) -> str:
    if named is not None:
        return named if named in tiers else ""
    if len(tiers) == 1:
        return next(iter(tiers))
    left = {lower for lower, _ in escalations}
    top = ({upper for _, upper in escalations} - left) & tiers.keys()
    return top.pop() if len(top) == 1 else ""
