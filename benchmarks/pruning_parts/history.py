"""What policies for histories do to cost and to facts, over agent conversations replayed call by call.

`DIR/agent_tool_chats.jsonl.gz` has one conversation a line, in OpenAI's form: {id, messages}. Each assistant message is
one call, whose prompt is everything before it; a policy sees that prompt and the conversations before this one, nothing
later. Calls are ten seconds apart, conversations an hour. The prefix cache is exact: what a prompt has in common with
the conversation's call before, token by token, is read; the rest is written, or input. Tool schemas are not counted.

`cost_change` is the input's cost against sending everything. `facts` is the share of uses still reachable: a use is a
value (an id, amount, date or name) that an assistant message, its calls included, repeats from a user's message or a
tool's result; it is reachable where the prompt sent for that very call holds it, word for word. `at_stake` is the same
over the uses whose value stands in tool results alone. `recoverable` adds what is lost but can be had back by id, and
`cost_change_recovering` what those extra calls cost.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpe_openai

from pruning_parts.history_uses import Conversation, Use, calls_of, stands, uses_of, whole
from tuppence.prices import token_rate
from tuppence.prune.history import HistoryPolicy, HistoryPruner, PromptPrice
from tuppence.prune.history.groups import turns_after, turns_of
from tuppence.prune.history.stubs import id_of
from tuppence.request import Message, ToolCall, edited

Shortener = Callable[[Conversation, float], Conversation]
"""Returns what is sent of a prompt at a moment."""

_ENCODE = bpe_openai.get_encoding("o200k_base").encode_ordinary
_STEP_S, _GAP_S = 10.0, 3600.0
_RECOVERY_TOKENS = 30
"""A call of the tool that brings a result back, and its framing."""
PRICES: Mapping[str, PromptPrice] = {
    "1.25/.1": PromptPrice(
        token_rate(input="3", output="15", cache_read="0.3", cache_write_5m="3.75"), writes="cache_write_5m"
    ),
    "1/.1": PromptPrice(token_rate(input="3", output="15", cache_read="0.3")),
    "1/.5": PromptPrice(token_rate(input="3", output="15", cache_read="1.5")),
    "1/1": PromptPrice(token_rate(input="3", output="15"), caches=False),
}
"""Write over read price, in shares of the input price; the last is without a cache."""
_MARKED = "1.25/.1 marked"
"""The first price again, where an edit leaves only the mark behind the system message to be read."""


def policies(price: PromptPrice) -> dict[str, Shortener]:
    """Make the policies anew for one price: those that learn have seen nothing yet."""
    return {
        "everything": lambda messages, _at: messages,
        "default": _ours(HistoryPolicy(), price),
        "arrival only": _ours(HistoryPolicy(strategies=()), price),
        "clearing only": _ours(HistoryPolicy(arrival=None), price),
        "sliding window of 3 turns": _sliding,
        "clear every tool output": _cleared,
    }


def _ours(policy: HistoryPolicy, price: PromptPrice) -> Shortener:
    pruner = HistoryPruner(policy, price=price)
    return lambda messages, at: edited(messages, pruner.prune(messages, at=at).edits)


def _sliding(messages: Conversation, _at: float) -> Conversation:
    """Send the system message and the last three turns."""
    kept = {index for turn in turns_of(messages)[-3:] for index in turn}
    return tuple(m for i, m in enumerate(messages) if m.role == "system" or i in kept)


def _cleared(messages: Conversation, _at: float) -> Conversation:
    """Clear every tool result from before the current turn."""
    later = turns_after(messages)
    return tuple(
        Message(m.role, "[cleared]", extra=m.extra) if m.role == "tool" and later[i] else m
        for i, m in enumerate(messages)
    )


@dataclass(slots=True)
class Tally:
    """What one policy did at one price."""

    pico: int = 0
    recovering_pico: int = 0
    tokens: int = 0
    uses: int = 0
    lost: int = 0
    staked: int = 0
    staked_lost: int = 0
    recovered: int = 0


def history_figures(folder: Path) -> dict[str, Any]:
    """Return figures by policy and price."""
    return figures_of(list(_read(folder / "agent_tool_chats.jsonl.gz")))


def figures_of(conversations: Sequence[Conversation]) -> dict[str, Any]:
    """Replay conversations under every policy at every price."""
    uses = [list(uses_of(conversation)) for conversation in conversations]
    figures: dict[str, dict[str, Any]] = {}
    for label, price in (*PRICES.items(), (_MARKED, PRICES["1.25/.1"])):
        made = policies(price)
        base = _replayed(made.pop("everything"), label, price, conversations, uses)
        figures.setdefault("everything", {})[label] = _shown(base, base)
        for name, shortener in made.items():
            figures.setdefault(name, {})[label] = _shown(_replayed(shortener, label, price, conversations, uses), base)
    return figures


def _shown(tally: Tally, base: Tally) -> dict[str, float]:
    return {
        "cost_change": round(tally.pico / base.pico - 1, 4),
        "facts": round(1 - tally.lost / tally.uses, 4),
        "at_stake": round(1 - tally.staked_lost / tally.staked, 4),
        "recoverable": round(1 - (tally.lost - tally.recovered) / tally.uses, 4),
        "cost_change_recovering": round((tally.pico + tally.recovering_pico) / base.pico - 1, 4),
        "tokens_share": round(tally.tokens / base.tokens, 4),
    }


def _replayed(
    shortener: Shortener,
    label: str,
    price: PromptPrice,
    conversations: Sequence[Conversation],
    uses: Sequence[Sequence[Sequence[Use]]],
) -> Tally:
    tally, at = Tally(), 0.0
    for conversation, used in zip(conversations, uses, strict=True):
        before: list[int] = []
        at += _GAP_S
        for call, index in enumerate(calls_of(conversation)):
            at += _STEP_S
            sent = shortener(conversation[:index], at)
            prompt = [token for message in sent for token in _tokens(message)]
            read = _shared(before, prompt)
            if label == _MARKED and read < len(before):
                read = min(read, len(_tokens(sent[0])))
            cost = price.cost(len(prompt), read)
            assert cost is not None
            tally.pico += cost
            tally.tokens += len(prompt)
            _count_facts(tally, conversation[:index], sent, used[call], price, len(prompt))
            before = prompt
    return tally


def _shared(before: Sequence[int], now: Sequence[int]) -> int:
    pairs = zip(before, now, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))


def _tokens(message: Message) -> tuple[int, ...]:
    calls = "".join(f"{call.name}{call.arguments}" for call in message.tool_calls)
    return _encoded(message.role, message.text, calls)


@lru_cache(maxsize=100_000)
def _encoded(role: str, text: str, calls: str) -> tuple[int, ...]:
    """Encode a message with four tokens of framing, the first telling its role."""
    return (-1 - len(role), -1, -1, *_ENCODE(text), *_ENCODE(calls), -2)


def _count_facts(
    tally: Tally, given: Conversation, sent: Conversation, uses: Sequence[Use], price: PromptPrice, tokens: int
) -> None:
    prompt = "\n".join(whole(message) for message in sent)
    for use in uses:
        tally.uses += 1
        tally.staked += use.at_stake
        if stands(use.value, prompt):
            continue
        tally.lost += 1
        tally.staked_lost += use.at_stake
        source = next((i for i in use.sources if f"[cleared {id_of(given[i].text)}" in prompt), None)
        if source is not None:
            tally.recovered += 1
            # One call more: the prompt is read, and the tool's call and its result come new.
            asked = price.cost(tokens + len(_tokens(given[source])) + _RECOVERY_TOKENS, tokens)
            assert asked is not None
            tally.recovering_pico += asked


def _read(path: Path) -> Iterator[Conversation]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield tuple(_neutral(message) for message in json.loads(line)["messages"])


def _neutral(message: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    extra = {name: message[name] for name in ("tool_call_id", "name") if name in message}
    return Message(message["role"], message.get("content") or "", calls, extra=extra or None)
