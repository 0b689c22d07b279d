"""Which prefixes providers hold: as far as answers told, for as long as is promised, for one scope alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tuppence.cache.prefix import Held, PrefixPlanner, Prompt, prompt_of
from tuppence.config import load_config
from tuppence.prices import PriceBook
from tuppence.request import Message, Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

NOW = 1_795_000_000.0
RULES = "Be short and never guess. " * 400
HERE, THERE = ("tenant", "large"), ("other", "large")
CLAUDE = Tier("large", model="claude-opus-5", provider="anthropic", rate=PriceBook.default().rate("claude-opus-5"))
GPT = Tier("large", model="gpt-4o", provider="openai", rate=PriceBook.default().rate("gpt-4o"))
SMALL = Tier("small", model="gpt-4.1", provider="openai", rate=PriceBook.default().rate("gpt-4.1"))


def prompt(*texts: str) -> Prompt:
    return prompt_of(request(*texts), "gpt-4o")


def request(*texts: str, at: float = NOW) -> Request:
    roles = ("user", "assistant")
    said = [Message(roles[n % 2], text) for n, text in enumerate(texts)]  # type: ignore[arg-type]
    return Request((Message("system", RULES), *said), received_at=at)


def kept(held: Held, *texts: str, at: float = 0.0, scope: tuple[str, ...] = HERE) -> None:
    held.keep(scope, [(segment.digest, 300) for segment in prompt(*texts).segments], at)


def test_the_longest_prefix_that_was_kept_is_held() -> None:
    """A conversation that went on holds what it had been; one that began otherwise its instructions alone."""
    held = Held(max_prefixes=100)
    kept(held, "Why?")
    longer, other = prompt("Why?", "Because.", "Sure?"), prompt("What?")
    assert held.tokens(HERE, longer, 1.0) == prompt("Why?").tokens
    assert held.tokens(HERE, other, 1.0) == other.segments[0].upto_tokens


def test_a_prefix_is_held_for_its_lifetime_and_a_use_begins_it_anew() -> None:
    """Three hundred seconds from the last time."""
    held = Held(max_prefixes=100)
    kept(held, "Why?")
    assert held.tokens(HERE, prompt("Why?"), 299.0) and not held.tokens(HERE, prompt("Why?"), 300.0)
    kept(held, "Why?", at=250.0)
    assert held.tokens(HERE, prompt("Why?"), 549.0)


def test_scopes_hold_nothing_for_each_other() -> None:
    """Another tenant's is another cache."""
    held = Held(max_prefixes=100)
    kept(held, "Why?")
    assert held.tokens(THERE, prompt("Why?"), 1.0) == 0
    assert held.knows(HERE) and not held.knows(THERE)


def test_memory_is_bounded() -> None:
    """The prefix that was used least lately goes, and a scope without one is forgotten."""
    held = Held(max_prefixes=4)
    kept(held, "Why?")
    kept(held, "Why?", scope=THERE)
    kept(held, "Why?", scope=("third",))
    assert [held.knows(scope) for scope in (HERE, THERE, ("third",))] == [False, True, True]


@pytest.mark.parametrize(("usage", "known"), [(None, False), (Usage(input=9), False), (Usage(cache_write_5m=9), True)])
def test_a_mark_is_believed_when_the_provider_counts_it(usage: Usage | None, known: bool) -> None:
    """A provider that caches by itself does not tell of writes: it is believed unseen."""
    planner = PrefixPlanner()
    for n in range(4):
        planned = planner.plan(request("Why?", at=NOW + n), CLAUDE)
    planner.answered(planned, usage, NOW + 4)
    later = request("Why?", "Because.", "Sure?", at=NOW + 5)
    assert bool(planner.spared(later, (SMALL, CLAUDE), NOW + 5)) is known


def test_every_tier_below_a_warm_one_is_spared_that_would_cost_more() -> None:
    """Those above it are not, nor is the warm one, nor anything where nothing above is warm."""
    planner = PrefixPlanner()
    planner.answered(planner.plan(request("Why?"), GPT), Usage(input=9), NOW)
    later = request("Why?", "Because.", "Sure?")
    second = Tier("second", model="gpt-4.1-2025-04-14", rate=SMALL.rate)
    spared = planner.spared(later, (SMALL, GPT, second), NOW + 2)
    assert list(spared) == ["small"] and spared["small"].startswith("large holds")
    assert list(planner.spared(later, (SMALL, second, GPT), NOW + 2)) == ["small", "second"]
    assert planner.spared(later, (SMALL, second), NOW + 2) == planner.spared(later, (GPT,), NOW + 2) == {}


def test_a_tier_without_a_price_is_never_spared() -> None:
    """Nobody can say that it costs more."""
    planner = PrefixPlanner()
    planner.answered(planner.plan(request("Why?"), GPT), Usage(input=9), NOW)
    unpriced = Tier("small", model="unheard-of")
    assert planner.spared(request("Why?", "Because.", "Sure?"), (unpriced, GPT), NOW + 2) == {}


def test_a_planner_travels_as_settings() -> None:
    """What it saw stays in its process; how many kinds of traffic it remembers goes along."""
    planner = PrefixPlanner(max_scopes=1)
    planner.plan(request("Why?"), GPT)
    copy: PrefixPlanner = pickle.loads(pickle.dumps(planner))
    reasons = [copy.plan(request("Why?"), tier).plan.reason for tier in (GPT, GPT, GPT, SMALL, GPT)]
    assert [reason.split("; ")[-1].split()[0] for reason in reasons] == ["0%", "0%", "50%", "0%", "0%"]


def test_a_client_that_carries_no_marks_is_not_planned() -> None:
    """And the plan says so."""
    plan = PrefixPlanner().plan(request("Why?"), Tier("small", model="gpt-4o", prefix_marks=False)).plan
    assert not plan.edits and "cannot carry marks" in plan.reason


@pytest.mark.parametrize(("read", "spared"), [(0, []), (2000, ["small"])])
def test_gemini_is_planned_whatever_client_asks_it(read: int, spared: list[str]) -> None:
    """It takes no hint, so that there is nothing to carry; it promises no hit, so that only a counted one is held."""
    rate = PriceBook.default().rate("gemini-2.5-pro")
    gemini = Tier("large", model="gemini-2.5-pro", provider="google_genai", rate=rate, prefix_marks=False)
    planner = PrefixPlanner()
    planned = planner.plan(request("Why?"), gemini)
    assert not planned.plan.edits and "the provider caches by itself" in planned.plan.reason
    planner.answered(planned, Usage(input=9, cache_read=read), NOW)
    later = request("Why?", "Because.", "Sure?")
    assert list(planner.spared(later, (SMALL, gemini), NOW + 1)) == spared


def test_a_file_asks_for_it_in_one_word(tmp_path: Path) -> None:
    """`prompt_cache: true`; without it nothing is planned."""
    tiers = "tiers:\n  - {name: small, class: openai, model: gpt-4o-mini}\n"
    for word, planned in (("", False), ("prompt_cache: off\n", False), ("prompt_cache: true\n", True)):
        path = tmp_path / "tuppence.yaml"
        path.write_text(tiers + word)
        assert (load_config(path).policy().prefix is not None) is planned
