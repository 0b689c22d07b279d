"""How providers cache prefixes: what the data says of each model, and from when on."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tuppence
from tuppence.cache.prefix import rule_for

DATA = json.loads((Path(tuppence.__file__).parent / "data" / "prefix_caches.json").read_text(encoding="utf-8"))


def moment(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("model", "provider", "family", "minimum"),
    [
        ("claude-opus-5", "anthropic", "anthropic", 512),
        ("claude-opus-5-20260724", None, "anthropic", 512),
        ("claude-opus-5-5", "anthropic", "anthropic", 512),
        ("claude-opus-4-7", "anthropic", "anthropic", 2048),
        ("claude-opus-4-8", "anthropic", "anthropic", 1024),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "bedrock_converse", "anthropic", 4096),
        ("claude-sonnet-4-20250514", "vertexai", "anthropic", 1024),
        ("claude-3-5-haiku-latest", "anthropic", "anthropic", 2048),
        ("openai/gpt-4o-mini", None, "openai-free-writes", 1024),
        ("gpt-5.1-codex", "openai", "openai-free-writes", 1024),
        ("gpt-5.6-sol", "openai", "openai-paid-writes", 1024),
        ("gpt-6.1-terra", "azure_openai", "openai-paid-writes", 1024),
        ("o3-mini", "openai", "openai-free-writes", 1024),
        ("gemini-2.5-pro", "google_genai", "google", 2048),
        ("gemini-3.8-flash", "google", "google", 4096),
        ("gemini-4-argon", "google", "google", 6144),
    ],
)
def test_a_model_has_its_own_minimum(model: str, provider: str | None, family: str, minimum: int) -> None:
    """The length from which a prefix is cached differs within a family, and not by age."""
    rule = rule_for(model, provider=provider, at=moment("2026-11-21"))
    assert rule is not None and (rule.family, rule.minimum_tokens, rule.assumed) == (family, minimum, False)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-2", None), ("gpt-4-turbo", "openai"), ("gpt-4o-2024-05-13", "openai"), ("gpt-oss-20b", "openai"),
        ("llama-4-70b", None), ("gpt-4o", "my-own-server"), ("gemini-embedding-001", "google"),
    ],
)  # fmt: skip
def test_what_no_page_names_has_no_rule(model: str, provider: str | None) -> None:
    """Neither a similar name nor an unknown host is taken for one that caches."""
    assert rule_for(model, provider=provider) is None


def test_a_claude_that_no_page_names_is_taken_for_the_most_demanding() -> None:
    """A mark below the minimum does nothing, one that was left out only saves nothing; and the rule says so."""
    rule = rule_for("claude-haiku-5-5")
    assert rule is not None and rule.assumed
    assert rule.minimum_tokens == max(r["minimum_tokens"] for r in DATA["rules"] if r["family"] == "anthropic")


def test_a_rule_holds_from_its_day_on() -> None:
    """Google raised a minimum: what was planned before keeps its rule."""
    minimums = [rule_for("gemini-2.5-flash", at=moment(day)) for day in ("2025-05-01", "2026-01-01", "2026-07-01")]
    assert [rule and rule.minimum_tokens for rule in minimums] == [None, 1024, 2048]


def test_claude_keeps_prefixes_for_five_minutes_or_an_hour_at_two_prices() -> None:
    """Four marks, on tools too, found again within twenty blocks."""
    rule = rule_for("claude-opus-5")
    assert rule is not None and rule.kind == "marked"
    assert [(one.name, one.seconds, one.bucket) for one in rule.lifetimes] == [
        ("5m", 300, "cache_write_5m"), ("1h", 3600, "cache_write_1h"),
    ]  # fmt: skip
    assert (rule.max_marks, rule.lookback_blocks) == (4, 20) and "tools" in rule.marks_on


def test_every_rule_says_where_it_comes_from() -> None:
    """Each names a family and a source that are there, and a pattern that compiles; no price is in the data."""
    for rule in DATA["rules"]:
        re.compile(rule["models"])
        assert rule["family"] in DATA["families"] and rule["source"] in DATA["sources"]
    assert {r["source"] for r in DATA["rules"]} <= DATA["sources"].keys()
    assert "usd" not in json.dumps(DATA).lower()
