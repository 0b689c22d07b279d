"""Outcomes: questions, what each model made of them, and how good that was. Read and labelled here, never recorded:
that is `tuppence.recording`'s.
"""

from tuppence.evidence.outcomes.labels import (
    Labeller,
    from_check,
    from_feedback,
    from_gold,
    from_predicate,
    same_answer,
    same_number,
)
from tuppence.evidence.outcomes.reading import joined, read_feedback, read_outcomes, read_traffic
from tuppence.evidence.outcomes.rows import LabelOrigin, Outcome, Outcomes, OutcomesError
from tuppence.evidence.outcomes.sampling import Sample, is_traffic, sample_questions, write_questions
from tuppence.evidence.outcomes.traffic import RecordedAttempt, RecordedCall
from tuppence.evidence.outcomes.writing import write_outcomes
from tuppence.recording import Feedback

__all__ = [
    "Feedback",
    "LabelOrigin",
    "Labeller",
    "Outcome",
    "Outcomes",
    "OutcomesError",
    "RecordedAttempt",
    "RecordedCall",
    "Sample",
    "from_check",
    "from_feedback",
    "from_gold",
    "from_predicate",
    "is_traffic",
    "joined",
    "read_feedback",
    "read_outcomes",
    "read_traffic",
    "same_answer",
    "same_number",
    "sample_questions",
    "write_outcomes",
    "write_questions",
]
