"""How long an answer may be, and how little of it must be written: limits learned from past calls, pointers in place of
quoted text, short names in structured answers. Nothing here asks a model or reads a ledger.
"""

from tuppence.prune.output.errors import AnswerError
from tuppence.prune.output.lengths import OutputLengths, PastAnswer
from tuppence.prune.output.limits import OutputLimits
from tuppence.prune.output.numbered import NumberedSources, numbered_lines, numbered_passages, numbered_sentences
from tuppence.prune.output.plan import OutputNames, OutputPlan, output_edits
from tuppence.prune.output.pointers import Expanded, Quote, expand, salvage
from tuppence.prune.output.saving import OutputSaving
from tuppence.prune.output.short_schema import ShortSchema, short_schema
from tuppence.prune.output.stops import SafeStop, stop_from
from tuppence.prune.output.worth import CapWorth, cap_worth

__all__ = [
    "AnswerError",
    "CapWorth",
    "Expanded",
    "NumberedSources",
    "OutputLengths",
    "OutputLimits",
    "OutputNames",
    "OutputPlan",
    "OutputSaving",
    "PastAnswer",
    "Quote",
    "SafeStop",
    "ShortSchema",
    "cap_worth",
    "expand",
    "numbered_lines",
    "numbered_passages",
    "numbered_sentences",
    "output_edits",
    "salvage",
    "short_schema",
    "stop_from",
]
