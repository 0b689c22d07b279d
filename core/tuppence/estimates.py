"""Estimates, always flagged as such: what a call may cost before it is made, what it cost when nobody said."""

from __future__ import annotations

from tuppence.prices import PicoUSD
from tuppence.request import Request
from tuppence.tiers import Tier
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

# OpenAI's cookbook ("How to count tokens with tiktoken"): every message adds 3 tokens, and a reply is primed with 3.
_TOKENS_PER_MESSAGE = 3
# Longest answer assumed where the caller sets no limit: the default that most chat examples and SDK guides use.
_UNLIMITED_OUTPUT_TOKENS = 1024
OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""How a limit is called: OpenAI's chat; Anthropic, vLLM and both frameworks; OpenAI's responses, Gemini."""


def input_tokens(tier: Tier, request: Request) -> int:
    """Estimate the prompt's tokens for `tier`."""
    text = sum(count_tokens(m.text, tier.model).tokens + _TOKENS_PER_MESSAGE for m in request.messages)
    tools = count_tokens(repr(request.tools), tier.model).tokens if request.tools else 0
    return text + tools + _TOKENS_PER_MESSAGE


def estimated_usage(tier: Tier, request: Request, answer: str) -> Usage:
    """Estimate what a call used from its texts, where the provider did not say."""
    output = count_tokens(answer, tier.model).tokens if answer else 0
    return Usage(input=input_tokens(tier, request), output=output)


def worst_usage(tier: Tier, request: Request) -> Usage:
    """Bound what a call can use: the whole prompt uncached, and the longest answer that it allows."""
    limits = [request.params[name] for name in OUTPUT_LIMITS if isinstance(request.params.get(name), int)]
    return Usage(input=input_tokens(tier, request), output=min(limits, default=_UNLIMITED_OUTPUT_TOKENS))


def affordable(tier: Tier, request: Request, *, limit: PicoUSD | None, spent: PicoUSD, at: float) -> bool:
    """Say whether asking `tier` at a moment (Unix seconds) keeps the call within `limit`.

    A tier without a price never does.
    """
    if limit is None or tier.answer is not None:
        return True
    worst = None if tier.rate is None else tier.rate.at(at).cost(worst_usage(tier, request))
    return worst is not None and spent + worst <= limit
