"""The models that judge: asked in words of ours, through whatever accounts for them.

A judge's calls are recorded under the call that was judged, so a model must not keep books of its own beside that. A
model that nobody accounts for is refused: what judging costs is never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.clients import wrap
from tuppence.clients.sdk import family_of, is_async
from tuppence.clients.tiers import ClientTier
from tuppence.errors import ConfigError
from tuppence.request import Message, Reply, Request
from tuppence.tiers import Tier

Ask = Callable[[Sequence[Message]], str]

# Anthropic's API must be told; a verdict is a sentence and two numbers, and a model may think before it.
_MAX_TOKENS = 2048

_HOW = (
    "give ChatTuppence(tiers=[model], ledger=None), TuppenceLLM([model], ledger=None), via(client, 'model'), or "
    "function_tier('name', function)"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that can be asked."""

    ask: Ask
    """Return the text of its answer; raises what the model raises. Every provider call is seen by `spend()`."""
    tiers: tuple[Tier, ...]
    """Who may see what is asked: guards are asked about them."""

    @property
    def name(self) -> str:
        return self.tiers[-1].model or self.tiers[-1].name


def asked(model: Any) -> Asked:
    """Make a judge of a facade or a tier; raises `ConfigError` for a model whose calls could not be accounted once."""
    if isinstance(model, Asked):
        return model
    if isinstance(model, ClientTier) and model.client is not None:
        return _through_client(model)
    if isinstance(model, Tier) and model.answer is not None:
        return Asked(_by_rules(model.answer), (model,))
    policy = getattr(model, "policy", None)
    if policy is None:
        raise ConfigError(f"the judge is {model!r} ({type(model).__name__}), which accounts for no call: {_HOW}")
    if getattr(model, "ledger", None) is not None:
        raise ConfigError(
            "the judge has a ledger of its own, and its calls would be written twice: make it with ledger=None; they "
            "are written under the calls that they judge"
        )
    if callable(getattr(model, "invoke", None)):
        return Asked(lambda messages: str(model.invoke([(m.role, m.text) for m in messages]).text), policy.tiers)
    return Asked(lambda messages: str(model.complete(_as_prompt(messages)).text), policy.tiers)


def _as_prompt(messages: Sequence[Message]) -> str:
    """Spell messages as one text, for a model whose own messages only its framework can make."""
    turns = [m for m in messages if m.role != "system"]
    lines = [m.text for m in messages if m.role == "system"]
    lines += [m.text if len(turns) == 1 else f"{m.role}: {m.text}" for m in turns]
    return "\n\n".join(lines)


def _by_rules(answer: Callable[[Request], str | Reply | None]) -> Ask:
    def ask(messages: Sequence[Message]) -> str:
        told = answer(Request(tuple(messages)))
        return told.text if isinstance(told, Reply) else told or ""

    return ask


def _through_client(tier: ClientTier) -> Asked:
    if is_async(tier.client):
        raise ConfigError(
            f"judge {tier.name!r} has an async client ({type(tier.client).__name__}), and judging has a thread of its "
            "own and no event loop: give it the sync client"
        )
    client = wrap(tier.client, tiers=[tier], check=None, ledger=None)
    if family_of(tier.client) == "anthropic":
        return Asked(lambda messages: _anthropic(client, tier.name, messages), (tier,))
    return Asked(lambda messages: _openai(client, tier.name, messages), (tier,))


def _openai(client: Any, model: str, messages: Sequence[Message]) -> str:
    spelt = [{"role": m.role, "content": m.text} for m in messages]
    answer = client.chat.completions.create(model=model, messages=spelt)
    return answer.choices[0].message.content or ""


def _anthropic(client: Any, model: str, messages: Sequence[Message]) -> str:
    system = "\n\n".join(m.text for m in messages if m.role == "system")
    turns = [{"role": m.role, "content": m.text} for m in messages if m.role != "system"]
    options = {"system": system} if system else {}
    answer = client.messages.create(model=model, max_tokens=_MAX_TOKENS, messages=turns, **options)
    return "".join(block.text for block in answer.content if block.type == "text")
