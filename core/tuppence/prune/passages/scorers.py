"""What says how likely a sentence is to be needed: BM25 alone, or a small learned model over features, with or without
embeddings.

The learned weights are plain numbers in `data/`, made by `tools/train_passage_scorer.py`. Nothing here asks a language
model, and none of it reads a passage's own score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Protocol

from tuppence.prune.lexical import Bm25
from tuppence.prune.passages.asked import Asked, read_question
from tuppence.prune.passages.features import Look, Signs
from tuppence.prune.passages.likelihoods import Likelihoods, log_share, shares, softmax, weighed
from tuppence.prune.passages.links import link_features
from tuppence.prune.passages.material import Material

Weights = Mapping[str, Mapping[str, float]]
"""Model (`passage`, `linked`, `sentence`) -> feature -> weight."""

_FEWEST_TERMS = 2
_FOREIGN = 0.2
"""Where no passage has a fifth of the question, by the weight of its words, words do not tell passages apart."""


class Scorer(Protocol):
    """Says how likely sentences and passages are to be needed; may raise, the pruner then keeps everything."""

    def __call__(self, material: Material, /) -> Likelihoods: ...


class Bm25Scorer:
    """Scores a sentence, with its passage's title, by the words it shares with the question; 9 ms for 20 passages."""

    def __call__(self, material: Material, /) -> Likelihoods:
        asked = read_question(material.question)
        titled = [material.sources[one.source].title_terms + one.terms for one in material.sentences]
        passages = Bm25.of_terms([source.terms for source in material.sources]).scores_of_terms(asked.terms)
        sentences = Bm25.of_terms(titled).scores_of_terms(asked.terms)
        return Likelihoods(shares(sentences), shares(passages), lexical_doubt(asked, material))


class LearnedScorer:
    """The default: three small conditional logit models over features of words, places, titles and links."""

    def __init__(self) -> None:
        self._weights = shipped_weights("passage_scorer.json")

    def __call__(self, material: Material, /) -> Likelihoods:
        asked = read_question(material.question)
        signs = Look(asked, material).signs()
        return likelihoods_of(asked, material, signs, self._weights)


def likelihoods_of(asked: Asked, material: Material, signs: Signs, weights: Weights) -> Likelihoods:
    """Put features through the models: each passage by itself, then with its links, then every sentence in it."""
    with_links(asked, material, signs, weights["passage"])
    passages = softmax([weighed(weights["linked"], one) for one in signs.passages])
    with_shares(signs, passages)
    brought = [weighed(weights["sentence"], one) for one in signs.passages]
    sentences = [
        weighed(weights["sentence"], signs.sentences[one.number]) + brought[one.source] for one in material.sentences
    ]
    return Likelihoods(softmax(sentences), passages, lexical_doubt(asked, material))


def with_links(asked: Asked, material: Material, signs: Signs, weights: Mapping[str, float]) -> None:
    """Add to each passage's features what its links say."""
    likely = softmax([weighed(weights, one) for one in signs.passages])
    for own, links in zip(signs.passages, link_features(asked, material, signs, likely), strict=True):
        own.update(links)


def with_shares(signs: Signs, passages: Sequence[float]) -> None:
    """Add to each passage's features how likely it is; its sentences are weighed with all of them."""
    best = max(passages, default=0.0) or 1.0
    for own, share in zip(signs.passages, passages, strict=True):
        own["passage share"] = share
        own["passage to best"] = share / best
        own["passage log share"] = log_share(share)


def lexical_doubt(asked: Asked, material: Material) -> str:
    """Say why words cannot tell what this question is after; "" where they can."""
    if len(asked.terms) < _FEWEST_TERMS:
        return f"the question has {len(asked.terms)} words that say something, fewer than {_FEWEST_TERMS}"
    held = max((asked.share_in(one.distinct) for one in material.sources), default=0.0)
    if held < _FOREIGN:
        return "hardly a word of the question stands in any passage"
    return ""


@cache
def shipped_weights(name: str) -> Weights:
    """Read learned weights out of the package."""
    weights: Weights = json.loads(files("tuppence").joinpath("data", name).read_text("utf-8"))["weights"]
    return weights
