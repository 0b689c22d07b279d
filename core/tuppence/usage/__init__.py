"""What a provider call used: disjoint token buckets, and the readers that fill them from payloads."""

from tuppence.usage.buckets import Processing, Usage
from tuppence.usage.readers import read_usage
from tuppence.usage.streams import UsageStream

__all__ = ["Processing", "Usage", "UsageStream", "read_usage"]
