"""tuppence for LangChain: one chat model over many, one handler that says what was spent."""

from langchain_tuppence.answer_cache import CachedChain, cached
from langchain_tuppence.cache import TuppenceCache
from langchain_tuppence.chat import ChatTuppence
from langchain_tuppence.embedder import as_embedder
from langchain_tuppence.embedding_cache import CachedEmbeddings
from langchain_tuppence.embeddings import SpendEmbeddings
from langchain_tuppence.reranking import SpendReranker
from langchain_tuppence.spending import SpendCallbackHandler
from langchain_tuppence.tiers import TierSpec, tier
from tuppence.context import spend, tags
from tuppence.tiers import function_tier

__all__ = [
    "CachedChain",
    "CachedEmbeddings",
    "ChatTuppence",
    "SpendCallbackHandler",
    "SpendEmbeddings",
    "SpendReranker",
    "TierSpec",
    "TuppenceCache",
    "as_embedder",
    "cached",
    "function_tier",
    "spend",
    "tags",
    "tier",
]
