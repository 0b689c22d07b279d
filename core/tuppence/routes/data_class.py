"""Keep private text on the user's own machines. A guard: it only takes tiers away, and what is not known to be public
is private.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError, ScopeError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.tiers import Tier

Classifier = Callable[[Request], str | None]


@dataclass(frozen=True, slots=True)
class ByDataClass(Composable):
    """Leaves only self-hosted tiers to a request that is private, or that nobody could classify."""

    private: frozenset[str]
    public: frozenset[str]
    classify: Classifier | None

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        why = self._private(request)
        if why is None:
            return None
        kept = tuple(tier for tier in ladder if tier.self_hosted)
        if not kept:
            raise ScopeError(
                f"{why}, and none of the tiers {[tier.name for tier in ladder]} is self-hosted: add one with "
                f"self_hosted=True, or give the request a data class that is public ({sorted(self.public)})"
            )
        return Choice(kept, f"{why}: self-hosted tiers only")

    @property
    def guards(self) -> bool:
        return True

    def _private(self, request: Request) -> str | None:
        """Say why the request is private, or None where the tag and the classifier, as far as given, call it public."""
        tag = request.tags.get("data_class")
        labels = [("tagged", tag)] if tag is not None or self.classify is None else []
        if self.classify is not None and all(label in self.public for _, label in labels):
            labels.append(("classified", self._classified(request)))
        for how, label in labels:
            if label in self.private:
                return f"the request is {how} {label!r}, which is private"
            if label not in self.public:
                return f"the request's data class is not known ({how} {label!r}), so it is private"
        return None

    def _classified(self, request: Request) -> str | None:
        assert self.classify is not None
        try:
            return self.classify(request)
        except Exception as error:  # noqa: BLE001 - a guard that raises might be passed over: it closes
            # The error's message may quote the text that must stay private.
            return f"nothing: {type(error).__name__}"


def by_data_class(
    *,
    private: Iterable[str] = ("private",),
    public: Iterable[str] = ("public",),
    classify: Classifier | None = None,
) -> ByDataClass:
    """Let private text go only to tiers with `self_hosted=True`; public text is left to other routes.

    The class is `request.tags["data_class"]`, and what `classify(request)` returns: the stricter of the two counts. No
    class, an unknown one, or a classifier that fails is private. Raises `ScopeError` where no self-hosted tier is left.
    Its place is a policy's `guards`.
    """
    kinds = frozenset(private), frozenset(public)
    if kinds[0] & kinds[1]:
        raise ConfigError(f"{sorted(kinds[0] & kinds[1])} is both private and public: name each data class once")
    if inspect.iscoroutinefunction(classify):
        raise ConfigError(f"the classifier {classify!r} is async: routes are synchronous, give a plain function")
    return ByDataClass(*kinds, classify)
