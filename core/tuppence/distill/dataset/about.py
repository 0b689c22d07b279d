"""What is known of a call site beside its rows: the template of its prompts, and what its calls came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.distill.dataset.prompts import Version, versions_of
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.dataset.sites import Site
from tuppence.distill.dataset.skeleton import Skeleton, digest, skeleton_of

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Template:
    """What does not vary in the prompts of a call site, and how often it did after all."""

    versions: tuple[Version, ...]
    """Of the system prompt with its tools and schema, the oldest first."""
    question: Skeleton
    """Of the users' first messages."""
    days: float
    """Over which they were seen."""

    @property
    def name(self) -> str:
        """Hash of the latest version and the question's skeleton: a model trained for one may not serve another."""
        return digest(self.versions[-1].name if self.versions else "", self.question.text)

    @property
    def changes(self) -> int:
        """How often a new version began."""
        return max(0, len(self.versions) - 1)

    @property
    def changes_a_month(self) -> float | None:
        """Changes in 30 days; None where less than a day was seen."""
        return None if self.days < 1 else self.changes / self.days * 30


@dataclass(frozen=True, slots=True)
class Traffic:
    """A site's calls and what the teacher's answers cost."""

    calls: int
    first_at: float
    last_at: float
    by_teacher: int
    """Calls that the teacher answered."""
    priced: int
    """Those of them whose price is known."""
    pico_usd: int
    """Sum over the priced ones: of the answering attempt alone."""
    input_tokens: int
    output_tokens: int
    model: str
    """The teacher's, by the name that its provider bills."""

    @property
    def days(self) -> float:
        return (self.last_at - self.first_at) / _DAY_S


def template_of(scratch: Scratch, site: Site, sample: Sequence[str]) -> Template:
    """Find what does not vary in a site's prompts; `sample` are users' first messages."""
    span = scratch.one("SELECT MIN(at), MAX(at) FROM calls WHERE site = ?", site.number)
    assert span is not None
    return Template(versions_of(scratch, site.family), skeleton_of(sample), (span[1] - span[0]) / _DAY_S)


def traffic_of(scratch: Scratch, site: Site, teacher: str) -> Traffic:
    """Add up all calls of a site, those that are not learned from too."""
    mine = "(tier = ?1 AND tier <> '')"
    counted = (
        f"SELECT COUNT(*), MIN(at), MAX(at), SUM({mine}), SUM({mine} AND pico IS NOT NULL), "
        f"COALESCE(SUM(pico) FILTER (WHERE {mine}), 0), COALESCE(SUM(used_input) FILTER (WHERE {mine}), 0), "
        f"COALESCE(SUM(used_output) FILTER (WHERE {mine}), 0), COALESCE(MAX(model) FILTER (WHERE {mine}), '') "
        "FROM calls WHERE site = ?2"
    )
    found = scratch.one(counted, teacher, site.number)
    assert found is not None
    return Traffic(*found)
