"""What a text shows without asking anybody, for routes, checks, pruning and evidence: pure functions, no state."""

from tuppence.signals.complexity import Complexity, complexity
from tuppence.signals.endings import cut_off
from tuppence.signals.layout import has_code, has_table
from tuppence.signals.likelihood import sequence_probability
from tuppence.signals.payloads import read_json
from tuppence.signals.refusals import REFUSAL_OPENING_CHARS, refusal
from tuppence.signals.words import count_words, names, numbers, words

__all__ = [
    "REFUSAL_OPENING_CHARS",
    "Complexity",
    "complexity",
    "count_words",
    "cut_off",
    "has_code",
    "has_table",
    "names",
    "numbers",
    "read_json",
    "refusal",
    "sequence_probability",
    "words",
]
