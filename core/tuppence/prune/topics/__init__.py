"""Passages on the same topic, said once, and the topics that matter most."""

from tuppence.prune.topics.linking import Linking, calibrate_linking, linking_at
from tuppence.prune.topics.merging import TopicMerger, Topics
from tuppence.prune.topics.similarity import EmbeddedSimilarity, Similarity, TermSimilarity
from tuppence.prune.topics.topic import Statement, Topic

__all__ = [
    "EmbeddedSimilarity",
    "Linking",
    "Similarity",
    "Statement",
    "TermSimilarity",
    "Topic",
    "TopicMerger",
    "Topics",
    "calibrate_linking",
    "linking_at",
]
