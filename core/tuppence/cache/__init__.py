"""Answers that were already paid for: the exact cache, its stores and its single flight."""

from tuppence.cache.exact import ExactCache, Freeze, Store, Thaw, freeze_reply, thaw_reply, worth_keeping
from tuppence.cache.keys import Uncacheable, cache_key
from tuppence.cache.stores import MemoryStore, SqliteStore

__all__ = [
    "ExactCache",
    "Freeze",
    "MemoryStore",
    "SqliteStore",
    "Store",
    "Thaw",
    "Uncacheable",
    "cache_key",
    "freeze_reply",
    "thaw_reply",
    "worth_keeping",
]
