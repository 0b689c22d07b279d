"""What LlamaIndex's memory lets go of, brought back: the turns that a question is about, and notes on all of them."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.memory import InsertMethod, Memory, StaticMemoryBlock
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from llama_index_tuppence import HistoryMemoryBlock, spend
from tuppence.prune.audit import counter_for
from tuppence.testing import Fault, ProviderServer

NOTES = "Ann's order is ord-77; the parcel is late."


def turn(question: str, answer: str) -> list[ChatMessage]:
    return [ChatMessage(question, role=MessageRole.USER), ChatMessage(answer, role=MessageRole.ASSISTANT)]


def talk() -> list[ChatMessage]:
    return [
        *turn("My order ord-77 has not come.", "Order ord-77 left on Monday."),
        *turn("Do you sell umbrellas?", "We do, in three colours."),
        *turn("What are your opening hours?", "From nine to five."),
        *turn("Is there parking?", "Behind the house."),
    ]


async def holding(messages: list[ChatMessage] | None = None, **options: Any) -> HistoryMemoryBlock:
    block = HistoryMemoryBlock(**{"relevant_turns": 1, "neighbours": 0, "ledger": None, **options})
    await block.aput(talk() if messages is None else messages, from_short_term_memory=True, session_id="ann")
    return block


async def recalled(block: HistoryMemoryBlock, question: str, session: str = "ann") -> str:
    return await block.aget([ChatMessage(question, role=MessageRole.USER)], session_id=session)


class TestWhatComesBack:
    async def test_the_turn_that_the_question_is_about(self) -> None:
        """With its answer, and no other."""
        told = await recalled(await holding(), "When did my order leave?")
        assert told == "<turn>\nuser: My order ord-77 has not come.\nassistant: Order ord-77 left on Monday.\n</turn>"

    async def test_neighbours_come_with_it(self) -> None:
        """In the order in which they were said."""
        told = await recalled(await holding(neighbours=1), "In which colours are the umbrellas?")
        assert told.index("ord-77") < told.index("umbrellas") < told.index("opening hours")

    async def test_nothing_where_nothing_is_about_it(self) -> None:
        """Nor without a question, nor before anything was flushed."""
        assert await recalled(await holding(), "Quelle heure?") == ""
        assert await (await holding()).aget(None, session_id="ann") == ""
        assert await recalled(HistoryMemoryBlock(), "When did my order leave?") == ""

    async def test_no_session_sees_anothers_turns(self) -> None:
        """Whoever shares a block."""
        block = await holding()
        assert await recalled(block, "When did my order leave?", session="bob") == ""

    async def test_tool_calls_are_told_with_their_results(self) -> None:
        """A turn is a question and all up to the next one."""
        call = ToolCallBlock(tool_call_id="c1", tool_name="track", tool_kwargs={"order": "ord-77"})
        messages = [
            ChatMessage("Where is my order?", role=MessageRole.USER),
            ChatMessage(role=MessageRole.ASSISTANT, blocks=[call]),
            ChatMessage("It is in Porto.", role=MessageRole.TOOL, additional_kwargs={"tool_call_id": "c1"}),
        ]
        told = await recalled(await holding(messages), "Where was my order?")
        assert '(assistant calls track with {"order": "ord-77"})' in told and "tool: It is in Porto." in told

    async def test_the_callers_messages_stay_as_they_are(self) -> None:
        """Other blocks are given the same ones."""
        messages = talk()
        before = copy.deepcopy(messages)
        await holding(messages)
        assert messages == before


class TestTokenLimits:
    @pytest.mark.parametrize("most", [50, 120, 400])
    async def test_it_says_no_more_than_its_limit(self, most: int) -> None:
        """A long turn is shortened to the sentences that the question needs."""
        long = " ".join(f"On day {n} the sky was grey." for n in range(200)) + " Your order ord-77 left on Monday."
        block = await holding(turn("Tell me of my order.", long), max_tokens=most)
        told = await recalled(block, "When did order ord-77 leave?")
        assert "ord-77 left on Monday" in told
        assert counter_for()(told) <= most

    async def test_truncated_turn_by_turn(self) -> None:
        """The oldest first; nothing is left where nothing fits."""
        block = await holding(neighbours=3)
        whole = await recalled(block, "In which colours are the umbrellas?")
        shorter = await block.atruncate(whole, 5)
        assert shorter is not None and "ord-77" not in shorter and "umbrellas" in shorter
        assert counter_for()(shorter) <= counter_for()(whole) - 5
        assert await block.atruncate(whole, 10_000) is None

    @given(st.lists(st.text(max_size=200), max_size=8), st.text(max_size=40), st.integers(0, 500))
    async def test_whatever_was_said(self, texts: list[str], question: str, cut: int) -> None:
        """Nothing raises, and what is truncated is no longer."""
        messages = [
            ChatMessage(text, role=MessageRole.USER if n % 2 else MessageRole.ASSISTANT) for n, text in enumerate(texts)
        ]
        block = await holding(messages, max_tokens=60, neighbours=1)
        told = await recalled(block, question)
        assert counter_for()(told) <= 60
        assert counter_for()(await block.atruncate(told, cut) or "") <= counter_for()(told)


class TestNotes:
    async def test_are_taken_of_what_is_flushed(self, provider: ProviderServer, make: Any) -> None:
        """By a cheap model, and what that costs is in the block around it."""
        provider.model("gpt-4o-mini", replies=NOTES)
        with spend() as spent:
            block = await holding(llm=make())
        assert spent.calls == 1 and spent.usd > 0
        told = await recalled(block, "Is there parking?")
        assert told.startswith(f"<notes>\n{NOTES}\n</notes>\n<turn>")

    async def test_go_on_from_the_notes_before(self, provider: ProviderServer, make: Any) -> None:
        """Only what is new is read again."""
        provider.model("gpt-4o-mini", replies=[NOTES, "More."])
        block = await holding(llm=make())
        await block.aput(turn("Thank you.", "You are welcome."), session_id="ann")
        asked = str(provider.served[-1].request["messages"])
        assert NOTES in asked and "You are welcome." in asked and "umbrellas" not in asked
        assert block.sessions["ann"].notes == "More."

    async def test_that_could_not_be_taken_are_taken_later(self, provider: ProviderServer, make: Any) -> None:
        """A model that is down loses nothing: the turns are there, and are noted with the next flush."""
        provider.model("gpt-4o-mini", replies=[Fault(status=400), NOTES])
        block = await holding(llm=make())
        assert "ord-77" in await recalled(block, "When did my order leave?")
        await block.aput(turn("Thank you.", "You are welcome."), session_id="ann")
        assert "umbrellas" in str(provider.served[-1].request["messages"])
        assert block.sessions["ann"].noted == 5

    async def test_stay_when_all_else_is_truncated(self, provider: ProviderServer, make: Any) -> None:
        """They are what is left of everything."""
        provider.model("gpt-4o-mini", replies=NOTES)
        block = await holding(llm=make())
        told = await recalled(block, "When did my order leave?")
        assert await block.atruncate(told, counter_for()(told) // 3) == f"<notes>\n{NOTES}\n</notes>"


@pytest.fixture
async def database() -> AsyncIterator[Any]:
    """A database in memory for LlamaIndex's chat store, closed at the end."""
    engine = create_async_engine("sqlite+aiosqlite:///:memory:", poolclass=StaticPool)
    yield engine
    await engine.dispose()


class TestInAMemory:
    async def test_what_was_flushed_comes_back(self, database: Any) -> None:
        """LlamaIndex's own memory, with a limit so low that it lets old turns go."""
        block = HistoryMemoryBlock(relevant_turns=1, neighbours=0)
        other = StaticMemoryBlock(name="rules", static_content="Be kind.")
        memory = Memory.from_defaults(
            session_id="ann", token_limit=60, token_flush_size=20, chat_history_token_ratio=0.5,
            memory_blocks=[block, other], insert_method=InsertMethod.USER, async_engine=database,
        )  # fmt: skip
        await memory.aput_messages(talk())
        question = ChatMessage("When did my order ord-77 leave?", role=MessageRole.USER)
        await memory.aput(question)
        given = await memory.aget()
        assert len(given) < len(talk()) and given[-1].role == MessageRole.USER
        assert "Order ord-77 left on Monday." in str(given[-1].content)
        assert given[-1].blocks[-1] == TextBlock(text="When did my order ord-77 leave?")

    async def test_put_and_get_as_sync_chat_engines_do(self, database: Any) -> None:
        """By LlamaIndex's own loop in a thread."""
        memory = Memory.from_defaults(
            token_limit=40, token_flush_size=10, memory_blocks=[HistoryMemoryBlock()], async_engine=database
        )
        memory.put_messages(talk())
        assert "ord-77" in str(memory.get(input="When did my order ord-77 leave?")[0].content)


async def test_a_block_travels_with_what_it_holds() -> None:
    """Dumped and loaded, as LlamaIndex keeps a memory's blocks; models and embedders are given anew."""
    block = HistoryMemoryBlock(**(await holding()).model_dump())
    assert "ord-77" in await recalled(block, "When did my order leave?")
