"""Attempts as a store of jobs keeps them until the ledger has them: JSON, read back exactly as it was written.

What is written down twice must be the same row twice, so prices and moments are fixed here, when the answer comes.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from typing import Any

from tuppence.attempts import Attempt, Levers
from tuppence.prices import CacheMoney
from tuppence.usage import Usage

_USAGE = {one.name: one.default for one in fields(Usage) if one.default is not MISSING}
_PLAIN = [one.name for one in fields(Attempt) if one.name not in ("usage", "levers", "prefix")]


def spelt(attempt: Attempt) -> str:
    """Write an attempt as JSON; numbers come back as they were."""
    told: dict[str, Any] = {name: getattr(attempt, name) for name in _PLAIN}
    usage = attempt.usage
    told["usage"] = {name: value for name, default in _USAGE.items() if (value := getattr(usage, name)) != default}
    told["levers"] = None if attempt.levers is None else asdict(attempt.levers)
    told["prefix"] = None if attempt.prefix is None else asdict(attempt.prefix)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Attempt:
    """Read what `spelt` wrote."""
    told = json.loads(text)
    usage = {name: _tuples(value) for name, value in told.pop("usage").items()}
    levers, prefix = told.pop("levers"), told.pop("prefix")
    return Attempt(
        **told,
        usage=Usage(**usage),
        levers=None if levers is None else Levers(**levers),
        prefix=None if prefix is None else CacheMoney(**prefix),
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
