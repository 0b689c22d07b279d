"""Whatever passages hold, a prune keeps its promises: fewer tokens, order, whole sentences, and never nothing."""

import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.prune.audit import counter_for
from tuppence.prune.passages import Bm25Scorer, LearnedScorer, Passage, PassagePruner, RankedByScore, as_sent
from tuppence.prune.sentences import sentences

count = counter_for()
WORDS = st.sampled_from(
    ["tea", "Ada", "Lund", "1610", "was", "the", "born.", "in", "Bergen.", "when?", "\n", "\n\n", "| x |", "```", "。",
     "東京", "not", "U.S.", "-"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join))
PASSAGES = st.lists(
    st.builds(
        Passage, text=TEXTS, id=st.sampled_from(["", "a", "b"]), title=st.one_of(st.just(""), TEXTS),
        score=st.one_of(st.none(), st.floats()),
    ),
    max_size=8,
)  # fmt: skip
CEILINGS: st.SearchStrategy[dict[str, float]] = st.one_of(
    st.fixed_dictionaries({"max_tokens": st.integers(1, 2000)}),
    st.fixed_dictionaries({"share": st.floats(0.01, 1.0)}),
    st.fixed_dictionaries({"keep_probability": st.floats(0.01, 1.0)}),
    st.just({}),
)
SCORERS = st.sampled_from([LearnedScorer(), Bm25Scorer(), RankedByScore()])


@settings(max_examples=200)
@given(TEXTS, PASSAGES, CEILINGS, SCORERS)
def test_promises_hold(
    question: str, passages: list[Passage], ceiling: dict[str, float], scorer: LearnedScorer
) -> None:
    """Any unicode, empty and doubled passages, budgets far too small or too large."""
    pruned = PassagePruner(**ceiling, scorer=scorer).prune(question, passages)  # type: ignore[arg-type]
    before = sum(count(as_sent(one.title, one.text)) for one in passages)
    after = sum(count(one.sent) for one in pruned.passages)

    assert "failed" not in pruned.audit.kept_because
    assert (pruned.audit.tokens_before, pruned.audit.tokens_after) == (before, after)
    assert after <= before
    assert bool(pruned.passages) == bool(passages)
    indices = [one.index for one in pruned.passages]
    assert indices == sorted(set(indices))
    allowed = ceiling.get("max_tokens", ceiling.get("share", 1.0) * before)
    assert after <= allowed or pruned.audit.kept_because or sum(len(one.spans) for one in pruned.passages) == 1
    for kept in pruned.passages:
        original = passages[kept.index]
        assert (kept.id, kept.title) == (original.id, original.title)
        ends = {0, len(original.text)} | {edge for span in sentences(original.text) for edge in (span.start, span.end)}
        assert all(span.start in ends and span.end in ends for span in kept.spans)
        assert all(span.of(original.text) in kept.text for span in kept.spans)
        assert all(one.end < other.start for one, other in zip(kept.spans, kept.spans[1:], strict=False))


PROGRAM = """
from tuppence.prune.audit import counter_for
from tuppence.prune.passages import LearnedScorer, Passage, read_material
text = "Ada Lund was born in Bergen. The Hermes Prize of 1954 went to Ada Lund of Bergen, a writer. Tea is hot."
passages = [Passage(text[at:], title=text[at + 5 : at + 17]) for at in range(0, 60, 7)]
question = "Which writer of novels born in Bergen won the Hermes Prize?"
print(LearnedScorer()(read_material(question, passages, counter_for())))
"""


def test_every_process_reckons_alike() -> None:
    """To the last digit, though sets of words have another order in each: providers' caches hang on equal bytes."""
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert said[0].startswith(b"Likelihoods(")
    assert len(set(said)) == 1
