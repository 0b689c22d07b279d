"""One cache in front of one chain: the same question is not run twice for the same chain and corpus.

The flow does it, with the chain as its only tier: exact lookup, leases, the semantic decision, audits, verifier and
tenants are those of every call. Here is only what makes a policy and a request of a chain, and what is told of a hit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from tuppence.answers.measured import AT_COST
from tuppence.answers.running import Form, Run, Runs
from tuppence.assembly import CacheOption, LedgerOption, open_cache, open_ledger
from tuppence.attempts import Attempt, Result
from tuppence.cache import ExactCache, SemanticCache
from tuppence.context import current_cache_tags, current_call_id
from tuppence.effects import Plan
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.request import Message, Request, Tags
from tuppence.tiers import Tier

log = logging.getLogger("tuppence.answers")

CorpusVersion: TypeAlias = str | Callable[[], str]
"""What the documents behind a chain are called as they are now, or a function that says it at each call."""
Told: TypeAlias = Callable[[Result], None]


class Answers:
    """Settings of one chain's cache: its policy, its ledger, and what its corpus is called."""

    def __init__(
        self, name: str, *, identity: str, corpus_version: CorpusVersion, cache: CacheOption, ledger: LedgerOption,
        version: str, surface: str, has_judge: bool, on_result: Told | None,
    ) -> None:  # fmt: skip
        opened = open_cache(cache)
        if opened is None:
            raise ConfigError(
                f"cache is {cache!r}: give what is to stand in front of the chain, such as True or a path"
            )
        given: object = corpus_version
        if not callable(given) and not (isinstance(given, str) and given):
            raise ConfigError(
                f"corpus_version is {corpus_version!r}: give text that changes with the documents, such as '2026-11', "
                "or a function that returns it"
            )
        self.cache = opened
        self.on_result = on_result
        self._corpus_version = corpus_version
        self._ledger = open_ledger(ledger)
        self._policy = _policy(name, opened, f"{identity}/{version}", surface, has_judge=has_judge)
        self._uncached = self._policy.override(cache=None)

    def open(
        self, question: tuple[Message, ...], run: Run, form: Form, *, beside: Mapping[str, Any], tags: Tags, told: Told,
        streaming: bool = False,
    ) -> tuple[Plan[Result], Port]:  # fmt: skip
        """Make the plan and the port of one question.

        `beside` is all that the chain is given beside the question; what of it is not JSON keeps the question out of
        the cache. `told` hears of hits, as settled calls; what is run accounts for itself.
        """
        corpus = self._corpus()
        request = Request(
            question, params={"corpus": corpus, "beside": beside}, tags=tags, cache_tags=current_cache_tags(),
            call_id=current_call_id(), streaming=streaming, received_at=time.time(),
        )  # fmt: skip
        policy = self._uncached if corpus is None else self._policy
        port = _Port(
            Runs(policy.strongest.name, form, run), cache=policy.cache, ledger=self._ledger, on_settled=self.on_result
        )
        port.told = told
        return plan(request, policy), port

    def _corpus(self) -> str | None:
        """Say what the corpus is called now; None where nobody knows, and nothing may be served."""
        if isinstance(self._corpus_version, str):
            return self._corpus_version
        try:
            version: object = self._corpus_version()
        except Exception as error:  # noqa: BLE001 - the user's own code: whatever it raises, the chain still answers
            log.warning("corpus_version failed (%r): the chain is run without its cache", error)
            return None
        if isinstance(version, str) and version:
            return version
        log.warning("corpus_version returned %r, which is no text: the chain is run without its cache", version)
        return None


def _policy(name: str, cache: ExactCache, version: str, surface: str, *, has_judge: bool) -> Policy:
    judge = cache.verified_by if isinstance(cache, SemanticCache) else None
    if judge is not None and not has_judge:
        raise ConfigError(f"the cache is verified by {judge!r}: give that model as judge=")
    return Policy(
        tiers=(Tier(name, model=name, rate=AT_COST),),
        judges=() if judge is None else (Tier(judge, model=judge, rate=AT_COST),),
        # The chain's own models have their checks and retries.
        check=None, retries=Retries(per_tier=0, max_attempts=2), cache=cache, version=version, surface=surface,
    )  # fmt: skip


class _Port(Port):
    """A port whose ledger gets hits only: what a chain buys is in its models' own rows."""

    __slots__ = ("told",)

    told: Told

    def record(self, result: Result) -> None:
        if result.attempts[-1].outcome == "hit":
            hit = replace(result, attempts=[_net(result.attempts)])
            self.told(hit)
            super().record(hit)


def _net(attempts: list[Attempt]) -> Attempt:
    """Take what the judge cost off what a hit saved: its own row may be in another ledger, or in none."""
    *asked, hit = attempts
    costs = [a.pico_usd for a in asked]
    if hit.baseline_pico is None or None in costs:
        return replace(hit, baseline_pico=None)
    return replace(hit, baseline_pico=hit.baseline_pico - sum(cost or 0 for cost in costs))
