"""Recorded traffic through a policy: what it would have cost, and how good it would have been."""

from tuppence.evidence.replay.bootstrap import Figure, PoissonBootstrap
from tuppence.evidence.replay.playing import Played, Player
from tuppence.evidence.replay.port import ReplayPort
from tuppence.evidence.replay.reading import count_lines, read_rows
from tuppence.evidence.replay.recorded import Recorded, RecordedRate, recorded, replayable, request_of
from tuppence.evidence.replay.replaying import Replaying, replay
from tuppence.evidence.replay.report import Arm, Control, Difference, Report

__all__ = [
    "Arm",
    "Control",
    "Difference",
    "Figure",
    "Played",
    "Player",
    "PoissonBootstrap",
    "Recorded",
    "RecordedRate",
    "ReplayPort",
    "Replaying",
    "Report",
    "count_lines",
    "read_rows",
    "recorded",
    "replay",
    "replayable",
    "request_of",
]
