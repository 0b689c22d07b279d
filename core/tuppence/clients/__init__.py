"""The same policy for programs that use no framework: wrap a raw SDK client, and go on using it."""

from tuppence.clients.results import result_of
from tuppence.clients.tiers import ClientTier, via
from tuppence.clients.wrapping import AUTO, wrap

__all__ = ["AUTO", "ClientTier", "result_of", "via", "wrap"]
