"""A provider's prefix cache for a scripted model: equal prefixes above the minimum are read, as the pages document it.

Its answers report what was read and written, so that a test sees in the usage whether a client's requests share their
beginnings. Lengths are counted in `tokens_of`. It must never be told what a client expects; it sees the request's JSON
alone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.testing.script import Answer, Fault, Turn, tokens_of

# https://platform.claude.com/docs/en/build-with-claude/prompt-caching; OpenAI promises half an hour since GPT-5.6 and
# at least five minutes before (https://developers.openai.com/api/docs/guides/prompt-caching).
_SECONDS = {"5m": 300, "1h": 3600, "30m": 1800}
_MAX_MARKS = 4
_LOOKBACK_BLOCKS = 20
_STEP_TOKENS = 128


@dataclass(frozen=True, slots=True)
class _Block:
    """One content block or tool, without its mark."""

    text: str
    tokens: int
    lifetime: str | None
    """What a mark on it asks for; None where it has none."""


class PrefixCache:
    """Answer `text` to every request, counting what a prefix cache would read and write.

    `server.model("claude-x", replies=PrefixCache(minimum_tokens=1024).messages)`; `.chat` for OpenAI models whose
    writes are free, `.chat_with_breakpoints` for those that bill them. `clock` returns seconds. Safe for many threads.
    """

    def __init__(
        self, *, minimum_tokens: int = 1024, text: str = "Yes.", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._minimum = minimum_tokens
        self._text = text
        self._clock = clock
        self._expires: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def messages(self, request: dict[str, Any]) -> Answer:
        """Answer as Anthropic's Messages API does: what is marked is kept, for 5 minutes or an hour."""
        blocks = _anthropic_blocks(request)
        if fault := _refused(blocks):
            return fault
        read, written = self._take(str(request["model"]), blocks, lookback=_LOOKBACK_BLOCKS)
        split = {f"ephemeral_{name}_input_tokens": written.get(name, 0) for name in ("5m", "1h")}
        return self._turn(read, sum(written.values()), {"cache_creation": split})

    def chat_with_breakpoints(self, request: dict[str, Any]) -> Answer:
        """Answer as OpenAI's chat completions do from GPT-5.6 on: the newest message is written unless told not to."""
        blocks = _openai_blocks(request)
        if (request.get("prompt_cache_options") or {}).get("mode") != "explicit":
            blocks[-1] = _Block(blocks[-1].text, blocks[-1].tokens, "30m")
        kept = [index for index, block in enumerate(blocks) if block.lifetime][-_MAX_MARKS:]
        blocks = [_Block(b.text, b.tokens, b.lifetime if i in kept else None) for i, b in enumerate(blocks)]
        read, written = self._take(_routed(request), blocks, lookback=len(blocks))
        return self._turn(read, sum(written.values()), None)

    def chat(self, request: dict[str, Any]) -> Answer:
        """Answer as OpenAI's chat completions did before GPT-5.6: all is kept, in steps of 128 tokens."""
        blocks = _openai_blocks(request)
        tokens = [token for block in blocks for token in tokens_of(block.text)]
        route, now, read = _routed(request), self._clock(), 0
        with self._lock:
            for upto in range(_STEP_TOKENS, len(tokens) + 1, _STEP_TOKENS):
                entry = (route, "".join(tokens[:upto]))
                if upto >= self._minimum and self._expires.get(entry, now) > now:
                    read = upto
                self._expires[entry] = now + _SECONDS["5m"]
        return self._turn(read, 0, None)

    def _take(self, route: str, blocks: Sequence[_Block], *, lookback: int) -> tuple[int, dict[str, int]]:
        """Return the tokens read, and those written by lifetime; keep what is marked."""
        upto = [sum(block.tokens for block in blocks[: index + 1]) for index in range(len(blocks))]
        marks = [index for index, block in enumerate(blocks) if block.lifetime and upto[index] >= self._minimum]
        now = self._clock()
        with self._lock:
            searched = {i for mark in marks for i in range(mark, max(-1, mark - lookback), -1)}
            held = [i for i in searched if self._expires.get(_entry(route, blocks, i), now) > now]
            found = max(held, default=-1)
            if found >= 0:
                self._keep(route, blocks, found, now, None)
            for mark in marks:
                self._keep(route, blocks, mark, now, blocks[mark].lifetime)
        written: dict[str, int] = {}
        done = read = upto[found] if found >= 0 else 0
        for mark in marks:
            if upto[mark] > done:
                name = str(blocks[mark].lifetime)
                written[name] = written.get(name, 0) + upto[mark] - done
                done = upto[mark]
        return read, written

    def _keep(self, route: str, blocks: Sequence[_Block], index: int, now: float, lifetime: str | None) -> None:
        """Begin an entry's lifetime (anew): a read goes on with the one that it was written for."""
        entry = _entry(route, blocks, index)
        name = lifetime or next((b.lifetime for b in blocks[index:] if b.lifetime), "5m")
        self._expires[entry] = max(self._expires.get(entry, 0.0), now + _SECONDS[name])

    def _turn(self, read: int, written: int, usage: Mapping[str, Any] | None) -> Turn:
        return Turn(self._text, cached_tokens=read, cache_write_tokens=written, usage=usage)


def _entry(route: str, blocks: Sequence[_Block], index: int) -> tuple[str, ...]:
    return (route, *(block.text for block in blocks[: index + 1]))


def _routed(request: Mapping[str, Any]) -> str:
    return f"{request['model']}\0{request.get('prompt_cache_key') or ''}"


def _refused(blocks: Sequence[_Block]) -> Fault | None:
    lifetimes = [block.lifetime for block in blocks if block.lifetime]
    if len(lifetimes) > _MAX_MARKS:
        found = f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided. Found {len(lifetimes)}."
        return Fault(status=400, message=found)
    if lifetimes != sorted(lifetimes):
        message = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        return Fault(status=400, message=message)
    return None


def _anthropic_blocks(request: Mapping[str, Any]) -> list[_Block]:
    system = request.get("system") or []
    given = [
        *(request.get("tools") or ()),
        *([{"type": "text", "text": system}] if isinstance(system, str) else system),
    ]
    for message in request["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        given += [{**block, "role": message["role"]} for block in blocks]
    return [_anthropic_block(block) for block in given]


def _anthropic_block(block: Mapping[str, Any]) -> _Block:
    control = block.get("cache_control")
    return _block(block, "cache_control", control and (control.get("ttl") or "5m"))


def _openai_blocks(request: Mapping[str, Any]) -> list[_Block]:
    blocks = [_block(tool, "", None) for tool in request.get("tools") or ()]
    for message in request["messages"]:
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        rest = {name: value for name, value in message.items() if name != "content"}
        for part in parts:
            marked = "30m" if "prompt_cache_breakpoint" in part else None
            blocks.append(_block({**rest, **part}, "prompt_cache_breakpoint", marked))
    return blocks


def _block(block: Mapping[str, Any], mark: str, lifetime: str | None) -> _Block:
    """Count the text where there is one, as the wires do, and the JSON where there is none."""
    told = json.dumps({name: value for name, value in block.items() if name != mark})
    counted = block["text"] if isinstance(block.get("text"), str) else told
    return _Block(told, len(tokens_of(counted)), lifetime)
