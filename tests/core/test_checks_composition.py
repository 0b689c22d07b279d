"""`&` and `|` of checks: what composites score, what they skip, and when they let a stream through."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.attempts import Verdict
from tuppence.checks import And, custom, default_check, matches_schema, not_empty, not_refused, not_truncated
from tuppence.checks.compose import Composable
from tuppence.effects import Call, Check, Plan, held
from tuppence.request import Message, Reply, Request
from tuppence.signals import REFUSAL_OPENING_CHARS

ASKED = Request((Message("user", "What is it?"),))
REPLY = Reply("It is a test.")
SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@dataclass(frozen=True)
class Says(Composable):
    """A check that always gives the same score, at once or after asking, and counts how often it was asked."""

    score: float
    asks: bool = False
    seen: tuple[list[float], ...] = ()

    def __call__(self, _request: Request, _reply: Reply) -> Verdict | Plan[Verdict]:
        for log in self.seen:
            log.append(self.score)
        return self._ask() if self.asks else Verdict(self.score, f"says {self.score}")

    def _ask(self) -> Plan[Verdict]:
        score = yield from Call(float, (self.score,))
        return Verdict(score, f"says {score} when asked")


def drive(found: Verdict | Plan[Verdict]) -> Verdict:
    """Perform the calls of a plan by hand."""
    if isinstance(found, Verdict):
        return found
    try:
        effect = found.send(None)
        while True:
            assert isinstance(effect, Call)
            effect = found.send(effect.fn(*effect.args))
    except StopIteration as done:
        verdict: Verdict = done.value
        return verdict


def score(check: Check) -> float:
    return drive(check(ASKED, REPLY)).score


@given(SCORES, SCORES, st.booleans(), st.booleans())
def test_and_is_the_lower_or_the_higher_score(a: float, b: float, a_asks: bool, b_asks: bool) -> None:
    """Whoever asks somebody first makes no difference to the score."""
    assert score(Says(a, a_asks) & Says(b, b_asks)) == min(a, b)
    assert score(Says(a, a_asks) | Says(b, b_asks)) == max(a, b)


@given(SCORES, SCORES, SCORES, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_composition_is_a_lattice(a: float, b: float, c: float, asks: tuple[bool, bool, bool]) -> None:
    """Brackets and order do not matter, absorption and distribution hold."""
    x, y, z = (Says(s, asked) for s, asked in zip((a, b, c), asks, strict=True))
    assert score((x & y) & z) == score(x & (y & z))
    assert score((x | y) | z) == score(x | (y | z))
    assert score(x & y) == score(y & x)
    assert score(x | y) == score(y | x)
    assert score(x & (x | y)) == score(x) == score(x | (x & y))
    assert score(x & (y | z)) == score((x & y) | (x & z))


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(("first", "skipped"), [(0.0, True), (0.01, False)])
def test_and_skips_the_second_at_zero(asks: bool, first: float, skipped: bool) -> None:
    """A judge is not paid for an answer that is already out."""
    log: list[float] = []
    score(Says(first, asks) & Says(0.5, seen=(log,)))
    assert log == ([] if skipped else [0.5])


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(("first", "skipped"), [(1.0, True), (0.99, False)])
def test_or_skips_the_second_at_one(asks: bool, first: float, skipped: bool) -> None:
    """Nor for one that is already good."""
    log: list[float] = []
    score(Says(first, asks) | Says(0.5, seen=(log,)))
    assert log == ([] if skipped else [0.5])


def test_a_composite_is_a_plan_only_if_a_part_is() -> None:
    """Free checks stay a function call; a plan that is skipped never becomes one."""
    free, asking = Says(0.5), Says(0.5, asks=True)
    assert isinstance((free & free)(ASKED, REPLY), Verdict)
    assert not isinstance((free & asking)(ASKED, REPLY), Verdict)
    assert not isinstance((asking | free)(ASKED, REPLY), Verdict)
    assert isinstance((Says(0.0) & asking)(ASKED, REPLY), Verdict)


def test_the_reason_is_the_one_that_decided() -> None:
    """Of the part whose score it is."""
    assert drive((Says(0.2) & Says(0.9))(ASKED, REPLY)).reason == "says 0.2"
    assert drive((Says(0.2) | Says(0.9, asks=True))(ASKED, REPLY)).reason == "says 0.9 when asked"


def test_plain_functions_compose_on_either_side() -> None:
    """Whatever follows the protocol is a check."""

    def half(_request: Request, _reply: Reply) -> Verdict:
        return Verdict(0.5, "half")

    assert score(not_empty() & half) == 0.5
    assert score(half & not_empty()) == 0.5
    assert score(half | not_empty()) == 1.0
    assert score(not_empty() | half) == 1.0


def test_checks_are_values() -> None:
    """Two policies with the same check are the same."""
    assert default_check() == not_empty() & not_refused() == And(not_empty(), not_refused())
    assert hash(default_check()) == hash(default_check())


OPENERS = [
    not_empty(),
    not_refused(),
    default_check(),
    not_empty() | not_refused(),
    (not_empty() & not_refused()) | not_truncated(),
    not_refused() | not_truncated(),
]
TEXTS = st.one_of(
    st.text(),
    st.text(min_size=REFUSAL_OPENING_CHARS),
    st.builds(
        lambda blank, opening, rest: blank + opening + rest,
        st.sampled_from(["", " ", "\n" * 150]),
        st.sampled_from(
            ["I'm sorry, but I can't help with that.", "Dabei kann ich leider nicht helfen.", "Sure: ", ""]
        ),
        st.sampled_from(["", "x" * 100, "word " * 80]),
    ),
)


@given(st.sampled_from(OPENERS), TEXTS, TEXTS, st.sampled_from([None, "stop", "length", "content_filter"]))
def test_an_opened_stream_is_never_rejected(check: And, text: str, rest: str, finish: object) -> None:
    """Whatever follows a prefix that opened, and however it ends: the score is 1."""
    if check.opens(ASKED, text):
        reply = Reply(text + rest, finish=finish)  # type: ignore[arg-type]
        assert drive(check(ASKED, reply)).score == 1.0


@given(st.sampled_from(OPENERS), TEXTS, TEXTS)
def test_an_opened_stream_stays_open(check: And, text: str, rest: str) -> None:
    """Opening is never taken back."""
    if check.opens(ASKED, text):
        assert check.opens(ASKED, text + rest)


@pytest.mark.parametrize(
    ("check", "text", "opened"),
    [
        (not_empty(), " \n", False),
        (not_empty(), " \nA", True),
        (not_refused(), "A" * (REFUSAL_OPENING_CHARS - 1), False),
        (not_refused(), "A" * REFUSAL_OPENING_CHARS, True),
        (not_refused(), "I can't help with that." + "A" * REFUSAL_OPENING_CHARS, False),
        (not_empty() & not_refused(), "A", False),
        (not_empty() | not_refused(), "A", True),
        (not_empty() & not_truncated(), "A" * 500, False),
        (not_truncated() | not_empty(), "A", True),
        (not_empty() & matches_schema(), "A" * 500, False),
        (not_empty() & custom(lambda _request, _reply: True), "A" * 500, False),
    ],
)
def test_streams_open_when_they_may(check: And, text: str, opened: bool) -> None:
    """As early as it is safe; a check that needs the whole answer never opens, and holds what is `&` with it."""
    assert check.opens(ASKED, text) is opened


def test_held_streams_stay_held() -> None:
    """A check without `opens` has no early word to give: the flow then holds the stream."""
    assert not hasattr(not_truncated(), "opens")
    assert held("A" * 500) is False
