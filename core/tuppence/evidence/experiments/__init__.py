"""Experiments on live traffic: what two arms of users saw, what it cost, and when enough is known to decide."""

from tuppence.evidence.experiments.file import ExperimentError
from tuppence.evidence.experiments.log import ExperimentLog
from tuppence.evidence.experiments.measures import Finding, Plan
from tuppence.evidence.experiments.reading import ArmSeen, Seen, experiments_in, read_experiment
from tuppence.evidence.experiments.scoring import take_scores
from tuppence.evidence.experiments.verdict import Verdict, verdict

__all__ = [
    "ArmSeen",
    "ExperimentError",
    "ExperimentLog",
    "Finding",
    "Plan",
    "Seen",
    "Verdict",
    "experiments_in",
    "read_experiment",
    "take_scores",
    "verdict",
]
