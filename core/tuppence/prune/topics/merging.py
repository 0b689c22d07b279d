"""Passages on the same topic made one, from several documents, and the topics that matter most; no model is asked.

Every sentence that stays is the source's own, with its place in it. What repeats another sentence of its topic is left
out, then whole topics where only so many are wanted. Nothing here may make the text longer or fail a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field

from tuppence.errors import ConfigError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, TokenCounter, counter_for, untouched
from tuppence.prune.passages import Passage, as_sent
from tuppence.prune.topics.clusters import grouped
from tuppence.prune.topics.importance import masses
from tuppence.prune.topics.linking import Linking
from tuppence.prune.topics.saying import Repeat, said_once
from tuppence.prune.topics.similarity import Similarity, TermSimilarity
from tuppence.prune.topics.topic import Topic, topic_of


@dataclass(frozen=True, slots=True)
class Topics:
    """What to send in place of the passages, and what it is about."""

    passages: tuple[Passage, ...]
    """One a topic, in the order of the documents; the passages as they came where merging broke or saves nothing."""
    topics: tuple[Topic, ...]
    """Those that stay, in the same order; none where merging broke."""
    audit: Audit


@dataclass(frozen=True, slots=True)
class TopicMerger:
    """Merges passages on the same topic, and keeps the `top` most important topics where that is given."""

    linking: Linking
    """From which similarity on two passages are on the same topic: `calibrate_linking` finds it."""
    similarity: Similarity = field(default_factory=TermSimilarity)
    _: KW_ONLY
    top: int | None = None
    model: str = DEFAULT_MODEL
    """Whose tokens are counted."""

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise ConfigError(f"top={self.top!r} leaves no topic: give at least 1, or None for all of them")
        if self.similarity.name != self.linking.similarity:
            raise ConfigError(
                f"the threshold was found for {self.linking.similarity!r}, but passages are compared by "
                f"{self.similarity.name!r}: calibrate with the similarity that is used"
            )

    def merge(self, passages: Sequence[Passage], question: str = "") -> Topics:
        """Merge `passages`; `question` says which topics are important, without one the passages themselves do."""
        given = tuple(passages)
        count = counter_for(self.model)
        before = count(_shown(given))
        if not given:
            return Topics((), (), untouched(0, "there are no passages"))
        try:
            topics, repeats = self._topics(given, question)
        except Exception as error:  # noqa: BLE001 - an embedder may raise anything, and the passages are still there
            return Topics(given, (), untouched(before, f"merging broke ({type(error).__name__}: {error})"))
        kept = self._chosen(topics)
        merged = tuple(topic.merged for topic in kept)
        after = count(_shown(merged))
        if after >= before:
            return Topics(given, tuple(topics), untouched(before, "merging saves nothing"))
        cuts = [_repeated(repeat, given, count) for repeat in repeats]
        cuts += [_left_out(topic, topics, count) for topic in topics if topic not in kept]
        return Topics(merged, tuple(kept), Audit(before, after, tuple(cuts)))

    def _topics(self, passages: Sequence[Passage], question: str) -> tuple[list[Topic], list[Repeat]]:
        """Group the passages; the order is that of each topic's first document."""
        similarities = self.similarity.compare([passage.text for passage in passages])
        shares = masses(passages, similarities, question)
        texts = [passage.text for passage in passages]
        topics: list[Topic] = []
        repeats: list[Repeat] = []
        for members in grouped(similarities, self.linking.threshold):
            kept, repeated = said_once(texts, members)
            topics.append(topic_of(members, passages, kept, shares))
            repeats += repeated
        return topics, repeats

    def _chosen(self, topics: Sequence[Topic]) -> list[Topic]:
        ranked = sorted(range(len(topics)), key=lambda n: -topics[n].importance)
        return [topics[n] for n in sorted(ranked[: self.top])]


def _repeated(repeat: Repeat, passages: Sequence[Passage], count: TokenCounter) -> Cut:
    passage, by = passages[repeat.sentence.passage], passages[repeat.said_by.passage]
    text, span = repeat.sentence.span.of(passage.text), repeat.sentence.span
    why = f"said in {by.id or by.title or 'another passage'} at {repeat.said_by.span.start}"
    return Cut("sentence", passage.id, why, count(text), text, (span.start, span.end))


def _left_out(topic: Topic, topics: Sequence[Topic], count: TokenCounter) -> Cut:
    rank = sum(other.importance > topic.importance for other in topics) + 1
    why = f"{topic.importance:.1%} of the mass, rank {rank} of {len(topics)}"
    text = _shown([topic.merged])
    return Cut("topic", ", ".join(topic.sources), why, count(text), text)


def _shown(passages: Sequence[Passage]) -> str:
    """Write passages as a prompt shows them."""
    return "\n\n".join(as_sent(one.title, one.text) for one in passages)
