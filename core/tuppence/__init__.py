"""tuppence: LLM applications that cost what they should. The framework-free core."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuppence.assembly import record_feedback
    from tuppence.attempts import Attempt, Decision, Result, Verdict
    from tuppence.cache.prefix import PrefixPlanner
    from tuppence.clients import via, wrap
    from tuppence.context import cache_tags, logical_call, tags
    from tuppence.errors import TuppenceError
    from tuppence.policy import Policy, Retries, switch_off, switch_on
    from tuppence.prices import PriceBook, gpu_hour_rate, token_rate
    from tuppence.request import Message, Reply, Request, ToolCall
    from tuppence.spend import SqliteLedger
    from tuppence.spend.budgets import Budget, Budgets
    from tuppence.spend.ledger import PostgresLedger
    from tuppence.tiers import Additions, Tier, function_tier
    from tuppence.usage import Usage

# Where each public name lives. Loaded when first asked for: `import tuppence` itself costs a millisecond.
_HOMES = {
    "Additions": "tiers", "Attempt": "attempts", "Budget": "spend.budgets", "Budgets": "spend.budgets",
    "Decision": "attempts", "Message": "request", "Policy": "policy", "PostgresLedger": "spend.ledger",
    "PrefixPlanner": "cache.prefix", "PriceBook": "prices", "Reply": "request", "Request": "request",
    "Result": "attempts", "Retries": "policy", "SqliteLedger": "spend", "Tier": "tiers", "ToolCall": "request",
    "TuppenceError": "errors", "Usage": "usage", "Verdict": "attempts", "cache_tags": "context",
    "function_tier": "tiers", "gpu_hour_rate": "prices", "logical_call": "context", "record_feedback": "assembly",
    "switch_off": "policy", "switch_on": "policy", "tags": "context", "token_rate": "prices", "via": "clients",
    "wrap": "clients",
}  # fmt: skip

__all__ = [
    "Additions",
    "Attempt",
    "Budget",
    "Budgets",
    "Decision",
    "Message",
    "Policy",
    "PostgresLedger",
    "PrefixPlanner",
    "PriceBook",
    "Reply",
    "Request",
    "Result",
    "Retries",
    "SqliteLedger",
    "Tier",
    "ToolCall",
    "TuppenceError",
    "Usage",
    "Verdict",
    "cache_tags",
    "function_tier",
    "gpu_hour_rate",
    "logical_call",
    "record_feedback",
    "switch_off",
    "switch_on",
    "tags",
    "token_rate",
    "via",
    "wrap",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuppence' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"tuppence.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
