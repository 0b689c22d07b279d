"""Calls that tuppence only watched: what they are recorded as, at the price of their moment, and what reranking used.

Whoever watches says what was used and whether that was counted or reported. This room must never guess a price: a
model that no list knows is unpriced.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.attempts import Attempt, CostStatus, Decision, Outcome, Result
from tuppence.context import current_tags
from tuppence.prices import Rate, cache_money, timed
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

RERANK = "rerank"
"""Name among `Usage.calls` of a reranker's search units."""

# Cohere, as quoted in Microsoft's "Pricing for Cohere rerank models" (learn.microsoft.com, Foundry models): a search
# unit is one query with up to 100 documents, and of a document that with the query is longer than 500 tokens each
# chunk counts as a document. A query is cut off at 256 tokens (docs.cohere.com/docs/reranking-best-practices, v3.0).
_DOCUMENTS_PER_UNIT = 100
_CHUNK_TOKENS = 500
_QUERY_TOKENS = 256


def observed(
    call_id: str, usage: Usage | None, rate: Rate | None, *, model: str, started_at: float, ended_at: float,
    tier: str = "", status: CostStatus = "exact", outcome: Outcome = "observed", error: str | None = None,
) -> Result:  # fmt: skip
    """Price a call that somebody else made, as a settled call of one attempt; moments are Unix seconds.

    `usage` is None where nobody said what was used: then only compute time has a price. `status` says whether the
    usage was reported or estimated. The price is that of the call's end, as for the calls of tiers.
    """
    rate = None if rate is None else rate.at(ended_at)
    # A wall clock may be set back while a call runs.
    latency_ms = max(0.0, ended_at - started_at) * 1000
    used = timed(rate, usage or Usage(), latency_ms)
    pico = None if rate is None or (usage is None and not used.gpu_ms) else rate.cost(used)
    attempt = Attempt(
        tier=tier or model, model=model, cause="observed", outcome=outcome, usage=used, pico_usd=pico,
        status="unpriced" if pico is None else status, price_version="" if rate is None else rate.version,
        started_at=started_at, latency_ms=latency_ms, error=error, prefix=cache_money(used, rate),
    )  # fmt: skip
    return Result(call_id, None, [attempt], Decision("observed"), current_tags())


def rerank_usage(query: str, documents: Sequence[str], *, model: str, rate: Rate | None) -> Usage:
    """Estimate what one reranking used, in the kind that `rate` prices: search units, as Cohere bills, or else tokens.

    Rerankers that are paid by the token read the query once a document: query tokens times documents, plus the
    documents' tokens (Voyage AI, docs.voyageai.com/reference/reranker-api, "total number of tokens").
    """
    asked = count_tokens(query, model).tokens
    sizes = [count_tokens(document, model).tokens for document in documents]
    searches = Usage(calls=((RERANK, _search_units(asked, sizes)),))
    if rate is None or rate.cost(searches) is not None:
        return searches
    return Usage(input=asked * len(sizes) + sum(sizes))


def _search_units(asked: int, sizes: Sequence[int]) -> int:
    room = _CHUNK_TOKENS - min(asked, _QUERY_TOKENS)
    chunks = sum(max(1, -(-size // room)) for size in sizes)
    return max(1, -(-chunks // _DOCUMENTS_PER_UNIT))
