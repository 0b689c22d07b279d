"""Pruned nodes in LlamaIndex: what a model is shown, what an index keeps, and that nothing can fail a query."""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any

import pytest
from llama_index.core import get_response_synthesizer
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.indices import VectorStoreIndex
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from pydantic import ValidationError

from llama_index_tuppence import ContextPruner
from tuppence.errors import ConfigError
from tuppence.policy import switch_off, switch_on
from tuppence.prune.audit import Audit, counter_for
from tuppence.prune.passages import Passage, PassagePruner, PrunedPassages
from tuppence.testing import ProviderServer

QUESTION = "When was the harbour of Marlow built?"
HARBOUR = (
    "The town has a market on Tuesdays. The harbour of Marlow was built in 1850. It is known for its bread. "
    "A tram runs along the coast in summer."
)
HILLS = "The hills are green. Sheep graze there all year. Nobody goes there in winter. The paths are steep."


def harbour() -> TextNode:
    return TextNode(
        id_="harbour", text=HARBOUR, metadata={"title": "Marlow harbour", "file": "m.txt"},
        start_char_idx=900, end_char_idx=900 + len(HARBOUR), excluded_llm_metadata_keys=["file"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc-1")},
    )  # fmt: skip


def nodes() -> list[NodeWithScore]:
    hills = TextNode(id_="hills", text=HILLS, metadata={"title": "Hills"})
    return [NodeWithScore(node=hills, score=0.4), NodeWithScore(node=harbour(), score=0.9)]


def pruned(given: list[NodeWithScore] | None = None, question: str = QUESTION, **options: Any) -> list[NodeWithScore]:
    pruner = ContextPruner(**(options or {"share": 0.4}))
    return pruner.postprocess_nodes(nodes() if given is None else given, query_str=question)


class TestWhatIsKept:
    def test_the_sentence_that_answers_stays(self) -> None:
        """Whole, in fewer tokens as a model is shown them, metadata and all."""
        count = counter_for()
        shown = [one.get_content(MetadataMode.LLM) for one in pruned()]
        assert "The harbour of Marlow was built in 1850." in shown[-1]
        assert sum(map(count, shown)) < sum(count(one.get_content(MetadataMode.LLM)) for one in nodes())

    def test_a_node_keeps_what_it_is(self) -> None:
        """Its id, score, relationships, and its own metadata with what is hidden of it."""
        kept, given = pruned()[-1], nodes()[-1]
        assert (kept.node_id, kept.score) == ("harbour", 0.9)
        assert kept.node.ref_doc_id == "doc-1"
        assert {k: v for k, v in kept.metadata.items() if k != "tuppence"} == given.metadata
        assert kept.node.get_metadata_str(MetadataMode.LLM) == given.node.get_metadata_str(MetadataMode.LLM)
        assert kept.node.get_metadata_str(MetadataMode.EMBED) == given.node.get_metadata_str(MetadataMode.EMBED)

    def test_it_says_where_what_is_kept_stood(self) -> None:
        """In the node by its note, in the document by the node's own offsets."""
        node = pruned()[-1].node
        assert isinstance(node, TextNode) and node.start_char_idx is not None and node.end_char_idx is not None
        note = node.metadata["tuppence"]
        assert "".join(HARBOUR[a:b] for a, b in note["spans"]) == node.text
        document = " " * 900 + HARBOUR
        assert document[node.start_char_idx : node.end_char_idx] == node.text
        assert all(HARBOUR[one["start"] : one["end"]] == one["text"] for one in note["cut"])

    def test_the_indexs_own_nodes_stay_as_they_are(self) -> None:
        """An index in memory hands out its own objects, and goes on to hand them out."""
        given = nodes()
        before = copy.deepcopy(given)
        kept = pruned(given)
        kept[-1].metadata["mine"] = True
        kept[-1].node.relationships[NodeRelationship.NEXT] = RelatedNodeInfo(node_id="other")
        kept[-1].node.excluded_llm_metadata_keys.append("title")
        assert given == before

    def test_nodes_of_other_kinds(self) -> None:
        """Pictures stay where they are, and a node that keeps its text as a resource is shortened too."""
        picture = ImageNode(id_="picture", text="A photograph of something else.", image="aGk=")
        modern = Node(id_="modern", text_resource=MediaResource(text=HARBOUR))
        drawn = Node(id_="drawn", text_resource=MediaResource(text=HILLS), image_resource=MediaResource(data=b"aGk="))
        given = [NodeWithScore(node=one) for one in (picture, modern, drawn)]
        kept = pruned(given, share=0.4)
        assert [one.node_id for one in kept] == ["picture", "modern", "drawn"]
        assert kept[0] is given[0] and kept[2] is given[2]
        assert kept[1].get_content() == "The harbour of Marlow was built in 1850."
        assert modern.get_content() == HARBOUR

    def test_nodes_without_text_stay(self) -> None:
        """There is nothing of them to cut."""
        given = [NodeWithScore(node=TextNode(id_="empty", text=" ")), *nodes()]
        assert pruned(given)[0] is given[0]

    @pytest.mark.parametrize("bundle", [None, QueryBundle(""), QueryBundle("", embedding=[0.1])])
    def test_without_a_question_all_stays(self, bundle: QueryBundle | None) -> None:
        """A query by vector or picture says nothing of which sentences are needed."""
        given = nodes()
        assert ContextPruner(share=0.4).postprocess_nodes(given, bundle) is given

    def test_no_nodes(self) -> None:
        """Nothing in, nothing out."""
        assert pruned([]) == []


class TestTheAudit:
    def test_is_handed_to_who_asks_for_it(self) -> None:
        """With the nodes that went altogether."""
        audits: list[Audit] = []
        pruned(share=0.3, on_audit=audits.append)
        assert audits[0].tokens_saved > 0
        assert "hills" in {cut.source for cut in audits[0].cuts if cut.kind == "passage"}


class Broken(PassagePruner):
    def prune(self, question: str, passages: Any) -> PrunedPassages:
        raise ValueError("secret")


class Watching(PassagePruner):
    """Notes which thread prunes, and what."""

    threads: list[int]
    passages: list[Passage]

    def prune(self, question: str, passages: Any) -> PrunedPassages:
        self.threads = [*getattr(self, "threads", ()), threading.get_ident()]
        self.passages = list(passages)
        return super().prune(question, passages)


class TestFailure:
    def test_whatever_breaks_the_nodes_go_on(self, caplog: pytest.LogCaptureFixture) -> None:
        """And somebody who looks is told what broke, and nothing of a text."""
        given = nodes()
        with caplog.at_level(logging.WARNING, "tuppence.prune"):
            assert pruned(given, pruner=Broken()) is given
        assert "as they came: ValueError" in caplog.text and "secret" not in caplog.text

    def test_options_that_cannot_work_are_refused_at_once(self) -> None:
        """When the pruner is made, not when it is used."""
        with pytest.raises(ConfigError, match="share"):
            ContextPruner(share=2)
        with pytest.raises(ValidationError, match="shares"):
            ContextPruner(shares=0.2)


async def test_async_in_a_thread() -> None:
    """Other tasks of the loop go on meanwhile."""
    watching = Watching(share=0.4)
    kept = await ContextPruner(pruner=watching).apostprocess_nodes(nodes(), query_str=QUESTION)
    assert "1850" in kept[-1].get_content()
    assert watching.threads and threading.get_ident() not in watching.threads
    assert watching.passages[-1] == Passage(HARBOUR, "harbour", "Marlow harbour", 0.9)


def test_described_as_any_postprocessor() -> None:
    """Its options are told, and make it again; what is no data, a pruner or who listens, is left out."""
    told = ContextPruner(share=0.4, title_keys=["about"], on_audit=print).to_dict()
    assert (told["class_name"], told["share"], list(told["title_keys"])) == ("ContextPruner", 0.4, ["about"])
    assert not told.keys() & {"on_audit", "pruner", "scorer"}
    assert [one.node_id for one in ContextPruner.from_dict(told).postprocess_nodes(nodes(), query_str=QUESTION)]


class Flat(BaseEmbedding):
    """Finds everything alike."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [1.0, 0.0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return [1.0, 0.0]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_in_a_query_engine(provider: ProviderServer, make: Any, way: str) -> None:
    """The model is sent the shorter context, and the next query finds the index whole."""
    index = VectorStoreIndex([one.node for one in nodes()], embed_model=Flat())
    plain = RetrieverQueryEngine(index.as_retriever(), get_response_synthesizer(llm=make()))
    engine = RetrieverQueryEngine(
        index.as_retriever(), get_response_synthesizer(llm=make()), node_postprocessors=[ContextPruner(share=0.3)]
    )
    for one in (plain, engine, plain):
        await one.aquery(QUESTION) if way == "async" else one.query(QUESTION)
    before, after, again = (str(served.request["messages"]) for served in provider.served)
    assert "The harbour of Marlow was built in 1850." in after
    assert len(after) < len(before) == len(again)
    assert "spans" not in after


def test_switched_off_nodes_come_back_as_they_are() -> None:
    """As with every other optimisation."""
    given = nodes()
    switch_off()
    try:
        assert ContextPruner(share=0.1).postprocess_nodes(given, query_str=QUESTION) == given
    finally:
        switch_on()
