"""A topic: what is said of one thing, sentence by sentence, each with its place in the document that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuppence.prune.passages import Passage, as_sent
from tuppence.prune.passages.passage import shortened
from tuppence.prune.sentences import Span
from tuppence.prune.topics.saying import Sentence


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that stays."""

    passage: int
    """Position of its passage among those given."""
    id: str
    title: str
    span: Span
    """Its characters in the passage's text."""
    text: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Passages that were found to be about the same."""

    name: str
    """Title of the passage that carries most; its id where it has none."""
    importance: float
    """Its share of the question's, or the corpus', mass: all topics together have 1."""
    passages: tuple[int, ...]
    """Positions of its passages among those given, in order."""
    sources: tuple[str, ...]
    """Their ids, as far as they have any."""
    statements: tuple[Statement, ...]
    """In the order of the documents."""
    merged: Passage
    """The topic as one passage: a document's own title stands before its sentences where it is not the topic's name."""


def topic_of(
    members: Sequence[int], passages: Sequence[Passage], kept: Sequence[Sentence], shares: Sequence[float]
) -> Topic:
    """Make a topic of the passages at these positions and of the sentences that stay of them."""
    first = passages[max(members, key=lambda at: (bool(passages[at].title), shares[at], -at))]
    ids = tuple(dict.fromkeys(passages[at].id for at in members if passages[at].id))
    scores = [score for at in members if (score := passages[at].score) is not None]
    text = "\n\n".join(_blocks(members, passages, kept, first.title))
    return Topic(
        first.title or first.id or f"passage {members[0] + 1}",
        sum(shares[at] for at in members),
        tuple(members),
        ids,
        tuple(_statement(sentence, passages[sentence.passage]) for sentence in kept),
        Passage(text, ", ".join(ids), first.title, max(scores, default=None)),
    )


def _blocks(members: Sequence[int], passages: Sequence[Passage], kept: Sequence[Sentence], name: str) -> Iterator[str]:
    """Write what stays of each document; one of which nothing stays is left out, its sentences are said elsewhere."""
    for at in members:
        spans = [sentence.span for sentence in kept if sentence.passage == at]
        text = shortened(at, passages[at], spans).text
        if text:
            yield as_sent("" if passages[at].title == name else passages[at].title, text)


def _statement(sentence: Sentence, passage: Passage) -> Statement:
    return Statement(sentence.passage, passage.id, passage.title, sentence.span, sentence.span.of(passage.text))
