"""What the server says it would bill, priced by plain integers: nothing of tuppence's own arithmetic is used here."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tuppence.prices import TokenRate, token_rate
from tuppence.testing import Served

BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")

# nano-USD per million tokens. Odd, so that a cost is never a whole number of pico-USD; the middle model's all end in
# 500, so that every odd count of tokens lies half-way between two.
PRICES: Mapping[str, Mapping[str, int]] = {
    "small-model": {
        "input": 137_000_771, "cache_read": 13_700_077, "cache_write_5m": 171_250_963,
        "cache_write_1h": 274_001_543, "output": 411_002_309,
    },
    "middle-model": {
        "input": 3_100_000_500, "cache_read": 310_000_500, "cache_write_5m": 3_875_000_500,
        "cache_write_1h": 6_200_000_500, "output": 15_500_000_500,
    },
    "large-model": {
        "input": 5_000_003_333, "cache_read": 500_000_339, "cache_write_5m": 6_250_004_171,
        "cache_write_1h": 10_000_006_667, "output": 25_000_016_661,
    },
}  # fmt: skip


def rate(model: str) -> TokenRate:
    """Return the price as a user would give it, in USD per million tokens."""
    return token_rate(**{bucket: Decimal(nano).scaleb(-9) for bucket, nano in PRICES[model].items()})


def pico(model: str, tokens: Mapping[str, int]) -> int:
    """Price token buckets: femto-USD added up exactly, then rounded once, half to even."""
    femto = sum(tokens[bucket] * PRICES[model][bucket] for bucket in BUCKETS)
    return round(Fraction(femto, 1000))


@dataclass(frozen=True)
class Bill:
    """One provider call, as the server's log has it."""

    model: str
    tokens: tuple[int, ...]
    """In the order of `BUCKETS`."""
    pico: int

    @property
    def sent(self) -> int:
        """Input tokens, those of the provider's cache too."""
        return sum(self.tokens[:-1])

    @property
    def made(self) -> int:
        return self.tokens[-1]


def bill(served: Served) -> Bill:
    assert served.usage is not None
    tokens = _chat(served.usage) if served.api == "chat" else _messages(served.usage)
    return Bill(served.model, tuple(tokens[bucket] for bucket in BUCKETS), pico(served.model, tokens))


def bills(served: Iterable[Served]) -> list[Bill]:
    """Bill what was answered in whole."""
    return [bill(one) for one in served if one.usage is not None and one.completed]


def _chat(usage: Mapping[str, Any]) -> dict[str, int]:
    """OpenAI counts cached tokens into the prompt's."""
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {
        "input": usage["prompt_tokens"] - cached, "cache_read": cached, "cache_write_5m": 0, "cache_write_1h": 0,
        "output": usage["completion_tokens"],
    }  # fmt: skip


def _messages(usage: Mapping[str, Any]) -> dict[str, int]:
    """Anthropic counts them beside the prompt's."""
    written = usage["cache_creation"]
    return {
        "input": usage["input_tokens"], "cache_read": usage["cache_read_input_tokens"],
        "cache_write_5m": written["ephemeral_5m_input_tokens"], "cache_write_1h": written["ephemeral_1h_input_tokens"],
        "output": usage["output_tokens"],
    }  # fmt: skip


def by_model(paid: Iterable[Bill]) -> dict[str, tuple[int, int, int]]:
    """Add up (input, output, total) tokens by model, as LangChain's usage handler does."""
    sent: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for one in paid:
        sent[one.model] += one.sent
        made[one.model] += one.made
    return {model: (sent[model], made[model], sent[model] + made[model]) for model in sent}
