"""Pruned documents in LangChain: what a prompt gets, what of a document stays, and that nothing can fail a chain."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.load import dumpd
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langgraph.errors import GraphInterrupt

from langchain_tuppence import ContextPruner, spend
from tuppence.errors import ConfigError, RequestError
from tuppence.policy import switch_off, switch_on
from tuppence.prune.audit import Audit, counter_for
from tuppence.prune.passages import Passage, PassagePruner, PrunedPassages

QUESTION = "When was the harbour of Marlow built?"
HARBOUR = (
    "The town has a market on Tuesdays. The harbour of Marlow was built in 1850. It is known for its bread. "
    "A tram runs along the coast in summer."
)
HILLS = "The hills are green. Sheep graze there all year. Nobody goes there in winter. The paths are steep."


@pytest.fixture
def switched_off() -> Iterator[None]:
    switch_off()
    yield
    switch_on()


def documents() -> list[Document]:
    return [
        Document(HILLS, id="hills", metadata={"title": "Hills", "source": "h.txt", "start_index": 40}),
        Document(HARBOUR, id="harbour", metadata={"title": "Marlow harbour", "source": "m.txt", "start_index": 900}),
    ]


def tokens(texts: list[Document]) -> int:
    count = counter_for()
    return sum(count(one.page_content) for one in texts)


class TestWhatIsKept:
    def test_the_sentence_that_answers_stays(self) -> None:
        """Whole, in fewer tokens, and other documents may go altogether."""
        kept = list(ContextPruner(share=0.4).compress_documents(documents(), QUESTION))
        assert "The harbour of Marlow was built in 1850." in kept[-1].page_content
        assert 0 < tokens(kept) <= 0.4 * tokens(documents())

    def test_a_document_keeps_what_it_is(self) -> None:
        """Its id, its own metadata and its place."""
        kept = ContextPruner(share=0.6).compress_documents(documents(), QUESTION)
        ids = [one.id for one in kept]
        assert ids == [one for one in ("hills", "harbour") if one in ids]
        (harbour,) = [one for one in kept if one.id == "harbour"]
        assert {k: v for k, v in harbour.metadata.items() if k != "tuppence"} == documents()[1].metadata

    def test_it_says_where_what_is_kept_stood(self) -> None:
        """Offsets lead back into the text, and the cut pieces fill it up again."""
        (kept,) = ContextPruner(share=0.3).compress_documents(documents(), QUESTION)
        note = kept.metadata["tuppence"]
        assert [HARBOUR[a:b] for a, b in note["spans"]] == [kept.page_content]
        assert all(HARBOUR[one["start"] : one["end"]] == one["text"] for one in note["cut"])
        pieces = {a: HARBOUR[a:b] for a, b in note["spans"]} | {one["start"]: one["text"] for one in note["cut"]}
        assert "".join(pieces[at] for at in sorted(pieces)) == HARBOUR
        assert note["audit"]["tokens_after"] < note["audit"]["tokens_before"]

    def test_the_callers_documents_stay_as_they_are(self) -> None:
        """A retriever in memory hands out its own objects."""
        given = documents()
        before = copy.deepcopy(given)
        kept = ContextPruner(share=0.3).compress_documents(given, QUESTION)
        kept[0].metadata["mine"] = True
        assert given == before

    def test_a_title_tells_what_a_text_is_about(self) -> None:
        """From the metadata key that the caller names."""
        given = [
            Document("It was built in 1850. It is large.", metadata={"about": "Marlow harbour"}),
            Document("It was built in 1730. It is small.", metadata={"about": "Bray mill"}),
        ]
        (kept,) = ContextPruner(share=0.5, title_keys=["about"]).compress_documents(given, QUESTION)
        assert "1850" in kept.page_content

    def test_the_same_bytes_again(self) -> None:
        """A provider's prefix cache depends on it."""
        pruner = ContextPruner(share=0.4)
        assert pruner.compress_documents(documents(), QUESTION) == pruner.compress_documents(documents(), QUESTION)

    def test_no_documents(self) -> None:
        """Nothing in, nothing out."""
        assert list(ContextPruner(share=0.4).compress_documents([], QUESTION)) == []


class TestTheAudit:
    def test_is_handed_to_who_asks_for_it(self) -> None:
        """With documents that went altogether, which have no metadata any more."""
        audits: list[Audit] = []
        ContextPruner(share=0.3, on_audit=audits.append).compress_documents(documents(), QUESTION)
        (audit,) = audits
        assert audit.tokens_saved > 0
        assert "hills" in {cut.source for cut in audit.cuts if cut.kind == "passage"}

    def test_says_why_nothing_was_cut(self) -> None:
        """And the documents are the caller's own."""
        audits: list[Audit] = []
        given = documents()
        kept = ContextPruner(max_tokens=10_000, on_audit=audits.append).compress_documents(given, QUESTION)
        assert [id(one) for one in kept] == [id(one) for one in given]
        assert audits[0].kept_because == "everything fits"

    def test_is_not_in_a_prompt_that_prints_whole_documents(self) -> None:
        """Templates that are given documents print their metadata: what was cut would be sent after all."""
        kept = ContextPruner(share=0.3).compress_documents(documents(), QUESTION)
        prompt = ChatPromptTemplate.from_template("{context}").invoke({"context": kept}).to_string()
        assert "1850" in prompt and "Tuesdays" not in prompt
        assert json.loads(json.dumps(kept[0].metadata))["tuppence"]["cut"][0]["text"].startswith("The town")


class Broken(PassagePruner):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def prune(self, question: str, passages: Any) -> PrunedPassages:
        raise self.error


class TestFailure:
    def test_whatever_breaks_the_documents_go_on(self, caplog: pytest.LogCaptureFixture) -> None:
        """And somebody who looks is told what broke, and nothing of a text."""
        given = documents()
        with caplog.at_level(logging.WARNING, "tuppence.prune"):
            kept = ContextPruner(pruner=Broken(ValueError("secret"))).compress_documents(given, QUESTION)
        assert kept is given
        assert "as they came: ValueError" in caplog.text and "secret" not in caplog.text

    def test_what_steers_a_graph_passes(self) -> None:
        """A reranker that interrupts its graph does interrupt it."""
        with pytest.raises(GraphInterrupt):
            ContextPruner(pruner=Broken(GraphInterrupt())).compress_documents(documents(), QUESTION)

    def test_options_that_cannot_work_are_refused_at_once(self) -> None:
        """When the pruner is made, not when it is used."""
        with pytest.raises(ConfigError, match="share"):
            ContextPruner(share=2)
        with pytest.raises(TypeError, match="shares"):
            ContextPruner(shares=0.2)
        with pytest.raises(ConfigError, match="give the options to the pruner"):
            ContextPruner(pruner=PassagePruner(), share=0.2)


class Watching(PassagePruner):
    """Notes which thread prunes."""

    threads: list[int]

    def prune(self, question: str, passages: Any) -> PrunedPassages:
        self.threads.append(threading.get_ident())
        return super().prune(question, passages)


class TestInChains:
    def test_one_step_more_in_a_chain(self) -> None:
        """`assign` takes documents and question, and puts the shorter ones in place of the longer."""
        chain = (
            {"context": RunnableLambda(lambda _: documents()), "question": RunnablePassthrough()}
            | RunnablePassthrough.assign(context=ContextPruner(share=0.3).as_runnable())
            | (lambda given: f"{given['question']} {given['context'][0].page_content}")
        )
        assert chain.invoke(QUESTION) == f"{QUESTION} The harbour of Marlow was built in 1850."

    async def test_async_in_a_thread(self) -> None:
        """Other tasks of the loop go on meanwhile."""
        pruner = Watching(share=0.3)
        pruner.threads = []
        runnable = ContextPruner(pruner=pruner).as_runnable(documents="docs", question="input")
        (kept,) = await runnable.ainvoke({"docs": documents(), "input": QUESTION})
        assert "1850" in kept.page_content
        assert pruner.threads and threading.get_ident() not in pruner.threads

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"docs": [], "question": QUESTION}, "hands on .'docs', 'question'.*documents="),
            ({"context": "joined text", "question": QUESTION}, "holds a str.*before the step"),
            ({"context": documents(), "question": 1}, "holds a int.*question="),
        ],
    )
    def test_a_chain_that_hands_on_something_else_is_told(self, given: dict[str, Any], says: str) -> None:
        """With what it hands on, and how to name it."""
        with pytest.raises(RequestError, match=says):
            ContextPruner(share=0.3).as_runnable().invoke(given)

    def test_as_the_compressor_of_a_retriever(self) -> None:
        """LangChain's own, which is in a package of its own by now."""
        retrievers = pytest.importorskip("langchain_classic.retrievers")
        from langchain_core.retrievers import BaseRetriever

        class Everything(BaseRetriever):
            def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
                return documents()

        retriever = retrievers.ContextualCompressionRetriever(
            base_compressor=ContextPruner(share=0.3), base_retriever=Everything()
        )
        assert [one.id for one in retriever.invoke(QUESTION)] == ["harbour"]
        assert [one.id for one in asyncio.run(retriever.ainvoke(QUESTION))] == ["harbour"]


class TestTravelling:
    def test_a_pruner_is_pickled(self) -> None:
        """To another process, where it does the same."""
        pruner = ContextPruner(share=0.3, title_keys=["about"])
        again = pickle.loads(pickle.dumps(pruner))
        assert again.title_keys == ("about",)
        assert again.compress_documents(documents(), QUESTION) == pruner.compress_documents(documents(), QUESTION)

    def test_dumped_as_any_compressor(self) -> None:
        """LangChain's compressors are not serialised: tracers are told a name."""
        assert dumpd(ContextPruner(share=0.3))["type"] == "not_implemented"
        assert repr(ContextPruner(share=0.3, on_audit=print)).startswith("ContextPruner(max_tokens=None, share=0.3, ")


def test_a_rerankers_scores_are_handed_on() -> None:
    """To scorers that look at them: LangChain's rerankers leave them in the metadata."""
    seen: list[Passage] = []

    class Looking(PassagePruner):
        def prune(self, question: str, passages: Any) -> PrunedPassages:
            seen.extend(passages)
            return super().prune(question, passages)

    given = documents()
    given[0].metadata["relevance_score"] = 0.25
    ContextPruner(pruner=Looking()).compress_documents(given, QUESTION)
    assert seen == [Passage(HILLS, "hills", "Hills", 0.25), Passage(HARBOUR, "harbour", "Marlow harbour")]


def test_what_is_left_out_is_counted_in_the_block_around_it() -> None:
    """Beside what shapers leave out; async prunes in a thread of its own."""
    pruner = ContextPruner(share=0.4)
    with spend() as spent:
        kept = pruner.compress_documents(documents(), QUESTION)
        asyncio.run(pruner.acompress_documents(documents(), QUESTION))
    assert spent.pruned_tokens >= 2 * (tokens(documents()) - tokens(list(kept))) > 0


def test_switched_off_documents_come_back_as_they_are(switched_off: None) -> None:
    """As with every other optimisation."""
    given = documents()
    assert ContextPruner(share=0.1).compress_documents(given, QUESTION) is given
