"""tuppence for LangChain: one chat model over many, one handler that says what was spent."""

import importlib
from typing import TYPE_CHECKING

from langchain_tuppence.answer_cache import CachedChain, cached
from langchain_tuppence.budgets import BudgetCallbackHandler
from langchain_tuppence.cache import TuppenceCache
from langchain_tuppence.chat import ChatTuppence
from langchain_tuppence.context_pruner import ContextPruner
from langchain_tuppence.embedder import as_embedder
from langchain_tuppence.embedding_cache import CachedEmbeddings
from langchain_tuppence.embeddings import SpendEmbeddings
from langchain_tuppence.history import prune_history
from langchain_tuppence.pointers import PointerParser, SalvagingPointerParser
from langchain_tuppence.reranking import SpendReranker
from langchain_tuppence.spending import SpendCallbackHandler
from langchain_tuppence.tiers import TierSpec, tier
from tuppence.context import spend, tags
from tuppence.errors import ConfigError
from tuppence.tiers import function_tier

if TYPE_CHECKING:
    from langchain_tuppence.budget_middleware import BudgetMiddleware
    from langchain_tuppence.middleware import ContextMiddleware

__all__ = [
    "BudgetCallbackHandler",
    "BudgetMiddleware",
    "CachedChain",
    "CachedEmbeddings",
    "ChatTuppence",
    "ContextMiddleware",
    "ContextPruner",
    "PointerParser",
    "SalvagingPointerParser",
    "SpendCallbackHandler",
    "SpendEmbeddings",
    "SpendReranker",
    "TierSpec",
    "TuppenceCache",
    "as_embedder",
    "cached",
    "function_tier",
    "prune_history",
    "spend",
    "tags",
    "tier",
]

_LAZY = {
    "BudgetMiddleware": "langchain_tuppence.budget_middleware",
    "ContextMiddleware": "langchain_tuppence.middleware",
}
"""What needs the `agents` extra is loaded when it is asked for."""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'langchain_tuppence' has no attribute {name!r}")
    try:
        value: object = getattr(importlib.import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{name} needs {error.name}, which is not installed: pip install 'tuppence[agents]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
