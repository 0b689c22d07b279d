"""The digest: what drove a change of spending, in parts that add up to it exactly."""

from tuppence.spend.digest.digest import Digest, digest
from tuppence.spend.digest.shown import as_fields, as_sentence, as_table, notes

__all__ = ["Digest", "as_fields", "as_sentence", "as_table", "digest", "notes"]
