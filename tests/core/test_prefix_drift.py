"""What broke a prefix: the first piece that changed, with the place and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from tuppence.cache.prefix import Drift, DriftDetector, prompt_of
from tuppence.request import Message, Request

SCOPE = ("tenant", "task", "model")
LOOK: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ASK: dict[str, Any] = {"type": "function", "function": {"name": "ask", "parameters": {"type": "object"}}}
RULES = "Be short and never guess. " * 31


class Scope:
    """One scope's calls."""

    def __init__(self) -> None:
        self.detector = DriftDetector()

    def sends(
        self, system: str = RULES, *, tools: tuple[dict[str, Any], ...] = (), documents: str = "", ask: str = "Why?"
    ) -> Drift | None:
        given = [Message("system", documents)] if documents else []
        request = Request((Message("system", system), *given, Message("user", ask)), tools=tools)
        return self.detector.see(SCOPE, prompt_of(request, "gpt-4o"))


@pytest.fixture
def scope() -> Scope:
    return Scope()


def test_equal_prefixes_have_not_drifted(scope: Scope) -> None:
    """Whatever is asked after them."""
    assert [scope.sends(ask=ask) for ask in ("Why?", "How?", "2026?")] == [None, None, None]


def test_a_date_that_changed_is_named_with_its_place(scope: Scope) -> None:
    """Both dates, the character where it stands, and where to put it."""
    scope.sends(f"{RULES}Today is 2026-11-20. Be kind.")
    drift = scope.sends(f"{RULES}Today is 2026-11-21. Be kind.")
    at = len(RULES) + len("Today is ")
    assert str(drift) == (
        f"the system prompt changed at character {at}: '2026-11-20' -> '2026-11-21': "
        "move the date after the last breakpoint"
    )


def test_the_last_call_is_what_a_prompt_is_compared_with(scope: Scope) -> None:
    """Of several that are equally alike."""
    drifts = [scope.sends(f"Today is 2026-11-{day}.") for day in (19, 20, 21)]
    assert [drift and drift.before for drift in drifts] == [None, "2026-11-19", "2026-11-20"]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("It is 10:04:11.", "It is 10:04:12.", "time"),
        ("Now: 2026-11-20T10:04:11Z.", "Now: 2026-11-20T10:04:12Z.", "date"),
        ("Call 41 of many.", "Call 42 of many.", "number"),
        ("Id 6fa459ea-ee8a-3ca4-894e-db77e160355e.", "Id 6fa459ea-ee8a-3ca4-894e-db77e160355f.", "id"),
        ("Trace 4bf92f3577b34da6.", "Trace 4bf92f3577b34da7.", "id"),
    ],
)
def test_what_changes_from_call_to_call_is_recognised(scope: Scope, before: str, after: str, kind: str) -> None:
    """Times, counters and ids, wherever they stand in a long text."""
    scope.sends(RULES + before)
    drift = scope.sends(RULES + after)
    assert drift is not None and drift.before and f"move the {kind}" in drift.advice


def test_words_that_changed_are_placed_but_not_remembered(scope: Scope) -> None:
    """Of ordinary text no old wording is kept: the new one is shown, near the place."""
    scope.sends(f"{RULES}Answer the customer Alice.")
    drift = scope.sends(f"{RULES}Answer the customer Bobby.")
    assert drift is not None and drift.before == ""
    assert 0 <= len(RULES) + 20 - drift.character < 64
    assert "Alice" not in repr(scope.detector._scopes[SCOPE].snapshots)


def test_a_number_further_on_is_not_blamed(scope: Scope) -> None:
    """The first change is what broke the prefix, though a date changed as well."""
    scope.sends(f"Answer Alice. {RULES} Today is 2026-11-20.")
    drift = scope.sends(f"Answer Bobby. {RULES} Today is 2026-11-21.")
    assert drift is not None and (drift.character, drift.before) == (0, "")


def test_the_first_segment_that_changed_is_named(scope: Scope) -> None:
    """Tools are rendered before the instructions: what follows them is lost anyway."""
    scope.sends(f"{RULES} 2026-11-20", tools=(LOOK,))
    drift = scope.sends(f"{RULES} 2026-11-21", tools=(LOOK, ASK))
    assert drift is not None and drift.segment == "tools"


@pytest.mark.parametrize(
    "tools", [(ASK, LOOK), ({"function": LOOK["function"], "type": "function"}, ASK)], ids=["tools", "keys"]
)
def test_an_order_that_changed_is_told_from_a_change(scope: Scope, tools: tuple[dict[str, Any], ...]) -> None:
    """The same tools in another order, or their keys, are another prefix that sorting mends."""
    scope.sends(tools=(LOOK, ASK))
    drift = scope.sends(tools=tools)
    assert drift is not None and drift.segment == "tools" and "only the order differs" in drift.advice


def test_tools_that_come_and_go_are_named(scope: Scope) -> None:
    """A call without them shares nothing with one that has them."""
    scope.sends(tools=(LOOK,))
    left = scope.sends()
    assert left is not None and left.segment == "tools" and "left out" in left.advice
    assert str(Scope().sends()) == "None"


def test_two_prompts_in_turn_are_no_drift(scope: Scope) -> None:
    """An experiment alternates two instructions: each is compared with its own."""
    first = [scope.sends("Be short. " + RULES), scope.sends("Be long. " + RULES)]
    assert first[0] is None and first[1] is not None
    assert [scope.sends(text + RULES) for text in (*["Be short. "] * 6, "Be long. ")] == [None] * 7


def test_documents_that_always_change_are_none_that_broke(scope: Scope) -> None:
    """Every question brings its own; once a set has come twice, another one is a change."""
    assert [scope.sends(documents=text) for text in ("A", "B", "C")] == [None, None, None]
    assert scope.sends(documents="C") is None
    drift = scope.sends(documents="D")
    assert drift is not None and drift.segment == "documents"


def test_memory_is_bounded() -> None:
    """A scope holds a few snapshots of bounded size, and the detector so many scopes."""
    detector = DriftDetector(max_scopes=2)
    for n in range(10):
        request = Request((Message("system", f"{n} " * 200_000), Message("user", "Why?")))
        detector.see((f"scope {n % 3}",), prompt_of(request, "no-vocabulary"))
    assert len(detector._scopes) == 2
    kept = [one for known in detector._scopes.values() for shot in known.snapshots for one in shot.values()]
    assert all(len(one.pieces) <= 2048 and len(one.spans) <= 64 for one in kept)
    assert all(len(known.snapshots) <= 4 for known in detector._scopes.values())
