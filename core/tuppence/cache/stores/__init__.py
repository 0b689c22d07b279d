"""Where cached answers lie: in this process, or in a file that processes share."""

from tuppence.cache.stores.memory import MemoryStore
from tuppence.cache.stores.sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore"]
