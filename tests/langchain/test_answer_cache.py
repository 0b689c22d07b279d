"""The answer cache before whole LangChain chains: real chains, a real vector store, real models at the wire."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core._api.deprecation import LangChainDeprecationWarning
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from langchain_tuppence import CachedChain, ChatTuppence, SpendCallbackHandler, as_embedder, cached, spend, tags
from tuppence import cache_tags
from tuppence.attempts import Result
from tuppence.cache import ExactCache, MemorySimilarStore, MemoryStore, SemanticCache, SqliteStore
from tuppence.embed.minilm import MiniLM
from tuppence.errors import ConfigError, RequestError, ScopeError
from tuppence.policy import Retries
from tuppence.spend import SqliteLedger, report
from tuppence.testing import ProviderServer, Turn

from . import parts

TEA, CAKE = "What does a cup of tea cost?", "What does a slice of cake cost?"
PROMPT = "Answer from the context.\n{context}\n\n{question}"


class Rag:
    """A RAG chain that counts its retrievals."""

    def __init__(self, llm: Runnable[Any, Any], prompt: str = PROMPT) -> None:
        self.retrieved = 0
        store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
        store.add_documents([Document("Tea is two pence.", id="tea"), Document("Cake is a shilling.", id="cake")])
        self.store = store
        inputs = {"context": RunnableLambda(self.retrieve), "question": RunnablePassthrough()}
        self.chain = inputs | ChatPromptTemplate.from_template(prompt) | llm | StrOutputParser()

    def retrieve(self, question: str) -> list[Document]:
        self.retrieved += 1
        return self.store.similarity_search(question, k=2)


@pytest.fixture
def llm(server: ProviderServer) -> ChatTuppence:
    return ChatTuppence(tiers=[parts.small(server)], ledger=None)


@pytest.fixture
def rag(llm: ChatTuppence) -> Rag:
    return Rag(llm)


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExactCache]:
    opened = ExactCache(MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "answers.sqlite"))
    yield opened
    opened.close()


def plain(chain: Runnable[Any, Any], **options: Any) -> CachedChain[Any, Any]:
    return cached(chain, **{"corpus_version": "1", "ledger": None, **options})


def test_a_repeat_saves_retrieval_and_model(rag: Rag, cache: ExactCache, server: ProviderServer) -> None:
    """The second answer is the first one, and neither the vector store nor the provider was asked for it."""
    chain = plain(rag.chain, cache=cache)
    assert chain.invoke(TEA) == chain.invoke(TEA)
    assert (rag.retrieved, len(server.served)) == (1, 1)


async def test_every_entry_serves_and_fills(rag: Rag, cache: ExactCache, server: ProviderServer) -> None:
    """invoke, ainvoke, stream, astream, batch and abatch share their answers; streams come in pieces."""
    chain = plain(rag.chain, cache=cache)
    whole = chain.invoke(TEA)
    assert await chain.ainvoke(TEA) == whole
    streamed = list(chain.stream(TEA))
    assert len(streamed) > 1
    assert "".join(streamed) == whole
    assert "".join([piece async for piece in chain.astream(TEA)]) == whole
    assert chain.batch([TEA, TEA]) == await chain.abatch([TEA, TEA]) == [whole, whole]
    assert len(server.served) == 1
    filled = "".join([piece async for piece in chain.astream(CAKE)])
    assert chain.invoke(CAKE) == filled
    assert len(server.served) == 2


async def test_it_is_a_runnable_like_any_other(rag: Rag) -> None:
    """It composes with `|`, streams through a sequence, and tells event streams what it serves."""
    chain = RunnableLambda(str.strip) | plain(rag.chain) | RunnableLambda(str.upper)
    assert chain.invoke(f" {TEA} ") == "".join(chain.stream(TEA)).upper()
    events = [e async for e in plain(rag.chain).astream_events(TEA, version="v2")]
    assert events[0]["event"] == "on_chain_start"
    assert events[-1]["data"]["output"].upper() == chain.invoke(TEA)


@pytest.mark.parametrize("other", [{"corpus_version": "2"}, {"version": "2"}, {"name": "another"}])
def test_another_corpus_version_or_chain_is_another_shelf(
    rag: Rag, other: dict[str, Any], server: ProviderServer
) -> None:
    shared = ExactCache(MemoryStore())
    plain(rag.chain, cache=shared).invoke(TEA)
    plain(rag.chain, **{"cache": shared, **other}).invoke(TEA)
    assert len(server.served) == 2


def test_the_chain_is_told_by_its_configuration(llm: ChatTuppence, server: ProviderServer) -> None:
    """The same chain made again shares answers; another prompt, model or function does not."""
    shared = ExactCache(MemoryStore())

    def ask(chain: Runnable[Any, Any]) -> int:
        plain(chain, cache=shared).invoke(TEA)
        return len(server.served)

    assert ask(Rag(llm).chain) == ask(Rag(llm).chain) == 1
    assert ask(Rag(llm, prompt="Be brief.\n" + PROMPT).chain) == 2
    assert ask(Rag(ChatTuppence(tiers=[parts.large(server)], ledger=None)).chain) == 3
    assert ask(Rag(llm).chain | RunnableLambda(lambda text: text + "!")) == 4
    assert ask(Rag(llm).chain | RunnableLambda(lambda text: text + "?")) == 5
    assert ask(Rag(ChatTuppence(tiers=[parts.small(server)], ledger=None, max_tokens=9)).chain) == 6
    assert ask(Rag(ChatTuppence(tiers=[parts.small(server)], ledger=None)).chain) == 6


ALIKE = """
from langchain_core.messages import SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langchain_tuppence import ChatTuppence, cached

def chain(rule="Be brief.", fields=("x",), model=None):
    prompt = ChatPromptTemplate.from_messages([SystemMessage(rule), ("human", "{question}")])
    schema = {"title": "A", "type": "object", "properties": {name: {"type": "string"} for name in fields}}
    model = model or ChatTuppence(tiers=[ChatOpenAI(model="gpt-4o-mini", api_key="x")], ledger=None)
    return prompt | model.with_structured_output(schema) | RunnableLambda(lambda told: {"a", "b", "c"} and told)

def identity(made):
    return cached(made, corpus_version="1", ledger=None)._answers._policy.version
"""


def test_a_chain_is_known_by_the_same_name_in_every_process() -> None:
    """Its answers in a file are found again after a restart."""
    made = {
        subprocess.run(
            [sys.executable, "-c", f"{ALIKE}\nprint(identity(chain()))"], env=os.environ | {"PYTHONHASHSEED": seed},
            check=True, text=True, capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(made) == 1


def test_literal_messages_schemas_and_plain_models_tell_chains_apart(llm: ChatTuppence) -> None:
    told: dict[str, Any] = {}
    exec(ALIKE, told)
    chain, identity = told["chain"], told["identity"]
    others = [chain(), chain(rule="Be long."), chain(fields=("name",)), chain(fields=("tags",)), chain(model=llm)]
    assert len({identity(one) for one in others}) == len(others)


def test_a_corpus_version_is_asked_for_at_each_call(rag: Rag, server: ProviderServer) -> None:
    """When the documents change, their answers are no longer found; when they change back, they are."""
    now = ["monday"]
    chain = plain(rag.chain, corpus_version=lambda: now[0])
    for day, served in (("monday", 1), ("monday", 1), ("tuesday", 2), ("monday", 2)):
        now[0] = day
        chain.invoke(TEA)
        assert len(server.served) == served


@pytest.mark.parametrize("version", [lambda: 1 / 0, lambda: None, lambda: ""])
def test_a_corpus_version_that_fails_costs_the_cache_not_the_answer(
    rag: Rag, version: Callable[[], Any], server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    chain = plain(rag.chain, corpus_version=version)
    assert chain.invoke(TEA) == chain.invoke(TEA)
    assert len(server.served) == 2
    assert "without its cache" in caplog.text


class Broken(MemoryStore):
    def get(self, key: str) -> Any:
        raise OSError("no disk")

    def put(self, *given: Any) -> None:
        raise OSError("no disk")


def test_a_broken_cache_never_breaks_the_chain(rag: Rag, server: ProviderServer) -> None:
    seen: list[Result] = []
    chain = plain(rag.chain, cache=ExactCache(Broken()), on_result=seen.append)
    assert chain.invoke(TEA) == "".join(chain.stream(TEA))
    assert len(server.served) == 2
    assert "no disk" in seen[0].decision.faults[0]


def test_tenants_never_share_and_a_missing_one_stops(rag: Rag, server: ProviderServer) -> None:
    """The tenant is taken from the context or the config's metadata, as everywhere."""
    chain = plain(rag.chain, cache=ExactCache(MemoryStore(), require_tenant=True))
    with tags(tenant="a"):
        chain.invoke(TEA)
    chain.invoke(TEA, {"metadata": {"tuppence_tenant": "b"}})
    assert len(server.served) == 2
    chain.invoke(TEA, {"metadata": {"tuppence_tenant": "a"}})
    assert len(server.served) == 2
    with pytest.raises(ScopeError, match="tenant"):
        chain.invoke(TEA)


def test_tags_take_answers_out(rag: Rag, server: ProviderServer) -> None:
    chain = plain(rag.chain, cache=(shared := ExactCache(MemoryStore())))
    with cache_tags("prices"):
        chain.invoke(TEA)
    assert shared.invalidate("prices") == 1
    chain.invoke(TEA)
    assert len(server.served) == 2


@pytest.mark.parametrize("of_loop", [False, True])
async def test_equal_questions_at_once_run_the_chain_once(rag: Rag, of_loop: bool, server: ProviderServer) -> None:
    """A hundred threads, or tasks, and one run; the others wait for its answer."""
    chain = plain(rag.chain)
    if of_loop:
        answers = await asyncio.gather(*(chain.ainvoke(TEA) for _ in range(100)))
    else:
        start = threading.Barrier(20)

        def ask(_: int) -> str:
            start.wait()
            return str(chain.invoke(TEA))

        with ThreadPoolExecutor(20) as pool:
            answers = await asyncio.get_running_loop().run_in_executor(None, lambda: list(pool.map(ask, range(20))))
    assert len(set(answers)) == 1
    assert (rag.retrieved, len(server.served)) == (1, 1)


def test_a_stream_that_is_left_keeps_nothing(rag: Rag, server: ProviderServer) -> None:
    """Half an answer is none; the next caller runs the chain, and does not wait for the one that went."""
    chain = plain(rag.chain)
    stream = chain.stream(TEA)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert chain.invoke(TEA)
    assert len(server.served) == 2


# -- money


def test_a_hit_is_a_row_that_says_what_the_run_had_cost(server: ProviderServer, tmp_path: Path) -> None:
    """What the chain's models cost is in their own rows once; a hit saves all of it."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    rag = Rag(ChatTuppence(tiers=[parts.small(server)], ledger=ledger))
    chain = plain(rag.chain, ledger=ledger)
    with spend() as spent:
        for _ in range(3):
            chain.invoke(TEA)
    ledger.close()
    made = report(tmp_path / "ledger.sqlite")
    assert made.total.cost_usd == spent.usd == parts.billed(server)
    lines = {line.key[0]: line for line in made.lines}
    assert (lines["cache"].hits, lines["cache"].saved_usd) == (2, 2 * parts.billed(server))
    assert [a.outcome for a in spent.attempts] == ["accepted", "hit", "hit"]
    assert spent.attempts[1].latency_ms > 0


def test_models_that_are_not_ours_are_counted_too(server: ProviderServer) -> None:
    """A plain ChatOpenAI in the chain has its list price; spend handlers see hits like any other."""
    chain = plain(Rag(parts.openai(server, "gpt-4o-mini")).chain)
    handler = SpendCallbackHandler()
    for _ in range(2):
        chain.invoke(TEA, {"callbacks": [handler]})
    bought, hit = handler.attempts
    assert bought.pico_usd
    assert (hit.outcome, hit.baseline_pico) == ("hit", bought.pico_usd)


def test_a_price_that_nobody_knows_is_no_saving(server: ProviderServer) -> None:
    chain = plain(Rag(parts.openai(server, "nobodys-model")).chain)
    with spend() as spent:
        chain.invoke(TEA)
        chain.invoke(TEA)
    assert [(a.outcome, a.baseline_pico) for a in spent.attempts] == [("hit", None)]


# -- what is kept


def retrieval_chain(rag: Rag) -> Runnable[Any, Any]:
    """Make a chain whose output is a dict with the question, its documents and the answer."""
    answering = ChatPromptTemplate.from_template("{context}\n\n{input}") | RunnableLambda(lambda p: p.to_string())
    return RunnablePassthrough.assign(context=lambda given: rag.retrieve(given["input"])) | (
        RunnablePassthrough.assign(answer=answering)
    )


def test_a_dict_with_documents_comes_back_whole(rag: Rag) -> None:
    chain = plain(retrieval_chain(rag))
    first, again = chain.invoke({"input": TEA}), chain.invoke({"input": TEA})
    assert rag.retrieved == 1
    assert again == first
    assert isinstance(again["context"][0], Document)
    assert {d.id for d in again["context"]} == {"tea", "cake"}
    pieces = list(chain.stream({"input": TEA}))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole + piece
    assert whole == first
    assert first["context"][0] is not again["context"][0]


def test_a_message_comes_back_as_one_that_cost_nothing(llm: ChatTuppence) -> None:
    """Its tokens were paid before, and it says why it was served."""
    chain = plain(ChatPromptTemplate.from_template("{question}") | llm)
    "".join(str(piece.content) for piece in chain.stream({"question": TEA}))
    again = chain.invoke({"question": TEA})
    assert type(again) is AIMessage
    assert again.usage_metadata is not None
    assert again.usage_metadata["total_tokens"] == 0
    assert again.response_metadata["tuppence"]["tier"] == "cache"
    assert again.response_metadata["tuppence"]["cache"].startswith("hit")


def test_what_is_no_json_is_handed_on_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The type is named once; nothing is pickled, and nobody else is kept waiting."""

    class Opaque:
        pass

    made: list[Opaque] = []

    def make(_: str) -> Opaque:
        made.append(Opaque())
        return made[-1]

    chain = plain(RunnableLambda(make))
    with caplog.at_level(logging.WARNING, logger="tuppence.answers"):
        assert chain.invoke("a") is made[0]
        assert chain.invoke("a") is made[1]
        assert list(chain.stream("a")) == [made[2]]
    assert caplog.text.count("Opaque") == 1


def test_an_output_that_holds_itself_is_handed_on() -> None:
    """What the cache stumbles over never costs an answer that was made."""

    def make(_: str) -> dict[str, Any]:
        made: dict[str, Any] = {"answer": "an answer"}
        made["self"] = made
        return made

    chain = plain(RunnableLambda(make))
    assert chain.invoke("a")["answer"] == "an answer"
    assert next(iter(chain.stream("a")))["answer"] == "an answer"


@pytest.mark.parametrize(("depth", "made"), [(40, 1), (400, 2)])
def test_an_output_deeper_than_answers_are_is_handed_on_and_not_kept(depth: int, made: int) -> None:
    """Long before Python's stack ends: what the collector ends there fails."""
    calls: list[str] = []

    def make(asked: str) -> dict[str, Any]:
        calls.append(asked)
        nested: list[Any] = []
        for _ in range(depth):
            nested = [nested]
        return {"answer": "an answer", "nested": nested}

    chain = plain(RunnableLambda(make))
    assert chain.invoke("a") == chain.invoke("a")
    assert len(calls) == made


def test_an_answer_that_was_cut_short_inside_is_not_kept(server: ProviderServer) -> None:
    """The chain hands on text only; that its model had more to say is still known."""
    for model in ("small-model", "plain-model"):
        server.model(model, replies=[Turn("Half an ans", finish="length"), "A whole answer."])
    for chat in (ChatTuppence(tiers=[parts.small(server)], ledger=None), parts.openai(server, "plain-model")):
        chain = plain(Rag(chat).chain)
        assert [chain.invoke(TEA) for _ in range(3)] == ["Half an ans", "A whole answer.", "A whole answer."]


def test_a_draft_that_failed_its_check_is_not_kept(server: ProviderServer) -> None:
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.REFUSAL)
    llm = parts.ladder(server, cache=None, retries=Retries(validation=1))
    chain = plain(Rag(llm).chain)
    chain.invoke(TEA)
    asked = len(server.served)
    chain.invoke(TEA)
    assert len(server.served) > asked


# -- what is asked


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"question": TEA, "k": 1}, {"k": 1, "question": TEA}, True),
        ({"question": TEA, "k": 1}, {"question": TEA, "k": 2}, False),
        ({"question": TEA, "history": [HumanMessage("Hi")]}, {"question": TEA, "history": [HumanMessage("Hi")]}, True),
        ({"question": TEA, "history": [HumanMessage("Hi")]}, {"question": TEA, "history": []}, False),
        ({"question": TEA, "seen": object()}, {"question": TEA, "seen": object()}, False),
        ([HumanMessage(TEA)], [HumanMessage(TEA)], True),
        ([HumanMessage("Hi"), HumanMessage(TEA)], [HumanMessage(TEA)], False),
    ],
)
def test_all_that_stands_beside_the_question_counts(first: Any, second: Any, same: bool) -> None:
    runs: list[Any] = []
    chain = plain(RunnableLambda(lambda given: runs.append(given) or "an answer"))  # type: ignore[func-returns-value]
    chain.invoke(first)
    chain.invoke(second)
    assert len(runs) == (1 if same else 2)


def test_what_configures_the_call_counts() -> None:
    """A thread, a bound argument: what a chain may look at is part of the question."""
    runs: list[Any] = []

    def answer(given: str, config: RunnableConfig) -> str:
        runs.append(config["configurable"])
        return "an answer"

    chain = plain(RunnableLambda(answer))
    for thread in ("a", "b", "a"):
        chain.invoke(TEA, {"configurable": {"thread_id": thread}})
    assert len(runs) == 2


def test_a_graphs_node_shares_answers_within_its_thread_or_beyond() -> None:
    """What a graph passes on of its own machinery is another one at each step, and no part of the question."""
    runs: list[Any] = []
    chain = plain(RunnableLambda(lambda given: runs.append(given) or "an answer"))  # type: ignore[func-returns-value]

    def asked(config: RunnableConfig | None, *threads: str) -> int:
        runs.clear()
        chain.cache._store.clear()
        graph = StateGraph(dict)
        graph.add_node("node", lambda state: {"told": chain.invoke(TEA, config)})
        graph.add_edge(START, "node")
        compiled = graph.compile(checkpointer=InMemorySaver())
        for thread in threads:
            compiled.invoke({}, {"configurable": {"thread_id": thread}})
        return len(runs)

    assert asked(None, "a", "a", "b") == 2
    assert asked({"configurable": {}}, "a", "a", "b") == 1


def test_a_question_that_cannot_be_told_is_asked_for() -> None:
    chain = RunnableLambda(lambda given: "an answer")
    with pytest.raises(RequestError, match=r"'colour', 'size'.*question="):
        plain(chain).invoke({"colour": "red", "size": "big"})
    assert plain(chain, question="size").invoke({"colour": "red", "size": "big"}) == "an answer"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cache": None}, "cache is None"),
        ({"corpus_version": ""}, "corpus_version is ''"),
        ({"corpus_version": 7}, "corpus_version is 7"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plain(RunnableLambda(str), **options)
    with pytest.raises(ConfigError, match="Runnable"):
        cached(str, corpus_version="1")  # type: ignore[arg-type]


def test_a_chain_that_remembers_is_refused_with_the_reason(llm: ChatTuppence) -> None:
    """Served from a cache, a turn would be missing from its history."""
    histories: dict[str, InMemoryChatMessageHistory] = {}
    with warnings.catch_warnings(action="ignore", category=LangChainDeprecationWarning):
        remembering = RunnableWithMessageHistory(llm, lambda session: histories[session])
    with pytest.raises(ConfigError, match=r"RunnableWithMessageHistory.*conversation"):
        plain(RunnableLambda(str) | remembering)
    graph = create_agent(llm, [], checkpointer=InMemorySaver())
    with pytest.raises(ConfigError, match="checkpointer"):
        plain(graph)


def test_a_graph_without_memory_is_a_chain_like_any_other(llm: ChatTuppence, server: ProviderServer) -> None:
    """Its messages come back; who is served is told by the question's own message."""
    chain = plain(create_agent(llm, []))
    asked = {"messages": [HumanMessage(TEA)]}
    first, again = chain.invoke(asked), chain.invoke(asked)
    assert [m.content for m in again["messages"]] == [m.content for m in first["messages"]]
    assert chain.invoke({"messages": [("user", TEA)]})
    assert len(server.served) == 1
    updates = list(chain.stream(asked))
    assert [list(update) for update in updates] == [["model"]]
    assert list(chain.invoke(asked)) == ["messages"]


# -- in other words


def semantic(**options: Any) -> SemanticCache:
    return SemanticCache(
        as_embedder(DeterministicFakeEmbedding(size=16), model="fake"), similar=MemorySimilarStore(), threshold=0.01,
        same=lambda first, second: first == second, **options,
    )  # fmt: skip


def test_a_question_in_other_words_is_served_as_the_flow_serves_it(rag: Rag, server: ProviderServer) -> None:
    """Exact first; then the decision, which is asked with the question alone, whatever was retrieved."""
    pytest.importorskip("onnxruntime")
    seen: list[Result] = []
    cache = SemanticCache(MiniLM(), similar=MemorySimilarStore())
    chain = plain(rag.chain, cache=cache, on_result=seen.append)
    first = chain.invoke("How do I cancel my gym membership?")
    assert chain.invoke("How can I cancel my gym membership?") == first
    assert chain.invoke("How can I cancel my gym membership in 3 days?")
    assert [result.tier for result in seen] == ["chain", "similar", "chain"]
    assert (rag.retrieved, len(server.served)) == (2, 2)


def test_a_verifier_is_asked_and_its_cost_is_taken_off_the_saving(server: ProviderServer) -> None:
    """It fails closed, and what it cost is not counted as saved."""
    pytest.importorskip("onnxruntime")
    server.model("large-model", replies=["no", "yes"])
    judge = ChatTuppence(tiers=[parts.large(server)], ledger=None)
    cache = SemanticCache(MiniLM(), similar=MemorySimilarStore(), verified_by="judge")
    chain = plain(Rag(ChatTuppence(tiers=[parts.small(server)], ledger=None)).chain, cache=cache, judge=judge)
    with spend() as spent:
        chain.invoke("How do I cancel my gym membership?")
        chain.invoke("How can I cancel my gym membership?")
        chain.invoke("How might I cancel my gym membership?")
    served = [a for a in spent.attempts if a.outcome == "hit"]
    runs = [a.pico_usd for a in spent.attempts if a.tier == "small"]
    judged = [a.pico_usd for a in spent.attempts if a.tier == "large"]
    assert (len(served), len(runs), len(judged)) == (1, 2, 2)
    assert served[0].tier == "similar"
    assert served[0].baseline_pico in [run - judged[1] for run in runs]  # type: ignore[operator]
    with pytest.raises(ConfigError, match="judge="):
        plain(RunnableLambda(str), cache=semantic(verified_by="judge"))
