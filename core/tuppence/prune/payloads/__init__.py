"""JSON in prompts: a payload in the spelling that has the fewest tokens and gives the value back exactly, and JSON in
texts made compact where it stands.
"""

from tuppence.prune.payloads.choosing import ENCODINGS, STANDARD, Encoded, decoded, encoded, shortest
from tuppence.prune.payloads.compacting import compact_in_text, compacted
from tuppence.prune.payloads.outline import LEGEND
from tuppence.prune.payloads.values import compact, parsed, same

__all__ = [
    "ENCODINGS",
    "LEGEND",
    "STANDARD",
    "Encoded",
    "compact",
    "compact_in_text",
    "compacted",
    "decoded",
    "encoded",
    "parsed",
    "same",
    "shortest",
]
