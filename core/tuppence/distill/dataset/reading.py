"""From recorded traffic to rows on disk: each call once, redacted, with the reason why it is left out, if there is one.

One call is in memory at a time. What may not be stored (a text that redaction refused) is not, but is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tuppence.distill.dataset.chat_form import NoChatForm, Redact, answer_of, prompt_of, tools_of
from tuppence.distill.dataset.families import Families
from tuppence.distill.dataset.filters import Filters, accepted, unfit
from tuppence.distill.dataset.prompts import Prompts
from tuppence.distill.dataset.row import Row, as_line
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.errors import DistillError
from tuppence.evidence.judging.judgements import Judgement
from tuppence.evidence.outcomes import RecordedAttempt, RecordedCall, read_feedback, read_traffic

_HEAD_WORDS = 6
_HEAD_CHARS = 120
_ADD = (
    "INSERT INTO calls (call_id, at, tier, model, reason, family, head, text, session, pico, used_input, used_output, "
    "body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read."""

    name: str
    sha256: str


@dataclass(slots=True)
class Reading:
    """What reading traffic came to."""

    scratch: Scratch
    families: Families
    prompts: Prompts
    sources: list[Source]
    calls: int = 0
    repeated: int = 0
    """Lines of calls that were read already."""
    escalations: set[tuple[str, str]] = field(default_factory=set)
    """Tiers, and those that were asked after them."""


def read_into(
    scratch: Scratch, paths: Sequence[Path], filters: Filters, redact: Redact | None, judged: Iterable[Judgement]
) -> Reading:
    """Read files of recorded calls and of feedback; raises `OutcomesError` naming file and line of what is none."""
    found = Reading(scratch, Families(), Prompts(scratch), [])
    guarded = _unchanged if redact is None else _guarded(redact)
    for path in paths:
        for call in read_traffic(path):
            if scratch.one("SELECT 1 FROM calls WHERE call_id = ?", call.call_id) is None:
                scratch.do(_ADD, *_values(found, call, filters, guarded))
                found.calls += 1
            else:
                found.repeated += 1
        _read_feedback(scratch, path)
        found.sources.append(Source(path.name, _sha256(path)))
    found.prompts.close()
    # One judge's opinion in [0, 1]; of two judgements of one call the later counts.
    scores = ((one.call_id, score) for one in judged if (score := one.score("accuracy")) is not None)
    scratch.add_many("INSERT OR REPLACE INTO judged VALUES (?, ?)", scores)
    if not found.calls:
        raise DistillError(f"{', '.join(map(str, paths))} holds no recorded call: record some first, with record=PATH")
    return found


def _read_feedback(scratch: Scratch, path: Path) -> None:
    told = ((one.call_id, one.at, one.score) for one in read_feedback(path))
    scratch.add_many(
        "INSERT INTO feedback VALUES (?, ?, ?) ON CONFLICT (call_id) DO UPDATE "
        "SET at = excluded.at, score = excluded.score WHERE excluded.at >= feedback.at",
        told,
    )


def _values(found: Reading, call: RecordedCall, filters: Filters, redact: Redact) -> tuple[object, ...]:
    """Return the values of one row of `calls`."""
    request, given = call.request, accepted(call)
    reason: str | None = unfit(call, given, filters)
    asked = dict.fromkeys(a.tier for a in call.attempts if a.cause in ("draft", "escalation"))
    found.escalations |= set(pairwise(asked))
    row, system, first = None, "", ""
    try:
        system = "\n".join(redact(message.text) for message in request.messages if message.role == "system")
        first = redact(next((message.text for message in request.messages if message.role == "user"), ""))
        if reason is None:
            row = _row(call, given, redact)
    except NoChatForm as error:
        reason = str(error)
    except _Unredacted:
        reason, row, system, first = "redaction failed", None, "", ""
    family = found.families.of(request, system)
    if reason != "redaction failed":
        found.prompts.see(family.number, request.received_at, system, _spelt(request.tools, request.schema))
    used = None if given is None or given.reply is None else given.reply.usage
    return (
        call.call_id, request.received_at, "" if given is None else given.tier, "" if given is None else given.model,
        reason, family.number, _head(first), _number(first), request.tags.get("session"),
        None if given is None else given.pico_usd,
        None if used is None else used.input_tokens, None if used is None else used.output_tokens,
        None if row is None or reason is not None else row.body(),
    )  # fmt: skip


def _row(call: RecordedCall, given: RecordedAttempt | None, redact: Redact) -> Row:
    assert given is not None
    assert given.reply is not None
    drafts = (a.reply for a in call.attempts if a.outcome == "rejected" and a.reply is not None)
    rejected = tuple(answer_of(one, redact) for one in drafts if one.text.strip() or one.tool_calls)
    answer, prompt = answer_of(given.reply, redact), prompt_of(call.request.messages, redact)
    return Row(call.call_id, call.request.received_at, prompt, answer, tools_of(call.request.tools), rejected)


def _head(text: str) -> str:
    """Return the words that a text begins with; "" for a text that is not longer than them."""
    words = text.split(maxsplit=_HEAD_WORDS)
    return " ".join(words[:_HEAD_WORDS])[:_HEAD_CHARS] if len(words) > _HEAD_WORDS else ""


def _number(text: str) -> int:
    """Name a text by 63 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def _spelt(tools: Sequence[object], schema: object) -> str:
    return as_line({"tools": list(tools), "schema": schema}).decode() if tools or schema is not None else ""


def _unchanged(text: str) -> str:
    return text


class _Unredacted(Exception):
    """A text that redaction could not read."""


def _guarded(redact: Redact) -> Redact:
    """Tell every failure of a user's redaction alike: its own words may quote what was to be redacted."""

    def left(text: str) -> str:
        try:
            found: object = redact(text)
        except Exception:  # noqa: BLE001 - foreign code
            raise _Unredacted from None
        if not isinstance(found, str):
            raise _Unredacted
        return found

    return left


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
