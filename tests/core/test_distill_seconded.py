"""A classifier on words as a second opinion: what it says, how it travels, and what it does to a deployed check."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tuppence.distill import DistillError, Trained
from tuppence.distill.deploying import deploy, deployed, read_deployment, rollback, widen
from tuppence.distill.evaluation import Answer, HeldOut, Words, fit_words
from tuppence.distill.evaluation.words import read_words
from tuppence.distill.seconded import Seconded, joint
from tuppence.request import Message, Reply, Request

WORDS = Words(
    ("billing", "delivery"), (0.25, -0.25),
    {"invoice": (1.5, 2.0, -2.0), "it": (1.0, 0.0, 0.0), "parcel": (2.0, -3.0, 3.0)},
)  # fmt: skip


def asked(question: str, answer: str) -> HeldOut:
    return HeldOut(({"role": "user", "content": question},), answer)


def table(labels: Sequence[str]) -> list[HeldOut]:
    said = {
        "delivery": "parcel late again|where is my parcel|the parcel, the parcel|it has not come",
        "billing": "wrong invoice|send it as an invoice|Invoice twice|was charged twice",
        "account": "lost my password|login fails|Password, my password!|it logs me out",
    }
    return [asked(f"{text} {n}", label) for label in labels for text in said[label].split("|") for n in ("a", "bc")]


@pytest.mark.parametrize("labels", [("billing", "delivery"), ("account", "billing", "delivery")])
@pytest.mark.parametrize(
    "question", ["My parcel? PARCEL!", "an invoice for it twice, and a password", "", "unheard-of"]
)
def test_its_plain_numbers_say_what_the_library_says(labels: tuple[str, ...], question: str) -> None:
    """To six digits a weight, for two answers and for more, repeated words and unknown ones."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")
    rows = table(labels)
    counter = text.TfidfVectorizer(sublinear_tf=True)
    found = linear.LogisticRegression(C=100.0, max_iter=1_000).fit(
        counter.fit_transform([row.question for row in rows]), [row.expected for row in rows]
    )
    expected = dict(zip(found.classes_, found.predict_proba(counter.transform([question]))[0], strict=True))
    assert fit_words(rows).probabilities(question) == pytest.approx(expected, abs=1e-4)


def test_it_is_a_text_that_is_read_back_whole() -> None:
    """Also by a program that has no library for it."""
    assert read_words(WORDS.text) == WORDS
    assert read_words(WORDS.text).version == WORDS.version
    assert replace(WORDS, bias=(0.25, -0.24)).version != WORDS.version


@pytest.mark.parametrize("change", [{"format": "other"}, {"bias": [1.0]}, {"words": {"a": [1.0, 2.0]}}, {"words": [1]}])
def test_a_text_that_is_no_classifier_is_refused(change: dict[str, object]) -> None:
    """Before it decides anything."""
    with pytest.raises(DistillError, match="no classifier on words"):
        read_words(json.dumps({**json.loads(WORDS.text), **change}))


@dataclass(frozen=True)
class Says:
    """One answer to everything."""

    text: str
    confidence: float | None
    name: str = "small"

    def answer(self, rows: Sequence[HeldOut]) -> list[Answer]:
        return [Answer(self.text, self.confidence, 7, 1) for _ in rows]


def test_what_the_classifier_says_moves_the_confidence_and_never_the_answer() -> None:
    """What it never saw answered is not believed at all."""
    rows = [asked("where is the parcel", "delivery"), asked("an invoice please", "billing")]
    parcel, invoice = Seconded(Says(" delivery\n", 0.9), WORDS).answer(rows)
    assert (parcel.text, parcel.input_tokens) == (" delivery\n", 7)
    assert parcel.confidence is not None
    assert invoice.confidence is not None
    assert parcel.confidence > 0.9 > 0.5 > invoice.confidence
    (unsure,) = Seconded(Says("delivery", 0.3), WORDS).answer(rows[:1])
    assert unsure.confidence is not None
    assert unsure.confidence < parcel.confidence
    assert Seconded(Says("refunds", 0.9), WORDS).answer(rows)[0].confidence == 0.0
    assert Seconded(Says("delivery", None), WORDS).answer(rows)[0].confidence is None


@pytest.fixture
def state(tmp_path: Path) -> Path:
    trained = Trained("small-1", "small", tmp_path / "adapter", 60.0, None)
    path = tmp_path / "deployed.json"
    deploy(
        trained, path, url="http://127.0.0.1:9/v1", threshold=0.7, usd_per_mtok=("0.1", "0.1"), share=0.5, merged=True,
        words=WORDS,
    )  # fmt: skip
    return path


def reply(text: str, *logprobs: float) -> Reply:
    return Reply(text, logprobs=logprobs or None)


def test_the_deployed_check_scores_what_was_calibrated(state: Path) -> None:
    """The same number for the same answer: a threshold means nothing else."""
    check, question = deployed(state)["check"], "the parcel is late"
    request = Request((Message("system", "Which team?"), Message("user", question)))
    for text in ("delivery", "billing"):
        (answer,) = Seconded(Says(text, 0.95), WORDS).answer([asked(question, "delivery")])
        assert check(request, reply(text, math.log(0.95), math.log(0.95))).score == pytest.approx(answer.confidence)
    assert check(request, reply("delivery")).score == 0.0
    assert "by the classifier on words" in check(request, reply("delivery", -0.1)).reason


def test_the_classifier_goes_with_the_file(state: Path) -> None:
    """A wider share and a roll-back leave it there, and what is logged of a policy names its version."""
    widen(state, 1.0)
    assert read_deployment(state).second == WORDS.version
    assert deployed(state)["check"].words == WORDS
    rollback(state)
    assert deployed(state)["check"].words == WORDS
    assert WORDS.version in repr(deployed(state)["check"])
    assert "parcel" not in repr(deployed(state)["check"])


@pytest.mark.parametrize("left", [None, "{}", replace(WORDS, bias=(0.0, 0.0)).text])
def test_a_classifier_that_is_not_the_calibrated_one_is_not_used(state: Path, left: str | None) -> None:
    """Gone, broken or another: the threshold would promise nothing."""
    beside = state.with_suffix(".words.json")
    beside.unlink()
    if left is not None:
        beside.write_text(left)
    with pytest.raises(DistillError, match=r"deployed.words.json .* deploy"):
        deployed(state)


@pytest.mark.parametrize(
    ("confidence", "likely", "pooled"),
    [(0.9, 0.9, 0.9), (0.8, 0.5, 0.7159), (0.5, 0.8, 0.6135), (0.9, 0.0, 0.0), (1.0, 0.5, 0.9999), (0.0, 1.0, 0.0099)],
)
def test_two_opinions_are_pooled_by_their_odds(confidence: float, likely: float, pooled: float) -> None:
    """Two parts the model's, one the classifier's, and neither is so sure that the other is not heard."""
    assert joint(confidence, likely) == pytest.approx(pooled, abs=1e-4)
