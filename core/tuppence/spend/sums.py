"""Sums in SQL that cannot overflow, and the parts of them put together again in Python's integers."""

from __future__ import annotations

import json

INPUT = "input + cache_read + cache_write_5m + cache_write_1h + audio_input + audio_cache_read + media_input"
"""All input tokens of an attempt."""
OUTPUT = "output + audio_output + media_output"


def exact_sum(value: str, condition: str) -> str:
    """Spell a sum as two columns: of the upper bits, and of the lower 32."""
    return f"SUM(({value}) >> 32) FILTER (WHERE {condition}), SUM(({value}) & 0xFFFFFFFF) FILTER (WHERE {condition})"


def exact_money(value: str, condition: str) -> str:
    """Spell a sum of money as three columns: of the amounts that are integers, and the list of those kept as text."""
    integers = exact_sum(value, f"{condition} AND typeof({value}) = 'integer'")
    return f"{integers}, json_group_array({value}) FILTER (WHERE {condition} AND typeof({value}) = 'text')"


def joined(high: int | None, low: int | None, wide: str = "[]") -> int:
    """Return the sum that stands in these columns."""
    return ((high or 0) << 32) + (low or 0) + sum(map(int, json.loads(wide)))
