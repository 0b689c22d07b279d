"""Which tier tries first: each route by a table of requests, and what routes make together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.effects import Choice
from tuppence.errors import ConfigError, RequestError
from tuppence.request import Message, Request
from tuppence.routes import (
    TaskPolicy,
    by_complexity,
    by_data_class,
    by_keywords,
    by_size,
    by_task,
    custom,
    only,
    start_at,
    sticky,
    strongest,
)
from tuppence.tiers import Tier

from .ladder import LADDER, LARGE, LOCAL, SAYINGS, asked, chosen, says

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |"


def test_a_start_leaves_the_way_up_open() -> None:
    """From the named tier upward; nothing to say where a guard took it away."""
    assert chosen(start_at("local")) == ["local", "large"]
    assert chosen(start_at("large")) == ["large"]
    assert chosen(start_at("small"), ladder=(LOCAL, LARGE)) is None


def test_only_leaves_no_way_out() -> None:
    """In the ladder's order, whatever the order of names; and an error where nobody is left."""
    assert chosen(only("large", "small")) == ["small", "large"]
    with pytest.raises(RequestError, match=r"\['huge'\].*\['small', 'local', 'large'\]"):
        only("huge")(asked(), LADDER)
    with pytest.raises(ConfigError, match="names no tier"):
        only()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("word " * 10, "small"),
        ("word " * 11, "local"),
        ("word " * 19, "local"),
        ("word " * 20, "large"),
        ("字" * 20, "small"),
        ("字" * 40, "large"),
        (TABLE[:3], "small"),
        (f"{TABLE}", "large"),
        ("a\tb\nc\td\ne\tf", "local"),
    ],
)
def test_size(text: str, first: str) -> None:
    """By words, with a table one rung up; the limits belong to the lower and the upper rung."""
    found = chosen(by_size(small_words=10, large_words=20), asked(text))
    assert found is not None
    assert found[0] == first


@pytest.mark.parametrize("limits", [(-1, 5), (5, 5), (6, 5)])
def test_size_refuses_limits_that_cannot_be(limits: tuple[int, int]) -> None:
    """The values are in the message."""
    with pytest.raises(ConfigError, match=str(limits[0])):
        by_size(small_words=limits[0], large_words=limits[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is this CONTRACT valid?", ["large"]),
        ("What are your opening hours?", ["local", "large"]),
        ("The contract and the opening hours", ["large"]),
        ("contractors wanted", None),
        ("a subcontract", None),
        ("请看合同条款", ["large"]),
        ("C++ or C?", ["large"]),
        ("nothing", None),
    ],
)
def test_keywords(text: str, expected: list[str] | None) -> None:
    """Whole words in any case, also in scripts without spaces; the strongest tier of several counts."""
    route = by_keywords({"contract": "large", "opening hours": "local", "合同": "large", "c++": "large"})
    assert chosen(route, asked(text)) == expected


def test_keywords_read_the_last_question_only() -> None:
    """What was said before belongs to the conversation, not to this call."""
    request = Request((Message("user", "contract"), Message("assistant", "contract"), Message("user", "Thanks!")))
    assert chosen(by_keywords({"contract": "large"}), request) is None
    with pytest.raises(ConfigError, match="blank"):
        by_keywords({" ": "large"})


@pytest.mark.parametrize(
    ("task", "expected", "threshold"),
    [
        ("classify", ["small", "local", "large"], 0.6),
        ("legal", ["large"], None),
        ("draft", ["local", "large"], None),
        ("unknown", None, None),
        (None, None, None),
    ],
)
def test_tasks(task: str | None, expected: list[str] | None, threshold: float | None) -> None:
    """The tag says where to start and what is enough."""
    route = by_task({"classify": TaskPolicy("small", 0.6), "legal": strongest(), "draft": TaskPolicy("local")})
    choice = route(asked() if task is None else asked(task=task), LADDER)
    assert (choice and [tier.name for tier in choice.ladder]) == expected
    assert (choice and choice.threshold) == threshold


def test_a_threshold_is_a_score() -> None:
    """Percent are refused, with the value."""
    with pytest.raises(ConfigError, match="60"):
        TaskPolicy("small", 60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi!", ["small", "local", "large"]),
        ("Explain and compare: why is quicksort fast?", ["local", "large"]),
        ("Prove, without calculus, that 1 + 2 = 3 and 3 * 4 = 12 and 2 + 2 = 4.\n```\nx\n```\nWhy?", ["large"]),
    ],
)
def test_complexity(text: str, expected: list[str]) -> None:
    """Below, between and above the bands."""
    assert chosen(by_complexity(), asked(text)) == expected


def test_the_bands_can_be_moved() -> None:
    """To the edges; but not out of range nor upside down."""
    assert chosen(by_complexity(bands=(0.0, 1.0))) == ["local", "large"]
    for bands in ((0.7, 0.3), (-0.1, 0.5), (0.5, 1.1)):
        with pytest.raises(ConfigError, match="bands"):
            by_complexity(bands=bands)


@pytest.mark.parametrize(
    ("tiers", "first"), [(1, "tier 0"), (2, "tier 0"), (3, "tier 1"), (4, "tier 1"), (5, "tier 2")]
)
def test_the_middle_is_the_cheaper_one(tiers: int, first: str) -> None:
    """Of an even number of tiers: a call can climb, but not descend."""
    ladder = tuple(Tier(f"tier {i}") for i in range(tiers))
    found = chosen(by_complexity(bands=(0.0, 1.0)), ladder=ladder)
    assert found is not None
    assert found[0] == first
    with pytest.raises(RequestError, match="empty ladder"):
        by_complexity()(asked(), ())


@given(st.sampled_from(SAYINGS), st.sampled_from(SAYINGS))
def test_or_is_the_first_with_something_to_say(a: Any, b: Any) -> None:
    """Plain functions compose too."""
    assert chosen(start_at("nobody") | says(a) | says(b)) == (list(a or b) if a or b else None)


def test_then_chooses_within_and_joins_the_reasons() -> None:
    """A person reads both; the later threshold counts, else the earlier one."""
    request = asked(data_class="private", task="classify")
    tasks = by_task({"classify": TaskPolicy("local", 0.6)})
    choice = (by_data_class() >> tasks >> by_size())(request, LADDER)
    assert choice is not None
    assert choice.threshold == 0.6
    assert choice.ladder == (LOCAL,)
    assert "private" in choice.reason
    assert "task 'classify'" in choice.reason
    assert "words" in choice.reason


def test_then_with_nothing_to_say_on_one_side() -> None:
    """The other side alone; with nothing on both, nothing."""
    assert chosen(start_at("nobody") >> start_at("large")) == ["large"]
    assert chosen(start_at("local") >> start_at("nobody")) == ["local", "large"]
    assert chosen(start_at("local") >> start_at("small")) == ["local", "large"]
    assert chosen(start_at("nobody") >> start_at("nobody")) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("local", ["local", "large"]), (None, None), (Choice((LARGE,), "mine", 0.9), ["large"])],
)
def test_a_function_routes(answer: Any, expected: list[str] | None) -> None:
    """By a tier's name, a whole choice, or nothing."""
    assert chosen(custom(lambda _request, _ladder: answer)) == expected


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("huge", r"'huge'.*\['small', 'local', 'large'\]"),
        (Choice((Tier("huge"),), ""), r"\['huge'\].*\['small', 'local', 'large'\]"),
        (Choice((), ""), "no tier"),
        (42, "returned 42"),
    ],
)
def test_a_function_that_chooses_nobody_is_an_error(answer: Any, complaint: str) -> None:
    """It names the function, what it chose, and whom it could have."""

    def pick(_request: Request, _ladder: tuple[Tier, ...]) -> Any:
        return answer

    with pytest.raises(RequestError, match=f"pick.*{complaint}"):
        custom(pick)(asked(), LADDER)


def test_routes_are_synchronous() -> None:
    """An async function is refused when the route is made."""

    async def pick(_request: Request, _ladder: tuple[Tier, ...]) -> None: ...

    with pytest.raises(ConfigError, match="synchronous"):
        custom(pick)  # type: ignore[arg-type]


def test_routes_say_which_tiers_they_name() -> None:
    """So that a policy can refuse a typo before the first call."""
    tasks = by_task({"a": TaskPolicy("x"), "b": strongest()})
    route = (by_data_class() >> (start_at("small") | by_keywords({"k": "large"}))) >> sticky(tasks | says(None))
    assert route.names == {"small", "large", "x"}
    assert only("a", "b").names == {"a", "b"}
    assert by_complexity().names == by_size().names == frozenset()


@given(st.text(), st.dictionaries(st.sampled_from(["task", "session", "data_class"]), st.text()))
def test_routes_are_deterministic_and_stay_on_the_ladder(text: str, tags: dict[str, str]) -> None:
    """The same request gives the same choice, with its reason, from any text and tags."""
    request = asked(text, **tags)
    for make in (
        lambda: by_size() | by_complexity(),
        lambda: by_keywords({"a": "large", "字": "small"}),
        lambda: by_data_class() >> by_complexity(),
        lambda: sticky(by_complexity()),
    ):
        first, second = make()(request, LADDER), make()(request, LADDER)
        assert first == second
        if first is not None:
            assert first.ladder
            assert set(first.ladder) <= set(LADDER)
