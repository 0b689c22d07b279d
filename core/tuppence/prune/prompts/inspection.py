"""What of a prompt is dead weight, by kind: a text, or a request as it is sent to a provider.

It looks, and changes nothing: what could go is named with its tokens, what should not go by rule with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuppence.errors import RequestError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, joined
from tuppence.prune.prompts.fillers import Risky, without_fillers
from tuppence.prune.prompts.tidying import tidied
from tuppence.prune.prompts.tools import minified_tools


@dataclass(frozen=True, slots=True)
class Prompt:
    """The texts and tools of one prompt."""

    texts: tuple[tuple[str, str], ...]
    """Where each stands, such as `message 1 (system)`, and what it says."""
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Weight:
    """Dead weight of one kind."""

    kind: str
    tokens: int
    pieces: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a prompt weighs, and what of that it could do without."""

    audit: Audit
    fillers: Audit | None = None
    """What rules for fillers would save besides, where that was asked for."""
    risky: tuple[tuple[str, Risky], ...] = field(default=())
    """Fillers that should stay, with where they stand."""
    diffs: tuple[str, ...] = ()
    """What leaving out fillers would change."""

    @property
    def tokens(self) -> int:
        return self.audit.tokens_before

    @property
    def saved(self) -> int:
        """Tokens that the prompt could do without, fillers among them where they were asked for."""
        return self.audit.tokens_saved + (self.fillers.tokens_saved if self.fillers else 0)

    def weights(self) -> list[Weight]:
        """Add up by kind of cut, the largest first; rounding over pieces can make their sum differ from `saved`."""
        cuts = [*self.audit.cuts, *(self.fillers.cuts if self.fillers else ())]
        kinds = dict.fromkeys(cut.kind for cut in cuts)
        found = [_weight(kind, [cut for cut in cuts if cut.kind == kind]) for kind in kinds]
        return sorted(found, key=lambda weight: -weight.tokens)


def read_prompt(text: str) -> Prompt:
    """Read a prompt from a file's text: a request with `messages` or `tools` in JSON, else the text itself.

    Raises `RequestError` for a text without words, and for a request whose messages or tools are no lists.
    """
    if not text.strip():
        raise RequestError("the prompt is empty: give a prompt's text, or a request with `messages` as JSON")
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        return Prompt((("prompt", text),))
    if not isinstance(request, Mapping) or not {"messages", "tools", "system"} & request.keys():
        return Prompt((("prompt", text),))
    texts = [("system", said) for said in _said(request.get("system"))]
    for at, message in enumerate(_listed(request, "messages"), 1):
        role = message.get("role", "message")
        texts += [(f"message {at} ({role})", said) for said in _said(message.get("content"))]
    tools = tuple(_listed(request, "tools"))
    if not texts and not tools:
        raise RequestError("the request says nothing: give one whose `messages` have text, or one with `tools`")
    return Prompt(tuple(texts), tools)


def inspected(prompt: Prompt, *, model: str = DEFAULT_MODEL, with_fillers: bool = False) -> Inspection:
    """Find the dead weight of a prompt, in tokens of `model`'s."""
    tidy = [tidied(text, model=model, source=source) for source, text in prompt.texts]
    audits = [one.audit for one in tidy]
    if prompt.tools:
        audits.append(minified_tools(prompt.tools, model=model).audit)
    if not with_fillers:
        return Inspection(joined(audits))
    # What is left after tidying counts, so that nothing is saved twice; lines are those of the text as it was given.
    left = [
        without_fillers(one.text, model=model, source=source)
        for (source, _), one in zip(prompt.texts, tidy, strict=True)
    ]
    shown = [(source, without_fillers(text, model=model, source=source)) for source, text in prompt.texts]
    return Inspection(
        joined(audits),
        joined([one.audit for one in left]),
        tuple((source, risky) for source, one in shown for risky in one.risky),
        tuple(one.diff for _, one in shown if one.diff),
    )


def _weight(kind: str, cuts: Sequence[Cut]) -> Weight:
    return Weight(kind, sum(cut.tokens for cut in cuts), len(cuts))


def _listed(request: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = request.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise RequestError(f"{key!r} of the request is no list of objects ({str(found)[:40]!r}): give it as it is sent")
    return found


def _said(content: Any) -> list[str]:
    """Return the texts of a message, whose content is a text or a list of parts."""
    if isinstance(content, str):
        return [content] if content else []
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") or part.get("content") for part in parts if isinstance(part, Mapping)]
    return [text for text in texts if isinstance(text, str) and text]
