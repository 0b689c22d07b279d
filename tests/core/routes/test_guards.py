"""Guards: private text goes to self-hosted tiers, or nowhere, whatever stands around the guard."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.effects import Choice
from tuppence.errors import ConfigError, ScopeError
from tuppence.request import Request
from tuppence.routes import by_data_class, by_size, only, start_at, sticky
from tuppence.tiers import Tier

from .ladder import LADDER, LARGE, LOCAL, SAYINGS, SMALL, asked, chosen, says


def failing(_request: Request) -> str:
    raise ValueError("my secret is 12345")


@pytest.mark.parametrize(
    ("tag", "classify", "expected"),
    [
        ("public", None, None),
        ("private", None, ["local"]),
        ("pii", None, ["local"]),
        (None, None, ["local"]),
        ("", None, ["local"]),
        ("Public", None, ["local"]),
        (None, lambda _: "public", None),
        (None, lambda _: "private", ["local"]),
        (None, lambda _: None, ["local"]),
        (None, lambda _: "typo", ["local"]),
        (None, lambda _: 42, ["local"]),
        (None, failing, ["local"]),
        ("public", lambda _: "private", ["local"]),
        ("public", failing, ["local"]),
        ("private", lambda _: "public", ["local"]),
    ],
)
def test_what_is_not_known_to_be_public_is_private(tag: str | None, classify: Any, expected: list[str] | None) -> None:
    """No class, an unknown one, a typo, a classifier that fails or says nothing: closed. The stricter voice counts."""
    request = asked() if tag is None else asked(data_class=tag)
    assert chosen(by_data_class(private={"private", "pii"}, classify=classify), request) == expected


def test_private_text_without_a_place_to_go_stops() -> None:
    """With cause, value and fix; and never with the text of a classifier's error, which may quote the prompt."""
    guard = by_data_class()
    with pytest.raises(ScopeError, match=r"'private'.*\['small', 'large'\].*self_hosted=True"):
        guard(asked(data_class="private"), (SMALL, LARGE))
    with pytest.raises(ScopeError) as stopped:
        by_data_class(classify=failing)(asked(), (SMALL,))
    assert "12345" not in str(stopped.value)
    assert "ValueError" in str(stopped.value)


def test_a_guard_that_cannot_work_is_refused() -> None:
    """Contradicting classes, and a classifier that routes could not wait for."""

    async def later(_request: Request) -> str:
        return "public"

    with pytest.raises(ConfigError, match=r"\['x'\] is both"):
        by_data_class(private={"x"}, public={"x"})
    with pytest.raises(ConfigError, match="async"):
        by_data_class(classify=later)  # type: ignore[arg-type]


def test_a_guard_cannot_be_skipped() -> None:
    """Behind `|` it would be, and inside `sticky` a session's habit would override it."""
    guard = by_data_class()
    for compose in (
        lambda: start_at("small") | guard,
        lambda: start_at("small") | (guard >> by_size()),
        lambda: start_at("small") | (by_size() >> guard),
        lambda: start_at("small") | (guard | by_size()),
        lambda: start_at("small") | only("local"),
        lambda: sticky(guard >> by_size()),
    ):
        with pytest.raises(ConfigError, match="guard"):
            compose()


@given(st.sampled_from(SAYINGS), st.sampled_from(SAYINGS), st.sampled_from(["public", "private", None]))
def test_nothing_brings_back_what_a_guard_took(a: Any, b: Any, data_class: str | None) -> None:
    """Wherever routes stand around it in `>>`: private text meets self-hosted tiers, or nobody."""
    request = asked() if data_class is None else asked(data_class=data_class)
    guard = by_data_class()
    for route in (
        guard >> says(a) >> says(b),
        guard >> (says(a) >> start_at("nobody") >> says(b)),
        (guard >> says(a)) | says(b),
        guard | says(a) | says(b),
        guard >> sticky(start_at("large") | says(a)),
        says(a) >> guard >> says(b),
    ):
        try:
            found = chosen(route, request)
        except ScopeError:
            continue
        assert data_class == "public" or found == ["local"]


def broken(_request: Request, _ladder: tuple[Tier, ...]) -> Choice | None:
    raise ZeroDivisionError("oops")


def test_a_broken_route_does_not_open_a_guard() -> None:
    """Beside a guard it is passed over and named; where nothing was taken away, its error is the caller's."""
    private, public = asked(data_class="private"), asked(data_class="public")
    for route in (by_data_class() >> broken, broken >> by_data_class()):
        choice = route(private, LADDER)
        assert choice is not None
        assert choice.ladder == (LOCAL,)
        assert "ZeroDivisionError: oops" in choice.reason
        with pytest.raises(ZeroDivisionError):
            route(public, LADDER)
