"""tuppence for LlamaIndex: one LLM in front of several, and handlers that say what a program spends."""

from llama_index_tuppence.answer_cache import CachedQueryEngine, cached
from llama_index_tuppence.budgets import BudgetHandler
from llama_index_tuppence.context_pruner import ContextPruner
from llama_index_tuppence.embedder import as_embedder
from llama_index_tuppence.embedding_cache import CachedEmbedding
from llama_index_tuppence.llm import TuppenceLLM
from llama_index_tuppence.memory import HistoryMemoryBlock
from llama_index_tuppence.pointers import PointerParser, SalvagingPointerParser
from llama_index_tuppence.spend import SpendCallbackHandler, SpendEventHandler
from llama_index_tuppence.tiers import tier
from tuppence.context import spend, tags
from tuppence.tiers import function_tier

__all__ = [
    "BudgetHandler",
    "CachedEmbedding",
    "CachedQueryEngine",
    "ContextPruner",
    "HistoryMemoryBlock",
    "PointerParser",
    "SalvagingPointerParser",
    "SpendCallbackHandler",
    "SpendEventHandler",
    "TuppenceLLM",
    "as_embedder",
    "cached",
    "function_tier",
    "spend",
    "tags",
    "tier",
]
