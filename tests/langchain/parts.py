"""What the LangChain tests are made of: real models against the scripted provider, at prices that are easy to add
up.
"""

from decimal import Decimal
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, TierSpec, tier
from tuppence.cache import ExactCache, MemoryStore
from tuppence.prices import TokenRate, token_rate, usd
from tuppence.testing import ProviderServer
from tuppence.usage import read_usage

SMALL = token_rate(input="1", output="2")
LARGE = token_rate(input="10", output="20")

REFUSAL = "I'm sorry, but I can't help with that."
# Longer than the opening in which a refusal is looked for, so that a stream of it is let through before its end.
LONG = "The harbour was built in 1850 and has been enlarged twice since then. " * 8
ANSWER = "The large model knows: it was built in 1850."


def openai(server: ProviderServer, model: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.base_url, api_key="test", model=model, **options)


def anthropic(server: ProviderServer, model: str, **options: Any) -> ChatAnthropic:
    return ChatAnthropic(base_url=server.anthropic_url, api_key="test", model=model, **options)


def small(server: ProviderServer, **options: Any) -> TierSpec:
    return tier(openai(server, "small-model"), name="small", rate=SMALL, **options)


def large(server: ProviderServer, **options: Any) -> TierSpec:
    return tier(openai(server, "large-model"), name="large", rate=LARGE, **options)


def ladder(server: ProviderServer, **options: Any) -> ChatTuppence:
    """Return two OpenAI tiers with an exact cache, without a ledger unless one is asked for."""
    return ChatTuppence(tiers=[small(server), large(server)], **{"ledger": None, "cache": True, **options})


def billed(server: ProviderServer) -> Decimal:
    """Add up what the server says it would bill, at the tiers' prices."""
    rates: dict[str, TokenRate] = {"small-model": SMALL, "large-model": LARGE}
    return usd(
        sum(rates[one.model].cost(read_usage(one.api, one.usage)) for one in server.served if one.usage is not None)
    )


def tokens(server: ProviderServer) -> int:
    return sum(read_usage(one.api, one.usage).total_tokens for one in server.served if one.usage is not None)


def exact_cache(**options: Any) -> ExactCache:
    return ExactCache(MemoryStore(), **options)
