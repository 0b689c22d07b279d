"""Which settled call an SDK object came from.

The SDKs' objects stay what they are: nothing is written on them, so that dumping, comparing and pickling them
gives what it always gave. The link lives here, for as long as the object does.
"""

from __future__ import annotations

import weakref
from typing import Any

from tuppence.attempts import Result
from tuppence.errors import RequestError

_results: dict[int, tuple[weakref.ref[Any], Result]] = {}


def remember(answer: Any, result: Result) -> None:
    """Link an SDK object to the call that made it; forgotten with the object."""
    key = id(answer)
    # Bound here: when the interpreter ends, answers outlive this module's names.
    pop = _results.pop

    def forget(_gone: object) -> None:
        pop(key, None)

    _results[key] = (weakref.ref(answer, forget), result)


def result_of(answer: Any) -> Result:
    """Tell how an answer of a wrapped client came about: its attempts, what they cost, and why.

    `answer` is what a tracked method returned, or a stream of it (also of the SDKs' stream helpers) that has been
    read to its end or closed. Raises `RequestError` for anything else.
    """
    known = _results.get(id(answer))
    if known is not None and known[0]() is answer:
        return known[1]
    stream = getattr(answer, "_raw_stream", answer)
    result = getattr(stream, "tuppence", None)
    if isinstance(result, Result):
        return result
    raise RequestError(
        f"nothing is known of this {type(answer).__name__}: give what a wrapped client returned (raw responses are not "
        "tracked), and a stream once it has been read to its end or closed"
    )
