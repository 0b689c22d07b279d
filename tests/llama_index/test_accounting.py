"""The accounts of LlamaIndex programs: whatever the surface and however the call ends, the ledger, the spend handler
and the provider's own log agree to the pico-dollar, every attempt is seen once, and no draft reaches the user.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import surfaces
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llm_suite import CITY, ONE_CALL, Heard, user
from surfaces import AGENTS, ASYNC, STRUCTURED, TALKS, Surface
from workflows.errors import WorkflowCancelledByUser

from llama_index_tuppence import SpendCallbackHandler, SpendEventHandler, TuppenceLLM
from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.usage import read_usage

# LlamaIndex's workflows look through all attributes of their pydantic models, the deprecated ones too.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")

SMALL, LARGE = "gpt-4o-mini", "gpt-4o"
REFUSAL = "I'm sorry, but I can't help with that."
GOOD = "It is one thousand three hundred and eight metres deep where it is deepest. " * 4


class Books:
    """The three accounts of one test."""

    def __init__(self, provider: ProviderServer, spent: SpendEventHandler, ledger: SqliteLedger) -> None:
        self.provider = provider
        self.spent = spent
        self.ledger = ledger

    @property
    def rows(self) -> list[dict[str, Any]]:
        self.ledger.flush()
        with sqlite3.connect(self.ledger.path) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute("SELECT * FROM attempts ORDER BY started_us, n")]
        database.close()
        return found

    @property
    def bill(self) -> int:
        """What the provider's log comes to at list prices, in pico-USD."""
        total = 0
        for one in self.provider.served:
            if one.usage is not None:
                rate = PriceBook.default().rate(one.model)
                assert rate is not None
                cost = rate.cost(read_usage("chat", one.usage))
                assert cost is not None
                total += cost
        return total

    def agree(self) -> None:
        """Ledger, handler and provider say the same, attempt by attempt and in all."""
        rows = self.rows
        attempts = [a for a in self.spent.attempts if a.cause != "observed"]
        assert [(r["tier"], r["outcome"], r["pico_usd"]) for r in rows] == [
            (a.tier, a.outcome, a.pico_usd) for a in attempts
        ]
        assert sum(r["pico_usd"] for r in rows) == self.spent.pico_usd == self.bill
        assert len([r for r in rows if r["outcome"] != "hit"]) == len(self.provider.served)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def books(provider: ProviderServer, attach: Any, ledger: SqliteLedger) -> Books:
    return Books(provider, attach(SpendEventHandler()), ledger)


@pytest.fixture
def heard(attach: Any) -> Heard:
    handler: Heard = attach(Heard())
    return handler


@pytest.fixture
def llm(make: Any, ledger: SqliteLedger) -> TuppenceLLM:
    return TuppenceLLM([make(SMALL), make(LARGE)], cache=True, ledger=ledger, retries=0)


def good_for(surface: Surface) -> list[Turn]:
    """The answers that make a surface succeed."""
    if surface in AGENTS:
        return [ONE_CALL, Turn(GOOD)]
    return [CITY] if surface in STRUCTURED else [Turn(GOOD)]


def named(surface: Callable[..., Any]) -> str:
    return surface.__name__


EVERY = (*TALKS, *AGENTS, *STRUCTURED)


@pytest.mark.parametrize("surface", EVERY, ids=named)
async def test_first_accepted(surface: Surface, llm: TuppenceLLM, books: Books, heard: Heard) -> None:
    """One attempt a call, each seen once."""
    books.provider.model(SMALL, replies=good_for(surface))
    assert await surface(llm)
    books.agree()
    assert {r["outcome"] for r in books.rows} == {"accepted"}
    assert ended_for_a_tier(heard) == len(books.provider.served)


@pytest.mark.parametrize("surface", EVERY, ids=named)
async def test_escalated(surface: Surface, llm: TuppenceLLM, books: Books, heard: Heard) -> None:
    """Rejected drafts are paid for and told to handlers, and the user never sees a word of them."""
    books.provider.model(SMALL, replies=REFUSAL)
    books.provider.model(LARGE, replies=good_for(surface))
    text = await surface(llm)
    assert "sorry" not in text
    books.agree()
    assert {(r["tier"], r["outcome"]) for r in books.rows} == {(SMALL, "rejected"), (LARGE, "accepted")}
    assert ended_for_a_tier(heard) == len(books.provider.served)


@pytest.mark.parametrize("surface", EVERY, ids=named)
async def test_first_tier_fails(surface: Surface, llm: TuppenceLLM, books: Books) -> None:
    """A refused request costs nothing and is written down."""
    books.provider.model(SMALL, replies=Fault(status=500))
    books.provider.model(LARGE, replies=good_for(surface))
    assert await surface(llm)
    books.agree()
    assert {(r["outcome"], r["pico_usd"]) for r in books.rows if r["tier"] == SMALL} == {("failed", 0)}


@pytest.mark.parametrize("surface", TALKS, ids=named)
async def test_exact_hit(surface: Surface, llm: TuppenceLLM, books: Books) -> None:
    """The same again costs nothing, and is counted as a hit by everybody."""
    books.provider.model(SMALL, replies=GOOD)
    first, again = await surface(llm), await surface(llm)
    assert first == again
    books.agree()
    assert [r["outcome"] for r in books.rows] == ["accepted", "hit"]
    assert books.spent.hits == 1
    assert len(books.provider.served) == 1


@pytest.mark.parametrize("surface", ASYNC, ids=named)
async def test_cancelled(surface: Surface, llm: TuppenceLLM, books: Books) -> None:
    """A cancelled call is closed and billed by an estimate that says so; nobody is asked after it."""
    books.provider.model(SMALL, replies=Fault.hang())
    task = asyncio.ensure_future(surface(llm))
    await asyncio.to_thread(books.provider.await_arrived, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    billed_by_an_estimate(books)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_cancelled_agent(streaming: bool, llm: TuppenceLLM, books: Books) -> None:
    """An agent is cancelled through its handler; the step in flight is closed like any call."""
    books.provider.model(SMALL, replies=Fault.hang())
    handler = surfaces.started_agent(llm, streaming=streaming)
    await asyncio.to_thread(books.provider.await_arrived, 1)
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    billed_by_an_estimate(books)


def billed_by_an_estimate(books: Books) -> None:
    (row,) = books.rows
    assert (row["outcome"], row["status"]) == ("abandoned", "estimated")
    assert row["pico_usd"] == books.spent.pico_usd > 0
    assert [one.model for one in books.provider.served] == [SMALL]


def left_chat(llm: TuppenceLLM) -> Any:
    return llm.stream_chat([user(surfaces.QUESTION)])


def left_completion(llm: TuppenceLLM) -> Any:
    return llm.stream_complete(surfaces.QUESTION)


def left_query(llm: TuppenceLLM) -> Any:
    response: Any = surfaces.index().as_query_engine(llm=llm, streaming=True).query(surfaces.QUESTION)
    return response.response_gen


@pytest.mark.parametrize("opened", [left_chat, left_completion, left_query], ids=named)
def test_abandoned_stream(opened: Callable[[TuppenceLLM], Any], llm: TuppenceLLM, books: Books) -> None:
    """A stream left half-way is billed by an estimate of what had come, and its lease is free for the next."""
    books.provider.model(SMALL, replies=[Turn(GOOD, hold=threading.Event(), hold_after=75), Turn(GOOD)])
    chunks = opened(llm)
    next(chunk for chunk in chunks if getattr(chunk, "delta", chunk))
    chunks.close()
    del chunks
    (row,) = books.rows
    assert (row["outcome"], row["status"], row["tier"]) == ("abandoned", "estimated", SMALL)
    assert row["output"] > 0
    assert row["pico_usd"] == books.spent.pico_usd > 0
    assert "".join(getattr(chunk, "delta", chunk) or "" for chunk in opened(llm)) == GOOD
    assert [r["outcome"] for r in books.rows] == ["abandoned", "accepted"]


async def test_abandoned_async_stream(llm: TuppenceLLM, books: Books) -> None:
    """The same, asynchronously."""
    books.provider.model(SMALL, replies=[Turn(GOOD, hold=threading.Event(), hold_after=75), Turn(GOOD)])
    chunks = await llm.astream_chat([user(surfaces.QUESTION)])
    async for chunk in chunks:
        if chunk.delta:
            break
    await chunks.aclose()
    (row,) = books.rows
    assert (row["outcome"], row["status"]) == ("abandoned", "estimated")
    assert row["pico_usd"] == books.spent.pico_usd > 0


@pytest.mark.parametrize("surface", [surfaces.stream_chat, surfaces.astream_chat, surfaces.streaming_query_engine])
async def test_a_draft_that_streams_is_held(surface: Surface, llm: TuppenceLLM, books: Books) -> None:
    """A refusal that arrives word by word is rejected before its first word leaves."""
    books.provider.model(SMALL, replies=Turn(REFUSAL))
    books.provider.model(LARGE, replies=GOOD)
    assert await surface(llm) == GOOD
    books.agree()


# LlamaIndex's chat engines raise the error in their own thread as well as for the reader.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("surface", [surfaces.stream_chat, surfaces.streaming_chat_engine], ids=named)
async def test_a_stream_that_breaks_after_its_first_words(surface: Surface, llm: TuppenceLLM, books: Books) -> None:
    """What the user has read cannot be taken back: the error surfaces, and the ledger says what it cost."""
    books.provider.model(SMALL, replies=Fault.die_after(chunks=75, turn=Turn(GOOD)))
    with pytest.raises(Exception, match=r"(?i)connection|incomplete|peer|read"):
        await surface(llm)
    (row,) = books.rows
    assert (row["outcome"], row["status"]) == ("failed", "estimated")
    assert row["pico_usd"] == books.spent.pico_usd > 0


@pytest.mark.parametrize("surface", TALKS, ids=named)
async def test_a_legacy_handler_agrees(
    surface: Surface, llm: TuppenceLLM, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler on the program's callback manager comes to the same sum as the one on the dispatcher."""
    legacy = SpendCallbackHandler()
    llm.callback_manager = CallbackManager([legacy])
    monkeypatch.setattr(Settings, "_callback_manager", llm.callback_manager)
    books.provider.model(SMALL, replies=REFUSAL)
    books.provider.model(LARGE, replies=GOOD)
    await surface(llm)
    books.agree()
    assert legacy.pico_usd == books.spent.pico_usd
    for tier in (SMALL, LARGE):
        assert legacy.by_tier[tier] == books.spent.by_tier[tier] > 0


def ended_for_a_tier(heard: Heard) -> int:
    """Count the model calls that handlers saw end; structured LLMs wrap ours and report themselves too."""
    ends = [e for e in heard.events if isinstance(e, LLMChatEndEvent | LLMCompletionEndEvent)]
    return sum("StructuredLLM" not in str(e.span_id) for e in ends)
