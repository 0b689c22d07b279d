"""See that a text stops before its end. Only for texts whose provider did not say why it stopped."""

from __future__ import annotations

import json
import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
# Nothing ends in these words; "to", "of" and "with" may end a question, and a lone "a" may be a choice.
_DANGLING = re.compile(r"\s(?:the|an|and|or|because|und|oder|der|die|das|et|ou|le|les|y|el|los|e|il)\Z")


def cut_off(text: str) -> str | None:
    """Name the sign that `text` was cut off, or return None.

    Signs: an open code fence, JSON that does not close, an open bracket, comma or colon at the end, a last `and`.
    """
    ended = text.rstrip()
    if not ended:
        return None
    if len(_FENCE.findall(ended)) % 2:
        return "a code block is not closed"
    if ended[0] in "{[" and _open_json(ended):
        return "its JSON is not closed"
    if ended[-1] in ",;:([{，、：（":
        return f"it ends in {ended[-1]!r}"
    dangling = _DANGLING.search(ended[-16:])
    return f"it ends in the word {dangling.group().strip()!r}" if dangling else None


def _open_json(text: str) -> bool:
    """Say whether `text` begins JSON: wrong at its very end only, or inside a string that never closes."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text) or error.msg.startswith("Unterminated string")
    except RecursionError:
        return True
    return False
