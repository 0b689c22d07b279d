"""Recording: calls with their texts on the user's own disk, where he asked for it; evidence is made of them."""

from tuppence.recording.errors import RecordingError
from tuppence.recording.feedback import Feedback
from tuppence.recording.recorder import Recorder, sampled

__all__ = ["Feedback", "Recorder", "RecordingError", "sampled"]
