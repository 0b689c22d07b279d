"""A memory block for LlamaIndex's `Memory`: what left the chat history comes back where it is about the question.

A block is given what the memory flushes, keeps it by session, and never shows one session's text to another. Whatever
breaks in it, the memory goes on without what it would have said.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemoryBlock
from pydantic import BaseModel, Field, PrivateAttr

from llama_index_tuppence.llm import TuppenceLLM
from llama_index_tuppence.messages import native, neutral
from tuppence.assembly import LedgerOption
from tuppence.embed import Embedder
from tuppence.failures import is_control_flow
from tuppence.prune.audit import DEFAULT_MODEL, counter_for
from tuppence.prune.history import Summariser
from tuppence.prune.history.groups import turns_of
from tuppence.prune.history.relevance import relevant
from tuppence.prune.history.summary import question as asked_for_notes
from tuppence.prune.passages import Passage, PassagePruner
from tuppence.request import Message, Request

log = logging.getLogger("tuppence.prune")

_MOST_TURNS = 1000
"""Of a session; older ones are in its notes alone."""
_TAG_TOKENS = 8
"""What the tags around a part come to, in o200k: two of up to four tokens."""
_PART = re.compile(r"<(notes|turn)>\n.*?\n</\1>", re.DOTALL)


class Earlier(BaseModel):
    """What left one session's chat history."""

    turns: list[list[tuple[str, str]]] = Field(default_factory=list)
    """Each a user's message and all up to the next one, as roles and texts."""
    notes: str = ""
    noted: int = 0
    """So many turns are in the notes."""


class HistoryMemoryBlock(BaseMemoryBlock[str]):
    """Bring back old turns that are about the question: `Memory.from_defaults(memory_blocks=[HistoryMemoryBlock()])`.

    With an `llm`, a cheap one, it also keeps notes on all that was flushed; what they cost is in `ledger` and in
    `spend()` blocks. An `embedder` compares turns by meaning beside comparing them by words. Give the memory
    `insert_method=InsertMethod.USER`: what changes with each question then stands at the prompt's end, and a
    provider's prefix cache holds the rest.
    """

    name: str = "EarlierConversation"
    relevant_turns: int = Field(default=2, ge=0)
    """So many old turns come back that are most about the question."""
    neighbours: int = Field(default=1, ge=0)
    """So many turns on either side come with each."""
    max_tokens: int = Field(default=1000, ge=50)
    """The most that the block says; turns are shortened to the sentences that the question needs."""
    notes_tokens: int = Field(default=300, ge=20)
    """How long notes may be."""
    counted_as: str = DEFAULT_MODEL
    """The model whose tokens are counted."""
    sessions: dict[str, Earlier] = Field(default_factory=dict)
    """By the memory's session id. The text of conversations: it is in what `model_dump` returns."""

    _embedder: Embedder | None = PrivateAttr(default=None)
    _llm: LLM | None = PrivateAttr(default=None)

    def __init__(
        self, *, llm: LLM | None = None, embedder: Embedder | None = None, ledger: LedgerOption = True, **options: Any
    ) -> None:
        super().__init__(**options)
        self._embedder = embedder
        if llm is not None:
            self._llm = llm if isinstance(llm, TuppenceLLM) else TuppenceLLM([llm], check=None, ledger=ledger)

    # -- taking in

    async def aput(
        self, messages: list[ChatMessage], from_short_term_memory: bool = False, session_id: str | None = None
    ) -> None:
        # Not by `_aput`: the base writes the session into the caller's messages, where other blocks take it out again.
        if self.accept_short_term_memory or not from_short_term_memory:
            await self._hold(messages, session_id or "")

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self._hold(messages, "")

    async def _hold(self, messages: Sequence[ChatMessage], session_id: str) -> None:
        try:
            seen = [neutral(message) for message in messages]
            earlier = self.sessions.setdefault(session_id, Earlier())
            earlier.turns += [[line for place in turn for line in _said(seen[place])] for turn in turns_of(seen)]
            if self._llm is not None:
                await self._note(earlier, self._llm)
            gone = max(0, len(earlier.turns) - _MOST_TURNS)
            earlier.turns, earlier.noted = earlier.turns[gone:], max(0, earlier.noted - gone)
        except Exception as error:
            if is_control_flow(error):
                raise
            # What is not noted now is noted with the next flush. The message may quote what was said.
            log.warning("no notes were taken: %s", type(error).__name__)

    async def _note(self, earlier: Earlier, llm: LLM) -> None:
        """Have the notes written anew, with the turns that are not in them yet."""
        upto = len(earlier.turns)
        lines = [line for turn in earlier.turns[earlier.noted : upto] for line in turn]
        summariser = Summariser("notes", max_tokens=self.notes_tokens)
        said = [Message(role, text) for role, text in lines]  # type: ignore[arg-type]
        asked = asked_for_notes(Request((Message("user", ""),)), summariser, earlier.notes, said)
        response = await llm.achat([native(message) for message in asked.messages], **asked.params)
        text = (response.message.content or "").strip()
        if text:
            earlier.notes, earlier.noted = text, upto

    # -- giving back

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        earlier = self.sessions.get(str(block_kwargs.get("session_id") or ""))
        if earlier is None:
            return ""
        try:
            asked = next((one.text for one in map(neutral, reversed(messages or ())) if one.role == "user"), "")
            return await asyncio.to_thread(self._recalled, earlier, asked)
        except Exception as error:
            if is_control_flow(error):
                raise
            log.warning("nothing was recalled: %s", type(error).__name__)
            return ""

    def _recalled(self, earlier: Earlier, asked: str) -> str:
        count = counter_for(self.counted_as)
        parts = [_part("notes", earlier.notes)] if earlier.notes else []
        texts = ["\n".join(f"{role}: {text}" for role, text in turn) for turn in earlier.turns]
        found = relevant(asked, texts, self.relevant_turns, self._embedder)
        near = {place + step for place in found for step in range(-self.neighbours, self.neighbours + 1)}
        told = [Passage(texts[place], str(place)) for place in sorted(near) if 0 <= place < len(texts)]
        room = self.max_tokens - sum(map(count, parts)) - _TAG_TOKENS * len(told)
        if told and room > 0:
            pruned = PassagePruner(max_tokens=room, model=self.counted_as).prune(asked, told)
            if pruned.audit.tokens_after <= room:
                parts += [_part("turn", one.text) for one in pruned.passages]
        return "\n".join(parts)

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Leave whole turns out, the oldest first, and the notes last; None where nothing is left."""
        count = counter_for(self.counted_as)
        parts = [match[0] for match in _PART.finditer(content)]
        most = count(content) - tokens_to_truncate
        while parts and count("\n".join(parts)) > most:
            # The notes stand in front.
            parts.pop(1 if len(parts) > 1 and parts[0].startswith("<notes>") else 0)
        return "\n".join(parts) or None


def _said(message: Message) -> Iterator[tuple[str, str]]:
    if message.text:
        yield message.role, message.text
    for call in message.tool_calls:
        yield message.role, f"({message.role} calls {call.name} with {call.arguments})"


def _part(tag: str, text: str) -> str:
    return f"<{tag}>\n{text}\n</{tag}>"
