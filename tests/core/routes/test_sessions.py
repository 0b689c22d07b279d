"""Sessions stay on their tier, climb with their escalations, and are forgotten in the end."""

import threading
from typing import Any

import pytest

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request
from tuppence.routes import by_data_class, custom, start_at, sticky
from tuppence.tiers import Tier
from tuppence.usage import Usage

from .ladder import asked, chosen


def attempt(tier: str, cause: Any, outcome: Any) -> Attempt:
    return Attempt(tier, tier, cause, outcome, Usage(), 0, "exact", "v1", 0.0, 1.0)


def ended(request: Request, *attempts: Attempt) -> Result:
    return Result("1", Reply("x"), list(attempts), Decision("optimise"), request.tags)


ESCALATED = (attempt("small", "draft", "rejected"), attempt("large", "escalation", "accepted"))


def first_word(request: Request, _ladder: tuple[Tier, ...]) -> str:
    return request.question


def test_a_session_stays_where_it_started() -> None:
    """Whatever the inner route says later; other sessions, other tenants and calls without one go their way."""
    route = sticky(custom(first_word))
    assert chosen(route, asked("local", session="s")) == ["local", "large"]
    assert chosen(route, asked("small", session="s")) == ["local", "large"]
    assert chosen(route, asked("large", session="s")) == ["local", "large"]
    assert chosen(route, asked("small", session="s", tenant="t")) == ["small", "local", "large"]
    assert chosen(route, asked("large")) == ["large"]


def test_a_session_climbs_with_its_escalations() -> None:
    """Once a call had to climb, the next one starts there; a failure that another tier caught is no reason to climb."""
    route = sticky(start_at("small"))
    request = asked(session="s")
    assert chosen(route, request) == ["small", "local", "large"]
    route.learn(request, ended(request, attempt("small", "draft", "failed"), attempt("local", "fallback", "accepted")))
    assert chosen(route, request) == ["small", "local", "large"]
    retried = (attempt("local", "escalation", "failed"), attempt("local", "retry", "accepted"))
    route.learn(request, ended(request, attempt("small", "draft", "rejected"), *retried))
    assert chosen(route, request) == ["local", "large"]
    route.learn(request, ended(request, *ESCALATED))
    assert chosen(route, request) == ["large"]
    route.learn(request, ended(request, *retried))
    assert chosen(route, request) == ["large"]


def test_a_session_respects_a_guard_before_it() -> None:
    """Its tier is not offered for private text; afterwards it is back there."""
    route = by_data_class() >> sticky(start_at("large"))
    assert chosen(route, asked(session="s", data_class="public")) == ["large"]
    assert chosen(route, asked(session="s", data_class="private")) == ["local"]
    assert chosen(route, asked(session="s", data_class="public")) == ["large"]


def test_what_composites_learn_reaches_their_parts() -> None:
    """However deep the route that learns."""
    inner = sticky(start_at("small"))
    request = asked(session="s", data_class="public")
    route = by_data_class() >> (start_at("nobody") | sticky(start_at("nobody") | inner))
    assert chosen(route, request) == ["small", "local", "large"]
    route.learn(request, ended(request, *ESCALATED))
    assert chosen(inner, request) == ["large"]
    assert chosen(route, request) == ["large"]


def test_sessions_are_bounded() -> None:
    """The one unused for longest is forgotten."""
    route = sticky(custom(first_word), max_sessions=2)
    for session in ("a", "b"):
        chosen(route, asked("large", session=session))
    chosen(route, asked("small", session="a"))
    chosen(route, asked("large", session="c"))
    assert chosen(route, asked("small", session="a")) == ["large"]
    assert chosen(route, asked("small", session="b")) == ["small", "local", "large"]
    with pytest.raises(ConfigError, match="max_sessions is 0"):
        sticky(start_at("small"), max_sessions=0)


def test_sessions_survive_many_threads() -> None:
    """Concurrent calls and lessons, of more sessions than fit, never meet a state that cannot be."""
    route = sticky(start_at("small"), max_sessions=8)
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for i in range(300):
                request = asked(session=str((seed * 7 + i) % 12))
                assert chosen(route, request) in (["small", "local", "large"], ["large"])
                route.learn(request, ended(request, *ESCALATED))
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
