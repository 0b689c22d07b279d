"""Another shortener of retrieved passages, at its settings, on the benchmark's questions; `peers.py` runs it.

    python peer.py NAME DATA QUESTIONS

It runs where the peer and this project are installed, so that embeddings, tokens and what counts as an answer are the
same for all. The last line of output is one JSON object: {version, note, figures: {set: {setting: figures}}}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pruning_parts.passages import SETS, answered, questions
from tuppence.embed.minilm import MiniLM
from tuppence.prune.passages import as_sent
from tuppence.tokens import count_tokens

Row = Mapping[str, Any]
Sent = Mapping[int, str]
"""What is sent of each passage, by its place; titles included."""
Shorten = Callable[[Row], Sent]


class Vectors:
    """MiniLM, each text embedded once."""

    def __init__(self) -> None:
        self._model = MiniLM()
        self._known: dict[str, list[float]] = {}

    def of(self, texts: Sequence[str]) -> list[list[float]]:
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            self._known |= zip(new, (vector.tolist() for vector in self._model.embed(new)), strict=True)
        return [self._known[text] for text in texts]


def embeddings_filter(vectors: Vectors) -> Iterator[tuple[str, Shorten]]:
    """LangChain's filter keeps the k most similar documents, whole, best first."""
    from langchain_classic.retrievers.document_compressors import EmbeddingsFilter
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    class Local(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return vectors.of(texts)

        def embed_query(self, text: str) -> list[float]:
            return vectors.of([text])[0]

    def shorten(row: Row, k: int) -> Sent:
        documents = [
            Document(as_sent(doc["title"], doc["text"]), metadata={"at": at}) for at, doc in enumerate(row["docs"])
        ]
        kept = EmbeddingsFilter(embeddings=Local(), k=k).compress_documents(documents, row["question"])
        return {one.metadata["at"]: one.page_content for one in kept}

    for k in range(1, 13):
        yield f"k={k}", lambda row, k=k: shorten(row, k)


def sentence_optimizer(vectors: Vectors) -> Iterator[tuple[str, Shorten]]:
    """LlamaIndex's optimizer keeps sentences of every node, with their neighbours.

    It raises where a threshold leaves a node nothing; such nodes are left out here, where a program would fail.
    """
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.postprocessor import SentenceEmbeddingOptimizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    class Local(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return vectors.of([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return vectors.of(texts)

        def _get_query_embedding(self, query: str) -> list[float]:
            return vectors.of([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    model = Local()

    def shorten(row: Row, options: Mapping[str, Any]) -> Sent:
        optimizer = SentenceEmbeddingOptimizer(embed_model=model, **options)
        sent = {}
        for at, doc in enumerate(row["docs"]):
            node = NodeWithScore(node=TextNode(text=doc["text"]))
            try:
                optimizer.postprocess_nodes([node], query_bundle=QueryBundle(row["question"]))
            except ValueError:
                continue
            sent[at] = as_sent(doc["title"], node.node.get_content())
        return sent

    limits = [{"percentile_cutoff": share} for share in (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)]
    limits += [{"threshold_cutoff": cosine} for cosine in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)]
    for limit in limits:
        for neighbours in (1, 0):
            options = {**limit, "context_before": neighbours, "context_after": neighbours}
            label = ", ".join(f"{name}={value:g}" for name, value in options.items())
            yield label, lambda row, options=options: shorten(row, options)


PEERS: Mapping[str, tuple[str, Callable[[Vectors], Iterator[tuple[str, Shorten]]], str]] = {
    "llama-index SentenceEmbeddingOptimizer": (
        "llama-index-core", sentence_optimizer,
        "nodes for which it raises ('zero sentences') are left out; titles are put before what it returns",
    ),
    "langchain EmbeddingsFilter": ("langchain-classic", embeddings_filter, "the title is the document's first line"),
}  # fmt: skip


def figures_of(rows: Sequence[Row], shorten: Shorten) -> dict[str, float]:
    """Count as our own are counted; `longer_share` is of questions whose passages came out longer."""
    answers, gold, shares = [], [], []
    for row in rows:
        sent = shorten(row)
        before = sum(tokens(as_sent(doc["title"], doc["text"])) for doc in row["docs"])
        answers.append(answered(row, list(sent.values())))
        gold.append(set(row["gold"]) <= sent.keys())
        shares.append(sum(map(tokens, sent.values())) / before)
    return {
        "answer": sum(answers) / len(rows),
        "gold": sum(gold) / len(rows),
        "tokens_share": sum(shares) / len(rows),
        "longer_share": sum(share > 1 for share in shares) / len(rows),
    }


def tokens(text: str) -> int:
    return count_tokens(text, "gpt-4o").tokens


def main() -> None:
    name, data, most = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    package, settings, note = PEERS[name]
    vectors = Vectors()
    figures: dict[str, Any] = {}
    for one, file in SETS.items():
        rows = questions(data / file)[:most]
        figures[one] = {setting: figures_of(rows, shorten) for setting, shorten in settings(vectors)}
        print(f"{name}, {one}: {len(rows)} questions", file=sys.stderr)
    print(json.dumps({"version": version(package), "note": note, "figures": figures}))


if __name__ == "__main__":
    main()
