"""Retrieved passages, shortened to the sentences that a question needs."""

from tuppence.prune.passages.likelihoods import Likelihoods
from tuppence.prune.passages.material import Material, read_material
from tuppence.prune.passages.meaning import EmbeddingScorer
from tuppence.prune.passages.passage import KeptPassage, Passage, PrunedPassages, as_sent
from tuppence.prune.passages.pruner import PassagePruner
from tuppence.prune.passages.rerankers import RankedByScore, RerankedPassages, RerankedSentences
from tuppence.prune.passages.scorers import Bm25Scorer, LearnedScorer, Scorer

__all__ = [
    "Bm25Scorer",
    "EmbeddingScorer",
    "KeptPassage",
    "LearnedScorer",
    "Likelihoods",
    "Material",
    "Passage",
    "PassagePruner",
    "PrunedPassages",
    "RankedByScore",
    "RerankedPassages",
    "RerankedSentences",
    "Scorer",
    "as_sent",
    "read_material",
]
