"""Passages condensed by a cheap tier: opt-in, since it costs a call a passage and the words are no longer the source's.

A plan, so that the flow asks the tier with the policy's guards and books the cost; outside of it the same plan runs on
any callable. A passage stays as it is where the tier fails, where its reply cannot be trusted, and where nothing is
saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from tuppence.effects import Call, Consult, Declined, Failed, Plan
from tuppence.errors import ConfigError
from tuppence.prices import Rate
from tuppence.prune.abstractive.asking import WORDING, asked_to_condense, condensate_of, why_not
from tuppence.prune.abstractive.driving import AsyncModel, Model, adriven, driven
from tuppence.prune.abstractive.report import Bill, Condensed, Written, assembled
from tuppence.prune.abstractive.stored import Condensates, KeptCondensates, key_of
from tuppence.prune.abstractive.survival import survival
from tuppence.prune.audit import DEFAULT_MODEL, TokenCounter, counter_for
from tuppence.prune.passages import Passage
from tuppence.request import Reply, Request

_AT_ONCE = 8
"""Passages that an async call asks for at the same time: few enough for the request limits of small accounts."""


@dataclass(frozen=True, slots=True)
class Condenser:
    """Writes passages shorter by asking a tier, `tokens` for each passage."""

    tier: str
    """Name of the tier that writes; for a callable only the name that audits and keys carry."""
    tokens: int
    """What a condensate may have, as `model` counts: asked for, not enforced. A longer one that saves is taken."""
    _: KW_ONLY
    model: str = DEFAULT_MODEL
    """Whose tokens are counted: the model that the passages are for."""
    store: Condensates = field(default_factory=KeptCondensates, compare=False, repr=False)
    rate: Rate | None = None
    """The tier's price, for `Audit.overhead_pico`; the ledger has the cost in any case."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """What goes with every request, such as `{"temperature": 0}`."""

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ConfigError(f"tokens={self.tokens!r} leaves nothing of a passage: give at least 1")
        if not self.tier:
            raise ConfigError("a condenser without a tier: name the tier that writes")

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.tier})

    def plan(self, passages: Sequence[Passage], question: str = "", *, like: Request | None = None) -> Plan[Condensed]:
        """Condense `passages` for a question, or for any where none is given; yields `Consult`s and `Call`s.

        `like` is the request on whose behalf this is done: its tags and id go with the tier's requests.
        """
        written: dict[str, Written] = {}
        for text in dict.fromkeys(passage.text for passage in passages):
            written[text] = yield from self._one(text, question, like)
        return assembled(passages, written, question, self.model)

    def condense(self, passages: Sequence[Passage], model: Model, question: str = "") -> Condensed:
        """Condense with a plain callable from prompt to answer, outside of the flow."""
        return driven(self.plan(passages, question), model)

    async def acondense(self, passages: Sequence[Passage], model: AsyncModel, question: str = "") -> Condensed:
        """Condense with an async callable, several passages at the same time."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(text: str) -> Written:
            async with room:
                return await adriven(self._one(text, question, None), model)

        texts = list(dict.fromkeys(passage.text for passage in passages))
        written = await asyncio.gather(*(one(text) for text in texts))
        return assembled(passages, dict(zip(texts, written, strict=True)), question, self.model)

    def _one(self, text: str, question: str, like: Request | None) -> Plan[Written]:
        count = counter_for(self.model)
        if count(text) <= self.tokens:
            return Written(text, why=f"it has no more than {self.tokens} tokens")
        key = key_of(WORDING, self.tier, str(self.tokens), repr(sorted(self.params.items())), question, text)
        kept = yield from Call(self.store.get, (key,))
        if isinstance(kept, str):
            return self._judged(text, Reply(kept), kept, count, Bill())
        request = asked_to_condense(text, self.tokens, question, self.params, like)
        outcome = yield from Consult(self.tier, request, "condense")
        if isinstance(outcome, Declined):
            return Written(text, why=f"{self.tier} declined")
        bill = self._bill(outcome)
        if isinstance(outcome, Failed):
            return Written(text, why=f"{self.tier} failed ({outcome.kind})", bill=bill)
        condensed = condensate_of(outcome, text, question)
        written = self._judged(text, outcome, condensed, count, bill)
        if not written.why:
            # A store that breaks costs the next call its saving, and this one nothing.
            yield from Call(self.store.put, (key, condensed))
        return written

    def _judged(self, text: str, reply: Reply, condensed: str, count: TokenCounter, bill: Bill) -> Written:
        """Take a condensate, or leave the passage as it is; one from a store is looked at just the same."""
        stands = survival(text, condensed)
        why = why_not(reply, condensed, stands)
        if not why and count(condensed) >= count(text):
            why = f"{self.tier} wrote it no shorter"
        return Written(text, why=why, bill=bill) if why else Written(condensed, stands, bill=bill)

    def _bill(self, outcome: Reply | Failed) -> Bill:
        usage = outcome.usage
        pico = None if usage is None or self.rate is None else self.rate.cost(usage)
        return Bill(calls=1, pico=pico or 0, unpriced=int(pico is None))
