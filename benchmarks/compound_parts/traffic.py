"""A month of traffic made of real questions, passages and conversations, half of it to learn from and half to judge.

Which half a question is in says a hash of its id, and nothing is in both. What a kind of call lacks is stated where it
is made up: support and open questions and those over passages have no recorded answers of several models, so each group
of wordings borrows the outcomes of one graded question (`zeroeval_gsm_math`) of its own half, drawn by a hash.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pruning_parts.history_uses import Conversation, Use, calls_of, uses_of
from pruning_parts.passages import Row, judged
from semantic.data import rows

from tuppence.clients.openai_chat import ChatCompletions
from tuppence.evidence.outcomes import Outcomes, read_outcomes
from tuppence.request import Message, Request

Half = Literal["learn", "judge"]
KINDS = ("support", "open", "rag", "reasoning", "agent")
GRADED = "routing/zeroeval_gsm_math.jsonl.gz"
_STREAMS = {"support": "caching/stream_banking.jsonl.gz", "open": "caching/stream_qqp.jsonl.gz"}
_PASSAGES = ("pruning/rag_nq20.jsonl.gz", "pruning/rag_multihop.jsonl.gz")
_CONVERSATIONS = "pruning/agent_tool_chats.jsonl.gz"
_ANSWER = "Answer from the documents alone, and briefly."
_REASON = "Solve the problem, and give the result at the end."
_STEP_S = 15.0
"""Between two calls of an agent: a user types, a tool runs."""
_OFFICE_S = 8 * 3600.0
_WORKING_S = 20 * _OFFICE_S
"""A month's office hours, four weeks of five days; calls come in evenly over them."""
_BEGIN = 1_730_710_800.0
"""Monday 2024-11-04, 09:00 UTC: when the recorded models were current."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What a month consists of, in shares of its calls, by kind."""

    name: str
    calls: int
    shares: Mapping[str, float]
    patient: float = 0.2
    """Share of the calls outside conversations whose answer nobody waits for."""


MIXES = {
    one.name: one
    for one in (
        Mix("balanced", 3_000, {"support": 0.4, "open": 0.2, "rag": 0.11, "reasoning": 0.16, "agent": 0.13}),
        Mix("support desk", 3_000, {"support": 0.8, "open": 0.08, "rag": 0.06, "reasoning": 0.03, "agent": 0.03}),
        Mix("agents", 1_500, {"support": 0.12, "open": 0.1, "rag": 0.2, "reasoning": 0.13, "agent": 0.45}),
    )
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the month: what is sent, and what is known of every answer to it."""

    id: str
    kind: str
    request: Request
    graded: Outcomes | None
    """What each model makes of it; None for an agent's turn, of which only the recorded one is known."""
    group: str
    """Calls of one group may be served one answer: the data set's label."""
    patient: bool = False
    passages: Row | None = None
    said: Message | None = None
    """An agent's recorded turn."""
    uses: tuple[Use, ...] = ()
    """What that turn repeats from what was said before: without it, it could not have been made."""


class Sources:
    """The data, read once, of one half."""

    def __init__(self, folder: Path, half: Half) -> None:
        self.half = half
        self.graded = [row for row in read_outcomes(folder / GRADED) if judged(row.id) == (half == "judge")]
        self.passages = [
            row for file in _PASSAGES for row in rows(folder / file) if judged(row["id"]) == (half == "judge")
        ]
        self.streams = {kind: _part(rows(folder / file), half) for kind, file in _STREAMS.items()}
        told = [row for row in rows(folder / _CONVERSATIONS) if judged(row["id"]) == (half == "judge")]
        self.conversations = [ChatCompletions().parts({"messages": row["messages"]}).messages for row in told]
        self.desk = self.conversations[0][0].text

    def borrowed(self, group: str) -> Outcomes:
        """Draw the graded question whose outcomes stand for those of a group."""
        return self.graded[_hashed(group) % len(self.graded)]


def month(sources: Sources, mix: Mix, *, seed: int = 0) -> list[Asked]:
    """Make the calls of a month in their order; each kind keeps the order of its source."""
    drawn = random.Random(seed)
    wanted = {kind: round(mix.calls * mix.shares[kind]) for kind in KINDS}
    singles = {kind: _of_kind(sources, kind, wanted[kind]) for kind in KINDS if kind != "agent"}
    slots = [kind for kind, calls in singles.items() for _ in calls]
    drawn.shuffle(slots)
    starts = sorted(drawn.uniform(0, _WORKING_S) for _ in slots)
    queues = {kind: iter(calls) for kind, calls in singles.items()}
    made = [_at(next(queues[kind]), start, mix.patient) for kind, start in zip(slots, starts, strict=True)]
    made += _conversations(sources, wanted["agent"], drawn)
    return sorted(made, key=lambda one: one.request.received_at)


def _of_kind(sources: Sources, kind: str, calls: int) -> list[Asked]:
    if kind in _STREAMS:
        return [_streamed(sources, kind, row) for row in sources.streams[kind][:calls]]
    if kind == "rag":
        found = sorted(sources.passages, key=lambda row: _hashed(row["id"]))
        return [_over_passages(sources, row) for row in found[:calls]]
    found_rows = sorted(sources.graded, key=lambda row: _hashed(row.id))
    return [_reasoning(row) for row in found_rows[:calls]]


def _streamed(sources: Sources, kind: str, row: Row) -> Asked:
    messages = (Message("system", sources.desk), Message("user", row["text"]))
    return _asked(f"{kind}/{row['i']}", kind, messages, sources.borrowed(row["group"]), group=row["group"])


def _over_passages(sources: Sources, row: Row) -> Asked:
    documents = "\n\n".join(written(doc["title"], doc["text"]) for doc in row["docs"])
    messages = (Message("system", _ANSWER), Message("user", documents), Message("user", row["question"]))
    made = _asked(f"rag/{row['id']}", "rag", messages, sources.borrowed(row["id"]), group=row["id"])
    return replace(made, passages=row)


def _reasoning(row: Outcomes) -> Asked:
    messages = (Message("system", _REASON), Message("user", row.query))
    return _asked(f"reasoning/{row.id}", "reasoning", messages, row, group=row.id)


def _asked(id: str, kind: str, messages: tuple[Message, ...], graded: Outcomes, *, group: str) -> Asked:  # noqa: A002
    return Asked(id, kind, _request(messages, kind), graded, group)


def _request(messages: tuple[Message, ...], kind: str) -> Request:
    return Request(messages, tags={"task": kind, "endpoint": kind}, received_at=_BEGIN)


def _conversations(sources: Sources, calls: int, drawn: random.Random) -> Iterator[Asked]:
    """Make whole conversations until there are about `calls` calls."""
    made = 0
    for number, talk in enumerate(sources.conversations):
        if made >= calls:
            return
        start = drawn.uniform(0, _WORKING_S)
        turns = list(_turns(f"agent/{number}", talk))
        yield from (_at(turn, start + step * _STEP_S) for step, turn in enumerate(turns))
        made += len(turns)


def _turns(name: str, talk: Conversation) -> Iterator[Asked]:
    for index, uses in zip(calls_of(talk), uses_of(talk), strict=True):
        id_ = f"{name}/{index}"
        request = _request(tuple(talk[:index]), "agent")
        yield Asked(id_, "agent", request, None, id_, said=talk[index], uses=tuple(uses))


def written(title: str, text: str) -> str:
    """Write a passage as it stands in the prompt."""
    return f"{title}\n{text}"


def _at(one: Asked, second: float, patient: float = 0.0) -> Asked:
    waits = _hashed(f"patient {one.id}") % 1000 >= patient * 1000
    made = replace(one, request=replace(one.request, received_at=_moment(second)), patient=not waits)
    made.request.native = made
    return made


def _moment(second: float) -> float:
    """Return when it is so many office seconds after the month's beginning, nights and weekends passed over."""
    day, rest = divmod(second, _OFFICE_S)
    week, weekday = divmod(day, 5)
    return _BEGIN + (week * 7 + weekday) * 86_400 + rest


def _part(stream: Sequence[Row], half: Half) -> list[Row]:
    middle = len(stream) // 2
    return list(stream[:middle] if half == "judge" else stream[middle:])


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
