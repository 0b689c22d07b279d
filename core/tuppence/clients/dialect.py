"""What an API must be able to say for the policy to run on it: read a request, edit it, read answers, write some.

One class for each API speaks for it. They work on plain JSON and on the SDK's own answers, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tuppence.errors import RequestError, UsageError
from tuppence.request import Edits, Message, Reply, Request, Role, edited_items
from tuppence.usage import Usage, read_usage

Json = dict[str, Any]

NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
INSTRUCTIONS = "instructions"
"""`type` of the item that stands for a request's instructions while its messages are edited."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a request's JSON says, neutrally; all that is not here is a parameter."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None


class Gathering(Protocol):
    """What a stream has told so far."""

    def take(self, chunk: Any, /) -> str | None:
        """Take a chunk in and return its text; None for one that the caller did not ask for."""
        ...

    def reply(self) -> Reply:
        """Return the whole reply, with this gathering for its native object."""
        ...

    def completion(self) -> Json:
        """Put the chunks together to the JSON that would have come without streaming."""
        ...


class Dialect(Protocol):
    """One API."""

    cascades: bool
    """Whether tiers can stand in for each other here."""
    limit_name: str
    """How a limit of the answer's length is called, where the caller does not say."""
    read_apart: frozenset[str]
    """Keys of the body that `parts` reads: no parameters."""

    def untracked(self, body: Json, /) -> bool:
        """Say whether a request is of a kind that is not answered at once, and so passes through."""
        ...

    def stateful(self, body: Json, /) -> bool:
        """Say whether asking leaves traces at the provider: then one tier is asked, once, and nothing is cached."""
        ...

    def parts(self, body: Json, /) -> Parts: ...
    def edited(self, body: Json, edits: Edits, /) -> Json: ...
    def composed(self, request: Request, /) -> Json:
        """Write a request that tuppence made itself (a judge's), or that was made for another API."""
        ...

    def create(self, client: Any, /) -> Callable[..., Any]:
        """Return the method by which a client asks this API."""
        ...

    def reply(self, native: Any, /) -> Reply:
        """Read an answer; raises `NotAnAnswer` for one that is none."""
        ...

    def streaming(self, body: Json, /) -> Json:
        """Return the body of a streamed request, asking for usage at its end."""
        ...

    def gathering(self, body: Json, /) -> Gathering: ...
    def ends(self, chunk: Any, body: Json, /) -> bool:
        """Say whether nothing that matters to a reader comes after this chunk."""
        ...

    def replayed(self, completion: Json, body: Json, /) -> Iterable[Json]:
        """Write the chunks that would stream this answer."""
        ...

    def written(self, text: str, model: str, /) -> Json:
        """Write an answer that no model gave."""
        ...

    def unbilled(self, completion: Json, /) -> Json:
        """Say of an answer that it used nothing, for whoever adds up what answers used."""
        ...


def items_of(body: Mapping[str, Any], key: str) -> list[Json]:
    """Return the messages of a request; raises `RequestError` for what is not a list of mappings."""
    items = body.get(key)
    if not isinstance(items, list):
        raise RequestError(
            f"{key} is {_shown(items)} ({type(items).__name__}): give a list of messages such as "
            '[{"role": "user", "content": "Hello"}]'
        )
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise RequestError(
                f"{key}[{index}] is {_shown(item)} ({type(item).__name__}): a message is a dict such as "
                '{"role": "user", "content": "Hello"}'
            )
    return items


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def applied(items: list[Json], edits: Edits, *, write: Callable[[Role, str], Json]) -> list[Json]:
    """Make the edits on a request's items; the others stay theirs."""
    return edited_items(items, edits, write=write, retell=retold)


def retold(item: Json, text: str) -> Json:
    """Put `text` where the first text part was; parts that are not text stay where they are."""
    content = item.get("content")
    if not isinstance(content, list):
        return {**item, "content": text}
    if len(content) == 1 and isinstance(content[0], Mapping) and content[0].get("type") == "tool_result":
        # A turn of Anthropic's that only brings a tool's result: its text is the result's.
        return {**item, "content": [retold(dict(content[0]), text)]}
    parts: list[Any] = []
    kinds = ("text", "input_text", "output_text")
    first = next((i for i, part in enumerate(content) if part.get("type") in kinds), None)
    for index, part in enumerate(content):
        if index == first:
            parts.append({**part, "text": text})
        elif part.get("type") not in kinds:
            parts.append(part)
    return {**item, "content": parts if first is not None else [{"type": "text", "text": text}, *parts]}


def text_of(content: Any) -> str:
    """Join the text parts of a message's content."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [str(part.get("text") or part.get("refusal") or "") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if text)


def usage_in(api: str, native: Any) -> Usage | None:
    """Read what an answer says that it used; None where it does not say."""
    try:
        return read_usage(api, native)
    except UsageError:
        return None


def common_params(request: Request) -> Json:
    """Pick of a request's parameters those that every API knows; all of them where tuppence wrote the request."""
    if request.native is None:
        return dict(request.params)
    return {name: request.params[name] for name in ("temperature", "top_p") if name in request.params}
