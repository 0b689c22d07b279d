"""Benchmarks: a list of models over a labelled set, what each is worth, and whether one has become worse."""

from tuppence.evidence.benching.asking import Answered, Model, model_of
from tuppence.evidence.benching.cases import Case, read_cases
from tuppence.evidence.benching.comparing import Compared, compared, read_baseline
from tuppence.evidence.benching.gates import Gate, parse_gate, violations
from tuppence.evidence.benching.graders import GRADERS, Grader, by_check, contains, exact, numeric
from tuppence.evidence.benching.journal import Journal
from tuppence.evidence.benching.recalled import case_of, recall
from tuppence.evidence.benching.results import ModelResult, results
from tuppence.evidence.benching.running import Answers, run

__all__ = [
    "GRADERS",
    "Answered",
    "Answers",
    "Case",
    "Compared",
    "Gate",
    "Grader",
    "Journal",
    "Model",
    "ModelResult",
    "by_check",
    "case_of",
    "compared",
    "contains",
    "exact",
    "model_of",
    "numeric",
    "parse_gate",
    "read_baseline",
    "read_cases",
    "recall",
    "results",
    "run",
    "violations",
]
