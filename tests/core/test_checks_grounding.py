"""Grounding looks an answer's words, numbers and names up in the request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.attempts import Verdict
from tuppence.checks import (
    grounded,
)
from tuppence.effects import Check
from tuppence.request import Message, Reply, Request

ASKED = Request((Message("user", "What is it?"),))


def verdict(check: Check, reply: Reply, request: Request = ASKED) -> Verdict:
    """Check a reply by a check that asks nobody."""
    found = check(request, reply)
    assert isinstance(found, Verdict)
    assert found.reason
    return found


DOCUMENT = "The Aqueduct of Segovia has 167 arches and was built by the Romans around 1,100 years after Carthage fell."


@pytest.mark.parametrize(
    ("answer", "score", "strange"),
    [
        ("The aqueduct of Segovia has 167 arches.", 1.0, ""),
        ("The aqueduct has 168 arches.", 0.0, "168"),
        ("It has 167 arches, built around 1100.", 1.0, ""),
        ("It was built by the Romans of Trajan.", 0.5, "trajan"),
        ("Unicorns painted purple bridges.", 0.0, "unico"),
        ("Yes.", 1.0, ""),
        ("", 1.0, ""),
    ],
)
def test_grounding_is_the_worst_share(answer: str, score: float, strange: str) -> None:
    """Words, numbers or names: whichever holds the most that the request does not; and it is named."""
    request = Request((Message("system", DOCUMENT), Message("user", "Tell me about it.")))
    found = verdict(grounded(), Reply(answer), request)
    assert found.score == pytest.approx(score, abs=0.01)
    assert strange in found.reason


def test_earlier_answers_ground_nothing() -> None:
    """What the assistant made up before does not become true; what a tool returned does count."""
    made_up = Request((Message("user", "When?"), Message("assistant", "In 1742."), Message("user", "Sure?")))
    looked_up = Request((Message("user", "When?"), Message("tool", '{"year": 1742}')))
    assert verdict(grounded(), Reply("1742"), made_up).score == 0.0
    assert verdict(grounded(), Reply("1742"), looked_up).score == 1.0


def test_grounding_reads_chinese() -> None:
    """Pairs of characters stand in for words."""
    request = Request((Message("user", "塞哥维亚的罗马水道桥有一百六十七个拱门。"),))
    assert verdict(grounded(), Reply("罗马水道桥有拱门"), request).score > 0.7
    assert verdict(grounded(), Reply("紫色独角兽"), request).score == 0.0


@given(st.text(), st.text())
def test_grounding_is_a_share(context: str, answer: str) -> None:
    """Any text gives a score, and an answer that repeats the context whole is grounded."""
    assert 0.0 <= verdict(grounded(), Reply(answer), Request((Message("user", context),))).score <= 1.0
    assert verdict(grounded(), Reply(context), Request((Message("user", context),))).score == 1.0
