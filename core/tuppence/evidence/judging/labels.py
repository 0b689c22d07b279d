"""Judgements as labels of recorded traffic: what routes and checks learn from, where nobody else has graded.

A judge's grade is no truth: how far it can be trusted is what its agreement with people says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tuppence.evidence.judging.judgements import Judgement
from tuppence.evidence.outcomes.labels import Labeller
from tuppence.evidence.outcomes.rows import Outcomes


def from_judgements(judgements: Iterable[Judgement], *, aspect: str = "accuracy") -> Labeller:
    """Grade what users were given by what a judge said of it, in [0, 1]; joined by the call's id.

    `aspect` is `accuracy`, `fluency`, or `preference` of comparisons. Of two judgements of one call the later counts;
    what nobody judged stays as it is.
    """
    told = {one.call_id: score for one in judgements if (score := one.score(aspect)) is not None}

    def label(one: Outcomes) -> Outcomes:
        score = told.get(one.id)
        if score is None:
            return one
        graded = {
            model: replace(outcome, score=score, labelled_by="judge") if outcome.served else outcome
            for model, outcome in one.by_model.items()
        }
        return replace(one, by_model=graded)

    return label
