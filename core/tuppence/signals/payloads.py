"""Read the JSON that a model was asked for. Strict: text around it makes it unreadable, as for the user's parser."""

from __future__ import annotations

import json
import re
from typing import Any

_FENCED = re.compile(r"\s*```(?:json|JSON)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


def read_json(text: str) -> Any:
    """Return the value that `text` is; one Markdown fence around it is taken off, as the frameworks' parsers do.

    Raises ValueError for anything else, for NaN and infinities too, which are not JSON.
    """
    fenced = _FENCED.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_reject)
    except RecursionError as error:
        raise ValueError("nested too deeply to be read") from error


def _reject(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
