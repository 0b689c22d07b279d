"""Answers that were already paid for: the exact cache, the semantic one behind it, their stores and single flight."""

from tuppence.cache.calibration import Audit, Calibration, Finding
from tuppence.cache.decision import Judgement
from tuppence.cache.embedding_savings import Saved
from tuppence.cache.embeddings import EmbeddingCache, open_store
from tuppence.cache.entries import SimilarStore
from tuppence.cache.exact import ExactCache, Store
from tuppence.cache.keys import Uncacheable, cache_key
from tuppence.cache.replies import Freeze, Thaw, freeze_reply, thaw_reply, worth_keeping
from tuppence.cache.semantic import SemanticCache
from tuppence.cache.stored import Stored
from tuppence.cache.stores import MemoryStore, SqliteStore
from tuppence.cache.stores.audits import SqliteAudits
from tuppence.cache.stores.redis import RedisStore
from tuppence.cache.stores.redis_audits import RedisAudits
from tuppence.cache.stores.similar_memory import MemorySimilarStore
from tuppence.cache.stores.similar_redis import RedisSimilarStore
from tuppence.cache.stores.similar_sqlite import SqliteSimilarStore
from tuppence.cache.verifying import verify

__all__ = [
    "Audit",
    "Calibration",
    "EmbeddingCache",
    "ExactCache",
    "Finding",
    "Freeze",
    "Judgement",
    "MemorySimilarStore",
    "MemoryStore",
    "RedisAudits",
    "RedisSimilarStore",
    "RedisStore",
    "Saved",
    "SemanticCache",
    "SimilarStore",
    "SqliteAudits",
    "SqliteSimilarStore",
    "SqliteStore",
    "Store",
    "Stored",
    "Thaw",
    "Uncacheable",
    "cache_key",
    "freeze_reply",
    "open_store",
    "thaw_reply",
    "verify",
    "worth_keeping",
]
