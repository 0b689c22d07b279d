"""Questions as arrays, for learning a route: their shape, terms, task and, if wanted, embedding, read by the very code
that reads them on every call. Read once, then learned from, split and judged as often as wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tuppence.embed import Embedder
from tuppence.errors import ConfigError
from tuppence.evidence.learning.labelled import FloatArray, Index
from tuppence.evidence.outcomes import Outcomes
from tuppence.signals.learned_route import FURTHEST, LearnedRouteModel, Term, term_values
from tuppence.signals.question_shape import THEMES, shape, terms

TRAITS = tuple(THEMES)


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What a route may look at, one row a question."""

    shape: FloatArray
    """(questions, traits), in the order of `TRAITS`."""
    terms: tuple[tuple[str, ...], ...]
    tasks: tuple[str, ...]
    vectors: FloatArray | None = None
    """(questions, dimensions); None without an embedder."""
    embedder: str = ""

    def __len__(self) -> int:
        return len(self.tasks)

    def take(self, index: Index) -> Questions:
        """Return some of the questions, in the order of `index`."""
        return Questions(
            self.shape[index],
            tuple(self.terms[i] for i in index),
            tuple(self.tasks[i] for i in index),
            None if self.vectors is None else self.vectors[index],
            self.embedder,
        )


def questions(rows: Sequence[Outcomes], *, embedder: Embedder | None = None) -> Questions:
    """Read the questions of `rows`; raises what the embedder raises."""
    measured = [shape(row.query) for row in rows]
    return Questions(
        np.array([[one[name] for name in TRAITS] for one in measured], dtype=np.float64),
        tuple(tuple(terms(row.query)) for row in rows),
        tuple(row.task or row.tags.get("task", "") for row in rows),
        None if embedder is None else np.asarray(embedder.embed([row.query for row in rows]), dtype=np.float64),
        "" if embedder is None else embedder.name,
    )


def qualities(rows: Sequence[Outcomes], tiers: Sequence[str]) -> tuple[list[Outcomes], FloatArray]:
    """Return the rows on which all of `tiers` are graded, and the scores, (rows, tiers)."""
    if len(tiers) < 2 or len(set(tiers)) < len(tiers):
        raise ConfigError(f"the tiers are {list(tiers)}: give at least two different ones, cheapest first")
    graded = [row for row in rows if all((one := row.by_model.get(name)) and one.score is not None for name in tiers)]
    return graded, np.array([[row.by_model[name].score for name in tiers] for row in graded], dtype=np.float64)


def vocabulary(asked: Questions, *, at_least: int, at_most: int) -> dict[str, float]:
    """Return the terms of at least so many questions, the commonest first, with their inverse document frequency.

    ln((1 + questions) / (1 + questions with it)) + 1: the smoothed form, which no term can make infinite.
    """
    seen = Counter(term for found in asked.terms for term in set(found))
    common = sorted(((-count, term) for term, count in seen.items() if count >= at_least))[:at_most]
    return {term: float(np.log((1 + len(asked)) / (1 - negative)) + 1.0) for negative, term in common}


def term_matrix(asked: Questions, known: dict[str, float]) -> csr_array:
    """Return (questions, terms), each row of length 1, or 0 where no term is known."""
    place = {term: column for column, term in enumerate(known)}
    weighed = {term: Term(idf, ()) for term, idf in known.items()}
    found = [term_values(one, weighed) for one in asked.terms]
    values = np.array([value for one in found for value in one.values()], dtype=np.float64)
    columns = np.array([place[term] for one in found for term in one], dtype=np.intp)
    rows = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return csr_array((values, (rows, columns)), shape=(len(found), len(known)))


def right(model: LearnedRouteModel, asked: Questions) -> FloatArray:
    """Return how probably each tier is right, (questions, tiers), as the route would say it question by question."""
    traits = list(model.shape.values())
    columns = [TRAITS.index(name) for name in model.shape]
    odds = np.tile(np.array(model.intercepts), (len(asked), 1))
    if traits:
        mean, spread = np.array([one.mean for one in traits]), np.array([one.spread for one in traits])
        scaled = np.clip((asked.shape[:, columns] - mean) / spread, -FURTHEST, FURTHEST)
        odds += scaled @ np.array([one.weights for one in traits])
    if model.terms:
        found = term_matrix(asked, {name: one.idf for name, one in model.terms.items()})
        odds += found @ np.array([one.weights for one in model.terms.values()])
    nothing = (0.0,) * len(model.tiers)
    odds += np.array([model.tasks.get(task, nothing) for task in asked.tasks])
    if model.embedding is not None and asked.vectors is not None:
        odds += (asked.vectors - np.array(model.embedding.mean)) @ np.array(model.embedding.weights).T
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0))))
