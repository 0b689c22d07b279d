"""What a server writes while it runs, kept in a file: its last lines, and what they mean."""

from __future__ import annotations

from pathlib import Path

_READ_BYTES = 64 * 1024
"""The end of a log is read, never all of it: a server may have run for months."""

# vLLM 0.32's own words; a version that words it otherwise is shown without a meaning.
_MEANINGS = (
    ("out of memory", "the GPU's memory does not hold it: a smaller model, fewer context_tokens, or more GPUs"),
    ("larger than the available KV", "the context does not fit the cache: fewer context_tokens, or more memory for it"),
    ("No available memory for the cache", "no memory is left for the cache: raise memory_share, or cache_gib"),
    ("Sleep mode is not supported", "only a server on a GPU can sleep: start it without Preset.with_sleep()"),
    ("Address already in use", "another server listens at the port: name another, or leave it out for a free one"),
    ("is not a valid model identifier", "no such model at the hub: correct its name, or give a folder"),
    ("couldn't connect to", "the model hub cannot be reached from here: give a folder that holds the model"),
    ("unrecognized arguments", "this vLLM does not know one of the flags: correct it, or install another version"),
)  # fmt: skip


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log; empty where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - _READ_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def explained(text: str) -> str:
    """Quote last lines, behind what they mean where that is known; it follows what ended."""
    fix = next((f": {fix}" for sign, fix in _MEANINGS if sign.lower() in text.lower()), "")
    return f"{fix}. Its last lines:\n{text}"
