"""Estimates, always flagged as such: what a call may cost before it is made, what it cost when nobody said."""

from __future__ import annotations

from tuppence.prices import PicoUSD, timed
from tuppence.request import Request
from tuppence.tiers import Tier
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

# OpenAI's cookbook ("How to count tokens with tiktoken"): every message adds 3 tokens, and a reply is primed with 3.
_TOKENS_PER_MESSAGE = 3
# Longest answer assumed where the caller sets no limit: the default that most chat examples and SDK guides use.
_UNLIMITED_OUTPUT_TOKENS = 1024
# Longest computation assumed of a model that is paid by the hour and has no time-out.
_UNTIMED_S = 60.0
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
    """Bound what a call can use: the whole prompt uncached, and the longest answer, or `n` of them, that it allows,
    or else the tier's own settings do.
    """
    limits = [request.params[name] for name in OUTPUT_LIMITS if isinstance(request.params.get(name), int)]
    longest = min(limits, default=tier.max_output_tokens or _UNLIMITED_OUTPUT_TOKENS)
    answers = request.params.get("n")
    output = longest * answers if isinstance(answers, int) and answers > 1 else longest
    return Usage(input=input_tokens(tier, request) + _added_tokens(tier), output=output)


def worst_cost(tier: Tier, request: Request, *, at: float, marked: bool) -> PicoUSD | None:
    """Bound what asking `tier` at a moment (Unix seconds) can cost; None where it has no price.

    `marked`: the provider may be told to keep the prompt, which costs more than to read it. Models that are paid by the
    hour are taken to compute until their time-out.
    """
    if tier.answer is not None:
        return 0
    if tier.rate is None:
        return None
    rate = tier.rate.at(at)
    usage = timed(rate, worst_usage(tier, request), (tier.timeout_s or _UNTIMED_S) * 1000)
    kept = Usage(cache_write_1h=usage.input, output=usage.output) if marked else usage
    cost = rate.cost(usage)
    return None if cost is None else max(cost, rate.cost(kept) or 0)


def _added_tokens(tier: Tier) -> int:
    if tier.additions is None:
        return 0
    texts = [tier.additions.system, *(text for example in tier.additions.examples for text in example)]
    return sum(count_tokens(text, tier.model).tokens + _TOKENS_PER_MESSAGE for text in texts if text)
