"""What a shortened document says of itself in its metadata, whatever framework it belongs to: plain JSON.

A note holds what was cut, so that it can be put back; it must never be shown to a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuppence.context import enclosing_spends
from tuppence.prune.audit import Audit
from tuppence.prune.passages import KeptPassage

METADATA = "tuppence"
"""Key of the metadata under which a document's note stands."""
TITLE_KEYS = ("title", "document_title", "heading", "section")
"""Where loaders, splitters and extractors put what a document is about."""


def title_in(metadata: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the first title that stands under one of `keys`; "" where there is none."""
    named = (metadata.get(key) for key in keys)
    return next((one.strip() for one in named if isinstance(one, str) and one.strip()), "")


class Note(dict[str, Any]):
    """A note, as JSON takes it. Printed it says nothing: prompts into which whole documents are written print them."""

    def __repr__(self) -> str:
        return "{...}"

    __str__ = __repr__


def note_on(text: str, kept: KeptPassage, audit: Audit) -> Note:
    """Write down what became of a document's `text`.

    `spans` says where the kept pieces stood (start and end, in characters), `cut` what stood elsewhere (start, end,
    text); `audit` counts the tokens of all documents of the call.
    """
    return Note(
        spans=[[one.start, one.end] for one in kept.spans],
        cut=list(_cut(text, kept)),
        audit={
            "tokens_before": audit.tokens_before,
            "tokens_after": audit.tokens_after,
            "kept_because": audit.kept_because,
        },
    )


def _cut(text: str, kept: KeptPassage) -> Iterator[dict[str, Any]]:
    starts = [0, *(one.end for one in kept.spans)]
    ends = [*(one.start for one in kept.spans), len(text)]
    for start, end in zip(starts, ends, strict=True):
        if text[start:end].strip():
            yield {"start": start, "end": end, "text": text[start:end]}


def tell_spends(audit: Audit) -> None:
    """Count what a pruner left out in the `spend()` blocks around it."""
    for collected in enclosing_spends():
        collected.leave_out(audit.tokens_saved)
