"""What is learned from labelled outcomes: checks and routes, as plain numbers that the core applies."""

from tuppence.evidence.certificate.using import check_path
from tuppence.evidence.learning.calibrating import Calibration, calibrate

__all__ = ["Calibration", "calibrate", "check_path"]
