"""The levers, one after the other, as the policies that a user would write; each step keeps those before it."""

from __future__ import annotations

from dataclasses import dataclass

from pruning_parts.passages import passages_of
from semantic.data import Embedded

from compound_parts.traffic import Asked, written
from tuppence.cache import ExactCache, MemorySimilarStore, MemoryStore, SemanticCache
from tuppence.cache.prefix import PrefixPlanner
from tuppence.checks.learned import Learned as LearnedCheck
from tuppence.checks.learned import LearnedModel
from tuppence.effects import Shaped
from tuppence.policy import Policy
from tuppence.prices import PriceBook
from tuppence.prune.history import HistoryShaper
from tuppence.prune.output import OutputLimits
from tuppence.prune.passages import PassagePruner
from tuppence.request import Edits, Replace, Request
from tuppence.routes import by_task, strongest
from tuppence.tiers import Tier

LEVERS = ("strongest tier", "exact cache", "semantic cache", "pruning", "prefix cache", "cascade", "limits", "batch")
_ROOM = 100_000
"""Entries: nothing is evicted in a month."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned from the other half: which cheap answers may be kept."""

    model: LearnedModel
    threshold: float
    certified: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """What is chosen before anything is judged."""

    tiers: tuple[str, ...]
    """Models, the strongest last."""
    helper: str | None
    """A model that is asked for its opinion only."""
    keep_probability: float


class PassageShaper:
    """Prunes the passages of a prompt: the first user message, where the last one is a question about it."""

    def __init__(self, keep_probability: float) -> None:
        self._pruner = PassagePruner(keep_probability=keep_probability)
        self._keep = keep_probability
        self._known: dict[str, Shaped] = {}

    def __call__(self, request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
        """Prune once for all steps: the same question over the same passages is pruned the same."""
        asked: Asked = request.native
        if asked.passages is None:
            return Shaped(Edits(), "no passages")
        if asked.id not in self._known:
            self._known[asked.id] = self._pruned(request, asked)
        return self._known[asked.id]

    def _pruned(self, request: Request, asked: Asked) -> Shaped:
        assert asked.passages is not None
        pruned = self._pruner.prune(request.question, passages_of(asked.passages))
        text = "\n\n".join(written(one.title, one.text) for one in pruned.passages)
        return Shaped(Edits((Replace(1, text),)), "passages shorter", pruned.audit.tokens_saved)

    def __repr__(self) -> str:
        return f"PassageShaper({self._keep})"


def tier_of(model: str) -> Tier:
    """Make a tier at its list price; raises `LookupError` for a model that has none."""
    rate = PriceBook.default().rate(model)
    if rate is None:
        raise LookupError(f"the price list does not know {model!r}: take another model of the data")
    return Tier(model, model=model, rate=rate)


def alone(model: str, setting: Setting) -> Policy:
    """Ask one model alone, after pruning: what is learned from."""
    shapers = PassageShaper(setting.keep_probability), HistoryShaper()
    return Policy(tiers=(tier_of(model),), check=None, shape=shapers, version="compound")


def steps(setting: Setting, embedded: Embedded, learned: Learned) -> list[tuple[str, Policy]]:
    """Return a policy for each lever, with all before it; what remembers is new in each."""
    passages = PassageShaper(setting.keep_probability)
    return [(name, _policy(at, setting, embedded, learned, passages)) for at, name in enumerate(LEVERS)]


def _policy(step: int, setting: Setting, embedded: Embedded, learned: Learned, passages: PassageShaper) -> Policy:
    on = LEVERS[: step + 1]
    cascade = "cascade" in on
    tiers = setting.tiers if cascade else setting.tiers[-1:]
    return Policy(
        tiers=tuple(map(tier_of, tiers)),
        judges=(tier_of(learned.model.helper),) if cascade and learned.model.helper else (),
        check=LearnedCheck(learned.model) if cascade else None,
        threshold=learned.threshold,
        route=by_task({"agent": strongest()}) if cascade else None,
        cache=_semantic(embedded) if "semantic cache" in on else _exact() if "exact cache" in on else None,
        shape=(passages, HistoryShaper()) if "pruning" in on else (),
        prefix=PrefixPlanner() if "prefix cache" in on else None,
        limits=OutputLimits() if "limits" in on else None,
        version="compound",
    )


def _exact() -> ExactCache:
    return ExactCache(MemoryStore(max_entries=_ROOM), ttl_s=None)


def _semantic(embedded: Embedded) -> SemanticCache:
    store = MemoryStore(max_entries=_ROOM)
    return SemanticCache(embedded, similar=MemorySimilarStore(max_entries=_ROOM), store=store, ttl_s=None)
