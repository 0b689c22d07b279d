"""A model of one's own without a server: a file of requests in, a file of answers out."""

from tuppence.selfhost.offline.run import OfflineRun, answer_offline

__all__ = ["OfflineRun", "answer_offline"]
