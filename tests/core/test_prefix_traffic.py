"""What a scope's traffic says about its prefixes."""

from __future__ import annotations

from fractions import Fraction

from tuppence.cache.prefix import Prompt, Sightings, prompt_of
from tuppence.request import Message, Request

SCOPE = ("tenant", "task", "model")


def prompt(*texts: str, system: str = "Be short.") -> Prompt:
    turns = [Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]
    return prompt_of(Request((Message("system", system), *turns)), "gpt-4o")


def test_the_share_of_requests_that_come_in_time() -> None:
    """The first has nothing before it, the second comes after 100 seconds, the third after 400."""
    sightings = Sightings()
    for at in (0.0, 100.0, 500.0):
        sightings.see(SCOPE, prompt("Hello?"), at)
    traffic = sightings.see(SCOPE, prompt("Hello?"), 501.0)
    assert [traffic.warm("system", s) for s in (100, 300, 3600)] == [0, Fraction(1, 3), Fraction(2, 3)]
    assert traffic.requests == 3


def test_a_request_is_judged_by_what_came_before_it() -> None:
    """What is returned is the traffic without the request itself."""
    assert Sightings().see(SCOPE, prompt("Hello?"), 0.0).requests == 0


def test_other_instructions_are_another_prefix() -> None:
    """They come at once, and find nothing."""
    sightings = Sightings()
    sightings.see(SCOPE, prompt("Hello?"), 0.0)
    sightings.see(SCOPE, prompt("Hello?", system="Be long."), 1.0)
    assert sightings.see(SCOPE, prompt("Hello?"), 2.0).warm("system", 300) == 0


def test_a_conversation_finds_what_it_had_said_before() -> None:
    """The third call's turns begin with the second's: of their tokens so much was sent already."""
    sightings = Sightings()
    talk = ["One?", "First answer.", "Two?", "Second answer.", "Three?", "Third answer.", "Four?"]
    for upto, at in ((1, 0.0), (3, 10.0), (5, 20.0), (7, 30.0)):
        sightings.see(SCOPE, prompt(*talk[:upto]), at)
    traffic = sightings.see(SCOPE, prompt("Bye?"), 40.0)
    assert traffic.warm("turns", 300) == Fraction(2, 3)
    start, first, second, third = (prompt(*talk).segments[n].upto_tokens for n in (0, 2, 4, 6))
    shares = Fraction(first - start, second - start), Fraction(second - start, third - start)
    assert traffic.share("turns", 300) == sum(shares) / 2


def test_scopes_know_nothing_of_each_other() -> None:
    """Another tenant's equal prompt is no repetition."""
    sightings = Sightings()
    sightings.see(("a",), prompt("Hello?"), 0.0)
    assert sightings.see(("b",), prompt("Hello?"), 1.0).requests == 0


def test_memory_is_bounded() -> None:
    """The scope unused for longest is forgotten."""
    sightings = Sightings(max_scopes=2)
    for name in ("a", "b", "c"):
        sightings.see((name,), prompt("Hello?"), 0.0)
    assert sightings.see(("a",), prompt("Hello?"), 1.0).requests == 0
    assert sightings.see(("c",), prompt("Hello?"), 1.0).requests == 1


def test_a_scope_remembers_so_many_prefixes() -> None:
    """One that six hundred others came after is new again."""
    sightings = Sightings()
    for n in (*range(600), 0):
        sightings.see(SCOPE, prompt("Hello?", system=f"You are number {n}."), float(n))
    assert sightings.see(SCOPE, prompt("Hello?"), 700.0).warm("system", 10_000) == 0


def test_a_clock_that_runs_backwards_makes_no_negative_gap() -> None:
    """Requests may be recorded out of order."""
    sightings = Sightings()
    for at in (100.0, 90.0):
        sightings.see(SCOPE, prompt("Hello?"), at)
    assert sightings.see(SCOPE, prompt("Hello?"), 101.0).warm("system", 1) == Fraction(1, 2)
    assert sightings.see(SCOPE, prompt("Hello?"), 102.0).warm("system", 5) == Fraction(2, 3)
