"""The certificate as a file, and what ends it: another policy, or other traffic."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Verdict
from tuppence.errors import ConfigError
from tuppence.evidence.certificate import (
    Certificate,
    Certified,
    Labels,
    Latency,
    Reference,
    Saving,
    Span,
    issue,
    read_certificate,
    stands,
)
from tuppence.policy import Policy
from tuppence.request import Reply, Request
from tuppence.routes import start_at
from tuppence.tiers import Additions, Tier

VERDICT = Certified(
    0.95, 0.1, 0.4375, Span(0.981, 0.957, math.inf),
    Saving(
        Decimal("0.0021"), Decimal("0.0019"), Decimal("0.0023"), Span(0.6, 0.55, 0.65), Decimal("0.0035")
    ),
    Latency(420.0, 1300.0), Labels(300, 700), 3.5, (),
)  # fmt: skip
SMALL = Tier("small", model="gpt-4o-mini", provider="openai")
LARGE = Tier("large", model="gpt-4o", provider="openai")
HELPER = Tier("helper", model="gemini-1.5-flash")


@dataclass(frozen=True)
class Check:
    """A check that says which version of it was learned."""

    version: str = "abc123"

    def __call__(self, request: Request, reply: Reply, /) -> Verdict:
        return Verdict(1.0, "")


def certificate(**changes: Any) -> Certificate:
    made = {
        "tiers": [SMALL, LARGE], "helpers": [HELPER], "learned_version": "abc123", "policy_version": "2026-11",
        "reference": {"score.small": (0.7, 0.2, 700)},
    }  # fmt: skip
    return issue(VERDICT, created_at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC), **(made | changes))


def policy(**changes: Any) -> Policy:
    made: dict[str, Any] = {
        "tiers": (SMALL, LARGE), "judges": (HELPER,), "check": Check(), "threshold": 0.4375, "version": "2026-11",
    }  # fmt: skip
    return Policy(**(made | changes))


# -- the file


def test_what_is_saved_is_read_back_the_same(tmp_path: Path) -> None:
    """Exact money, infinite bounds, and all that the promise is bound to."""
    path = tmp_path / "certificate.json"
    certificate().save(path)
    assert read_certificate(path) == certificate()


def test_a_threshold_that_keeps_every_answer_is_written_too(tmp_path: Path) -> None:
    """JSON knows no infinity; the file stays JSON."""
    path = tmp_path / "certificate.json"
    whole = issue(replace(VERDICT, threshold=-math.inf, latency=None), tiers=["a", "b"], learned_version="v")
    whole.save(path)
    json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert read_certificate(path) == whole


def test_the_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    """Names in full, money in dollars, what was needed beside what was reached."""
    path = tmp_path / "certificate.json"
    certificate().save(path)
    told = json.loads(path.read_text())
    assert told["created_at"] == "2026-11-01T09:30:00+00:00"
    assert told["saving"]["usd_per_call"] == "0.0021"
    assert told["saving"]["usd_per_1000_calls"] == "2.1000"
    assert told["log_wealth"] > told["log_wealth_needed"] == pytest.approx(math.log(10))
    assert told["tiers"][1] == {"name": "large", "model": "gpt-4o", "provider": "openai", "prompt": ""}


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_rubbish(tmp_path: Path) -> None:
    """Whole or not at all."""
    path = tmp_path / "certificate.json"
    certificate().save(path)
    broken = replace(certificate(), log_wealth=math.nan)
    with pytest.raises(ValueError, match="not JSON compliant"):
        broken.save(path)
    assert read_certificate(path) == certificate()
    with pytest.raises(ConfigError, match="cannot be written"):
        certificate().save(tmp_path / "nowhere" / "certificate.json")
    assert [one.name for one in tmp_path.iterdir()] == ["certificate.json"]


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda told: {key: value for key, value in told.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda told: [told], "has the format None"),
        (lambda told: told | {"format": "tuppence-certificate/9"}, "has the format 'tuppence-certificate/9'"),
        (without("threshold"), "has no 'threshold'"),
        (lambda told: told | {"saving": without("share")(told["saving"])}, "has no 'share'"),
        (lambda told: told | {"target": 95}, "target is 95.0, and lies between 0 and 1"),
        (lambda told: told | {"delta": "little"}, "could not convert string to float: 'little'"),
        (lambda told: told | {"tiers": []}, "tiers is empty"),
        (lambda told: told | {"created_at": "yesterday"}, "yesterday"),
        (lambda told: told | {"labels": None}, "holds a value that cannot be"),
        (lambda told: told | {"reference": {"score": {"mean": 0, "std": -1, "n": 9}}}, "std -1"),
    ],
)
def test_a_file_that_is_no_certificate_is_refused_with_its_fault(
    spoil: Callable[[dict[str, Any]], Any], said: str, tmp_path: Path
) -> None:
    """Each message names the file, what is wrong, and how to make a good one."""
    path = tmp_path / "certificate.json"
    certificate().save(path)
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(ConfigError) as raised:
        read_certificate(path)
    assert str(path) in str(raised.value)
    assert said in str(raised.value)
    assert "tuppence calibrate" in str(raised.value)


def test_a_file_that_is_not_there_or_not_json_is_refused(tmp_path: Path) -> None:
    """Two different faults, two different words."""
    path = tmp_path / "certificate.json"
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        read_certificate(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_certificate(path)


def test_a_certificate_names_its_tiers() -> None:
    """A promise about no tier at all is none."""
    with pytest.raises(ConfigError, match="no tiers"):
        issue(VERDICT, tiers=[], learned_version="v")


def test_holding_a_policy_against_a_certificate_needs_no_numerical_library() -> None:
    """It is done where traffic runs, and labels are far away."""
    code = (
        "import sys\nfrom tuppence.evidence.certificate import read_certificate, stands\n"
        "assert not {'numpy', 'sklearn'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- does a policy run inside it?


def test_the_policy_that_was_certified_stands() -> None:
    """Nothing to say."""
    assert stands(certificate(), policy()) == []


def test_what_is_not_known_is_not_compared() -> None:
    """Outcomes name models only: no provider, no prompt, no version of the policy."""
    known = certificate(tiers=["gpt-4o-mini", "large"], helpers=["gemini-1.5-flash"], policy_version="")
    assert stands(known, policy()) == []
    assert stands(known, policy(tiers=(SMALL, replace(LARGE, additions=Additions(system="Be brief."))))) == []


SMALL_FIRST, LARGE_FIRST = "small (gpt-4o-mini), large (gpt-4o)", "large (gpt-4o), small (gpt-4o-mini)"
NEW = Tier("large", model="gpt-5", provider="openai")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"tiers": (SMALL, NEW)},
            [
                "the tier large (gpt-4o) was certified and is not in the policy",
                "the tier large (gpt-5) of the policy was not certified",
            ],
            id="another model",
        ),
        pytest.param(
            {"tiers": (SMALL, replace(NEW, name="new"), LARGE)},
            ["the tier new (gpt-5) of the policy was not certified"], id="one more",
        ),
        pytest.param(
            {"tiers": (LARGE,)}, ["the tier small (gpt-4o-mini) was certified and is not in the policy"], id="one less"
        ),
        pytest.param(
            {"tiers": (LARGE, SMALL)},
            [f"the tiers stand in another order: {LARGE_FIRST}; certified was {SMALL_FIRST}"],
            id="another order",
        ),
        pytest.param(
            {"tiers": (SMALL, replace(LARGE, provider="azure"))},
            [
                "the tier large (gpt-4o) was certified and is not in the policy",
                "the tier large (gpt-4o) of the policy was not certified",
            ],
            id="another provider",
        ),
        pytest.param(
            {"judges": ()}, ["the helper helper (gemini-1.5-flash) was certified and is not among the policy's judges"],
            id="no helper",
        ),
        pytest.param(
            {"version": "2026-12"},
            ["the policy's version is '2026-12', certified was '2026-11': prompts may have changed"],
            id="another prompt version",
        ),
        pytest.param(
            {"tiers": (replace(SMALL, additions=Additions(system="Think.")), LARGE)},
            ["the text that the tier small (gpt-4o-mini) adds to its prompts has changed"],
            id="another tier prompt",
        ),
        pytest.param(
            {"check": Check("def456")}, ["the learned check has version def456, certified was abc123"],
            id="another check version",
        ),
        pytest.param(
            {"check": None},
            ["the policy's check is not the learned one that was certified (version abc123)"], id="no check",
        ),
        pytest.param({"threshold": 0.3}, ["the threshold is 0.3, certified was 0.4375"], id="another threshold"),
        pytest.param(
            {"max_usd_per_call": Decimal("0.01")},
            ["max_usd_per_call (0.01) may end a climb before the strongest tier is asked"], id="a limit",
        ),
    ],
)  # fmt: skip
def test_every_way_out_of_the_certificate_is_named(changes: dict[str, Any], said: list[str]) -> None:
    """In words, and nothing else is."""
    assert stands(certificate(), policy(**changes)) == said


def test_another_check_may_be_compared_in_place_of_the_policys_own() -> None:
    """As it would be with that check in it."""
    assert stands(certificate(), policy(check=None), check=Check()) == []
    (found,) = stands(certificate(), policy(), check=Check("def456"))
    assert "def456" in found


def test_several_ways_out_are_all_named() -> None:
    """One does not hide another."""
    assert len(stands(certificate(), policy(version="x", threshold=0.1, judges=()))) == 3


@pytest.mark.parametrize(
    ("certified", "live", "said"),
    [
        ("", start_at("large"), "is not what was certified (no route)"),
        ("r1", None, "the route r1 was certified, and the policy has none"),
        ("r1", start_at("large"), "is not what was certified (r1)"),
    ],
)
def test_a_route_that_was_not_certified_is_named(certified: str, live: Any, said: str) -> None:
    """A route decides who answers, as a check does."""
    (found,) = stands(certificate(route_version=certified), policy(route=live))
    assert said in found


def test_a_reference_that_cannot_be_is_refused() -> None:
    """A standard deviation below 0 is none."""
    with pytest.raises(ConfigError, match=r"std -0\.1"):
        Reference(0.5, -0.1, 10)
