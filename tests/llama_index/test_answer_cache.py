"""The answer cache before LlamaIndex query engines: a real index and synthesizer, real models at the wire."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import ChatPromptTemplate, Document, MockEmbedding, PromptTemplate, VectorStoreIndex
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import QueryBundle

from llama_index_tuppence import CachedQueryEngine, SpendEventHandler, TuppenceLLM, cached, spend, tags, tier
from tuppence.attempts import Result
from tuppence.cache import ExactCache, MemorySimilarStore, MemoryStore, SemanticCache, SqliteStore
from tuppence.embed.minilm import MiniLM
from tuppence.errors import ConfigError, ScopeError
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger, report
from tuppence.testing import ProviderServer, Turn

Make = Callable[..., Any]
TEA, CAKE = "What does a cup of tea cost?", "What does a slice of cake cost?"


@pytest.fixture
def index() -> VectorStoreIndex:
    documents = [Document(text="Tea is two pence.", id_="tea"), Document(text="Cake is a shilling.", id_="cake")]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(8))


@pytest.fixture
def llm(make: Make) -> TuppenceLLM:
    return small(make)


def small(make: Make, **options: Any) -> TuppenceLLM:
    return TuppenceLLM(
        [tier(make("small-model"), rate=token_rate(input="1", output="2"))], **{"ledger": None, **options}
    )


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExactCache]:
    opened = ExactCache(MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "answers.sqlite"))
    yield opened
    opened.close()


def plain(engine: Any, **options: Any) -> CachedQueryEngine:
    return cached(engine, **{"corpus_version": "1", "ledger": None, **options})


async def test_a_repeat_comes_back_with_its_sources(
    index: VectorStoreIndex, llm: TuppenceLLM, cache: ExactCache, provider: ProviderServer
) -> None:
    """The same response, nodes and scores, of objects of its own; neither retriever nor provider is asked."""
    engine = plain(index.as_query_engine(llm=llm), cache=cache)
    first, again, third = engine.query(TEA), engine.query(TEA), await engine.aquery(TEA)
    assert len(provider.served) == 1
    assert type(again) is Response
    assert first == again == third
    assert first.source_nodes[0].node is not again.source_nodes[0].node
    assert {node.node.ref_doc_id for node in again.source_nodes} == {"tea", "cake"}


async def test_a_streaming_engine_streams_its_hits(
    index: VectorStoreIndex, llm: TuppenceLLM, cache: ExactCache, provider: ProviderServer
) -> None:
    """Sync and async streams share their answers, and come in pieces with their sources known from the start."""
    engine = plain(index.as_query_engine(llm=llm, streaming=True), cache=cache)
    first, again = engine.query(TEA), engine.query(TEA)
    assert isinstance(first, StreamingResponse)
    assert isinstance(again, StreamingResponse)
    whole = "".join(first.response_gen)
    assert first.source_nodes == engine.query(TEA).source_nodes
    pieces = list(engine.query(TEA).response_gen)
    assert len(pieces) > 1
    assert "".join(pieces) == whole
    after = await engine.aquery(TEA)
    assert isinstance(after, AsyncStreamingResponse)
    assert "".join([piece async for piece in after.response_gen]) == whole
    filled = await engine.aquery(CAKE)
    text = "".join([piece async for piece in filled.response_gen])
    assert str(engine.query(CAKE)) == text


def test_a_stream_that_is_left_keeps_nothing(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    engine = plain(index.as_query_engine(llm=llm, streaming=True))
    left = engine.query(TEA)
    next(left.response_gen)
    left.response_gen.close()
    str(engine.query(TEA))
    assert len(provider.served) == 2


def test_the_engine_is_told_by_its_configuration(
    index: VectorStoreIndex, llm: TuppenceLLM, make: Make, provider: ProviderServer
) -> None:
    """The same engine made again shares answers; another prompt, model, depth or corpus does not."""
    shared = ExactCache(MemoryStore())

    def ask(model: Any = llm, corpus: str = "1", **options: Any) -> int:
        plain(index.as_query_engine(llm=model, **options), cache=shared, corpus_version=corpus).query(TEA)
        return len(provider.served)

    assert ask() == ask() == 1
    assert ask(similarity_top_k=1) == 2
    assert ask(text_qa_template=PromptTemplate("{context_str} Briefly: {query_str}")) == 3
    assert ask(model=make("small-model", temperature=0.5)) == 4
    assert ask(corpus="2") == 5


ALIKE = """
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index_tuppence import TuppenceLLM, cached

index = VectorStoreIndex.from_documents([Document(text="tea")], embed_model=MockEmbedding(8))
for llm in (MockLLM(), TuppenceLLM([MockLLM()], ledger=None)):
    print(cached(index.as_query_engine(llm=llm), corpus_version="1", ledger=None)._answers._policy.version)
"""


def test_an_engine_is_known_by_the_same_name_in_every_process() -> None:
    """Its answers in a file are found again after a restart."""
    made = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ALIKE], env=os.environ | {"PYTHONHASHSEED": seed}, check=True,
            text=True, capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(made) == 1


def test_the_messages_of_a_chat_prompt_tell_engines_apart(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    shared = ExactCache(MemoryStore())
    for rule in ("Be brief.", "Be long.", "Be brief."):
        prompt = ChatPromptTemplate.from_messages([("system", rule), ("user", "{context_str} {query_str}")])
        plain(index.as_query_engine(llm=llm, text_qa_template=prompt), cache=shared).query(TEA)
    assert len(provider.served) == 2


async def test_equal_questions_at_once_run_the_engine_once(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    engine = plain(index.as_query_engine(llm=llm))
    answers = await asyncio.gather(*(engine.aquery(TEA) for _ in range(100)))
    assert len({str(answer) for answer in answers}) == 1
    assert len(provider.served) == 1


def test_tenants_never_share_and_a_missing_one_stops(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    engine = plain(index.as_query_engine(llm=llm), cache=ExactCache(MemoryStore(), require_tenant=True))
    for tenant in ("a", "b", "a"):
        with tags(tenant=tenant):
            engine.query(TEA)
    assert len(provider.served) == 2
    with pytest.raises(ScopeError, match="tenant"):
        engine.query(TEA)


def test_what_the_engine_embeds_beside_its_question_counts(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    engine = plain(index.as_query_engine(llm=llm))
    engine.query(TEA)
    engine.query(QueryBundle(TEA, custom_embedding_strs=["tea", "price"]))
    assert len(provider.served) == 2


def test_a_hit_is_a_row_that_says_what_the_run_had_cost(
    index: VectorStoreIndex, make: Make, provider: ProviderServer, tmp_path: Path, attach: Callable[[Any], Any]
) -> None:
    """Of our models and of others; spend handlers see hits as well."""
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    handler = attach(SpendEventHandler())
    for llm, model in ((small(make, ledger=ledger), "small-model"), (make("gpt-4o-mini"), "gpt-4o-mini")):
        engine = plain(index.as_query_engine(llm=llm), ledger=ledger)
        with spend() as spent:
            engine.query(TEA)
            engine.query(TEA)
        hit = spent.attempts[-1]
        (bought,) = (a for a in handler.attempts if a.usage.output and a.model == model)
        assert (hit.outcome, hit.baseline_pico) == ("hit", bought.pico_usd)
    ledger.close()
    made = report(path).total
    assert made.hits == handler.hits == 2
    assert made.cost_usd > 0


def test_a_cached_engine_inside_another_costs_both_the_same(
    index: VectorStoreIndex, make: Make, provider: ProviderServer
) -> None:
    """What the inner one's models cost is also what the outer one's run had cost."""

    class Around(CustomQueryEngine):
        inner: Any

        def custom_query(self, query_str: str) -> Any:
            return self.inner.query(query_str)

    engine = plain(Around(inner=plain(index.as_query_engine(llm=make("gpt-4o-mini")), name="inner")), name="outer")
    with spend() as spent:
        engine.query(TEA)
        engine.query(TEA)
    assert len(provider.served) == 1
    assert spent.attempts[-1].baseline_pico


class Nothing(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[Any]:
        return []


def test_nothing_found_and_half_an_answer_are_not_kept(
    index: VectorStoreIndex, make: Make, provider: ProviderServer
) -> None:
    """ "Empty Response" is LlamaIndex's word for no answer; one that was cut short is none either."""
    seen: list[Result] = []
    empty = plain(RetrieverQueryEngine.from_args(Nothing(), llm=make()), on_result=seen.append)
    assert str(empty.query(TEA)) == str(empty.query(TEA)) == "Empty Response"
    assert [result.tier for result in seen] == ["query engine"] * 2
    for model in ("small-model", "gpt-4o-mini"):
        provider.model(model, replies=[Turn("Half an ans", finish="length"), "A whole answer."])
    for llm in (small(make), make("gpt-4o-mini")):
        engine = plain(index.as_query_engine(llm=llm))
        answers = [str(engine.query(TEA)) for _ in range(3)]
        assert answers == ["Half an ans", "A whole answer.", "A whole answer."]


class Odd(CustomQueryEngine):
    """An engine whose response carries what is no JSON."""

    def custom_query(self, query_str: str) -> Any:
        return Response("an answer", metadata={"when": object()})


def test_what_is_no_json_is_handed_on_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    engine = plain(Odd())
    assert str(engine.query(TEA)) == str(engine.query(TEA)) == "an answer"
    assert caplog.text.count("builtins.object") == 1


def test_a_question_in_other_words_is_served(
    index: VectorStoreIndex, llm: TuppenceLLM, provider: ProviderServer
) -> None:
    pytest.importorskip("onnxruntime")
    seen: list[Result] = []
    cache = SemanticCache(MiniLM(), similar=MemorySimilarStore())
    engine = plain(index.as_query_engine(llm=llm), cache=cache, on_result=seen.append)
    for question in (
        "How do I cancel my gym membership?", "How can I cancel my gym membership?",
        "How can I cancel my gym membership in 3 days?",
    ):  # fmt: skip
        engine.query(question)
    assert [result.tier for result in seen] == ["query engine", "similar", "query engine"]


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_verifier_has_the_last_word(
    index: VectorStoreIndex, llm: TuppenceLLM, make: Make, provider: ProviderServer, answer: str
) -> None:
    pytest.importorskip("onnxruntime")
    provider.model("judge-model", replies=answer)
    cache = SemanticCache(MiniLM(), similar=MemorySimilarStore(), verified_by="judge")
    engine = plain(index.as_query_engine(llm=llm), cache=cache, judge=make("judge-model"))
    engine.query("How do I cancel my gym membership?")
    engine.query("How can I cancel my gym membership?")
    await engine.aquery("How might I cancel my gym membership?")
    asked = [one.model for one in provider.served]
    assert asked.count("small-model") == (1 if answer == "yes" else 3)


def test_a_chat_engine_is_refused_with_the_reason(index: VectorStoreIndex, llm: TuppenceLLM) -> None:
    """Its answer hangs on a conversation that no cache in front of it can see."""
    with pytest.raises(ConfigError, match=r"conversation.*as_query_engine"):
        cached(
            SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm)),  # type: ignore[arg-type]
            corpus_version="1",
        )
    with pytest.raises(ConfigError, match="query engine"):
        cached(index, corpus_version="1")  # type: ignore[arg-type]
