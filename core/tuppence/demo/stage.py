"""What a framework is handed to build its two chains from, and how the frameworks that are installed are found.

The core imports no framework: each guest announces its demo as an entry point of the group `tuppence.demos`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

from tuppence.attempts import Verdict
from tuppence.checks import custom, default_check, grounded, not_truncated
from tuppence.demo.comparison import RULES
from tuppence.demo.models import ModelSpec
from tuppence.demo.recorder import Recorder
from tuppence.demo.retrieval import PassageIndex
from tuppence.effects import Check
from tuppence.errors import ConfigError
from tuppence.policy import Retries
from tuppence.prices import PriceBook
from tuppence.request import Reply, Request
from tuppence.tiers import Tier

GROUP = "tuppence.demos"

SYSTEM = "Answer the question in one short sentence, from the context alone."
PASSAGES = 2
"""How many are put into a prompt."""

# Where the local model stands alone its answers are checked too, though nobody stronger is left to ask, and asked for
# once only: at temperature 0 it would say the same again.
_CHECK_THE_LAST = Retries(validation=1, max_attempts=1)


def good_enough() -> Check:
    """Make the demo's check: an answer that is whole, no refusal, and made of what the passages say; or counted."""
    return (default_check() & not_truncated() & grounded()) | custom(_counted)


def _counted(_request: Request, reply: Reply) -> Verdict:
    """Accept what the rules say: they count in all the documents, so that no passage needs to hold it."""
    return Verdict(1.0, "counted by the rules") if reply.model == RULES else Verdict(0.0, "not by the rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One run: what its chain is built from."""

    index: PassageIndex
    models: tuple[ModelSpec, ...]
    """Cheapest first; the unchanged chain uses the last."""
    rules: Tier
    check: Check
    prices: PriceBook
    ledger: Recorder

    @property
    def options(self) -> dict[str, Any]:
        """What the changed line says beside its tiers."""
        retries = _CHECK_THE_LAST if self.models[-1].provider == "local" else Retries()
        return {"check": self.check, "retries": retries, "prices": self.prices, "ledger": self.ledger}


Chain = Callable[[str], str]
"""From a question to the answer's text; raises what the framework raises."""


class Framework(Protocol):
    """One framework's part of the demo."""

    title: str

    def unchanged(self, scene: Scene) -> Chain:
        """Build the chain as it is before, with its spending observed."""
        ...

    def with_tuppence(self, scene: Scene) -> Chain:
        """Build the same chain with the one line changed."""
        ...


@dataclass(frozen=True, slots=True)
class Absent:
    """A framework that cannot be imported here."""

    name: str
    missing: str


def frameworks() -> tuple[list[Framework], list[Absent]]:
    """Load the frameworks' demos; raise `ConfigError` where none of them can be loaded."""
    there: list[Framework] = []
    absent: list[Absent] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        try:
            there.append(point.load()())
        except ModuleNotFoundError as error:
            absent.append(Absent(point.name, error.name or str(error)))
    if not there:
        missing = ", ".join(f"{a.name} needs {a.missing}" for a in absent) or "nothing is announced as tuppence.demos"
        raise ConfigError(f"no framework to show: {missing}. Install with: pip install 'tuppence[demo]'")
    return there, absent


def llm_line(build: Callable[..., Chain]) -> str:
    """Return the line of a chain's own source that makes its model: what is shown is what runs."""
    return next(line.strip() for line in inspect.getsource(build).splitlines() if line.strip().startswith("llm ="))
