"""Who is told of a settled call: the spend handlers that a program attached to the dispatcher or a callback manager."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from llama_index.core.llms.callbacks import dispatcher

from tuppence.attempts import Result

LISTENS = "tuppence_settled"
"""Name of the method by which a handler says that it takes settled calls: `tuppence_settled(result)`."""


def announce(result: Result, handlers: Iterable[Any]) -> None:
    """Tell every listener once, on the dispatcher that the tiers' own events come from and among `handlers`."""
    told: list[Any] = []
    for handler in (*_attached(), *handlers):
        # Asked of the class: a pydantic object is slow to say that it lacks an attribute.
        if hasattr(type(handler), LISTENS) and not any(handler is one for one in told):
            told.append(handler)
            handler.tuppence_settled(result)


def _attached() -> Iterator[Any]:
    current = dispatcher
    while True:
        yield from current.event_handlers
        if not current.propagate:
            return
        current = current.parent
