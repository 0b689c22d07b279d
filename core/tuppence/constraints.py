"""Keeping an answer to a schema: what a vLLM server must be told beside what OpenAI's own needs.

A forced tool's arguments keep to its schema only where the tool says `strict`; and the `guided_*` arguments of older
versions are ignored without a word, so that an answer which was always JSON is prose one day. Both are put right in
what a self-hosted tier is sent, and nowhere else. What the caller asked for is never changed, only said again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPELT_NOW = {
    "guided_json": "json", "guided_regex": "regex", "guided_choice": "choice", "guided_grammar": "grammar",
    "guided_whitespace_pattern": "whitespace_pattern",
}  # fmt: skip
_NOW = "structured_outputs"
_EXTRA = "extra_body"
"""Where the SDKs take what is not OpenAI's."""


def constrained(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say in the arguments of a request what vLLM obeys; `sent` itself where there is nothing to add.

    Read are OpenAI's chat form and Anthropic's. A tool's own `strict: false` does not hold: OpenAI's strictness allows
    only some schemas, so frameworks say it by default, and vLLM's has no such limits. The older arguments stay beside
    the newer: servers before 0.10.2 know only those. A request's own `structured_outputs` stay as they are.
    """
    changed: dict[str, Any] = {}
    if _forces(sent.get("tool_choice")) and sent.get("tools"):
        changed["tools"] = [_strict(tool) for tool in sent["tools"]]
    extra = sent.get(_EXTRA)
    if isinstance(extra, Mapping) and (asked := _guided(extra)):
        changed[_EXTRA] = {**extra, _NOW: asked}
    if asked := _guided(sent):
        changed[_NOW] = asked
    return {**sent, **changed} if changed else sent


def _guided(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the `guided_*` arguments ask for, in newer words; empty where those are there already."""
    if given.get(_NOW) is not None:
        return {}
    return {now: given[old] for old, now in _SPELT_NOW.items() if given.get(old) is not None}


def _forces(choice: Any) -> bool:
    """Say whether the model must call a tool: any, or the one that is named."""
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return kind in ("required", "any", "function", "tool")


def _strict(tool: Any) -> Any:
    if not isinstance(tool, Mapping):
        return tool
    if isinstance(function := tool.get("function"), Mapping):
        return {**tool, "function": _strict(function)}
    # A provider's own tool has neither, and its schema is the provider's.
    has_schema = "parameters" in tool or "input_schema" in tool
    return {**tool, "strict": True} if has_schema else tool
