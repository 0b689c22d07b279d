"""What to do first: advice from the user's own ledger and recorded traffic, with what each piece of it is worth."""

from tuppence.evidence.advice.advice import Advice, Advised, Effort, NotKnown, Range
from tuppence.evidence.advice.advising import advise
from tuppence.evidence.advice.shown import as_json, as_table

__all__ = ["Advice", "Advised", "Effort", "NotKnown", "Range", "advise", "as_json", "as_table"]
