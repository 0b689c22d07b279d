"""A certificate in use: a policy knows whether it runs inside, every call says so, and the report holds what was
promised against what the ledger has. Calls go through the real flow into real ledgers; the SDK is a real one.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from typer.testing import CliRunner

pytest.importorskip("numpy")
pytest.importorskip("sklearn")

import numpy as np

from tuppence.attempts import Attempt, Result
from tuppence.checks import not_empty
from tuppence.cli import app
from tuppence.clients import result_of, wrap
from tuppence.demo.comparison import Answered, Comparison
from tuppence.demo.promise import outcomes, promise
from tuppence.demo.questions import Question
from tuppence.drivers import run
from tuppence.errors import ConfigError
from tuppence.evidence.certificate import Certified, Ladder, TierRecord, certify, read_certificate
from tuppence.evidence.certificate.file import prompt_of
from tuppence.evidence.certificate.floor import least_labels
from tuppence.evidence.certificate.live import LiveCertificate, live_certificate
from tuppence.evidence.certificate.using import certificate_id, certified, check_path
from tuppence.evidence.learning import calibrate
from tuppence.evidence.learning.climbing import asked, scores
from tuppence.evidence.learning.labelled import labelled
from tuppence.evidence.outcomes import Outcome, Outcomes
from tuppence.evidence.replay import Player, recorded
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Message, Request
from tuppence.routes import start_at
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Additions, Tier
from tuppence.usage import Usage

from .made_up_outcomes import MODELS, made_up, with_a_useless_medium

LABELLED = list(made_up(1500, seed=3))
TRAFFIC = list(made_up(1500, seed=4))
MADE = datetime(2026, 11, 1, tzinfo=UTC)
QUESTION = TRAFFIC[0].query
SMALL, MEDIUM, LARGE = (Tier(name, rate=token_rate(input=str(n), output=str(n))) for n, name in enumerate(MODELS, 1))


def _written(folder: Path, tiers: tuple[str, ...], helper: str | None = None, **changes: Any) -> Path:
    path = folder / "certificate.json"
    found = calibrate(LABELLED, tiers=tiers, helper=helper, target=0.9)
    found.save(path)
    replace(read_certificate(path), created_at=MADE, **changes).save(path)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certify that `small` may answer before `large`."""
    return _written(tmp_path_factory.mktemp("two"), ("small", "large"))


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, where `medium` is asked for its opinion."""
    return _written(tmp_path_factory.mktemp("helped"), ("small", "large"), "medium")


def _dearer(rows: Iterable[Outcomes], model: str, times: int) -> list[Outcomes]:
    def dearer(one: Outcome) -> Outcome:
        return replace(one, pico_usd=(one.pico_usd or 0) * times)

    return [replace(row, by_model={**row.by_model, model: dearer(row.by_model[model])}) for row in rows]


def _policy(path: Path, outside: Any = "note", **options: Any) -> Policy:
    return Policy(**{"tiers": (SMALL, LARGE), **certified(path, outside=outside), **options})


def _tiers(result: Result) -> list[str]:
    return [attempt.tier for attempt in result.attempts]


def _warned(build: Callable[[], Policy]) -> tuple[Policy, list[str]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        policy = build()
    return policy, [str(one.message) for one in seen]


def _asked(policy: Policy, question: str = QUESTION) -> tuple[Result, list[str]]:
    """Ask once; return what came of it, and who was asked."""
    models = ScriptedModels(**dict.fromkeys(("small", "medium", "large", "a", "b"), "42"))
    result = run(plan(Request((Message("user", question),)), policy), Port(models))
    return result, [ask.tier.name for ask in models.asked]


# -- inside


@pytest.fixture(scope="module")
def reordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certify a ladder that asks its second tier first."""
    folder = tmp_path_factory.mktemp("reordered")
    found = calibrate(made_up(1_500, seed=11), tiers=MODELS, target=0.9)
    assert found.reordered == "medium > small > large"
    found.save(folder / "certificate.json")
    return folder / "certificate.json"


def test_the_certified_order_is_the_one_in_which_the_tiers_are_asked(reordered: Path) -> None:
    """The policy names its tiers cheapest first, as ever, and runs inside; the route says what is asked first."""
    policy, warned = _warned(lambda: _policy(reordered, tiers=(SMALL, MEDIUM, LARGE)))
    assert warned == []
    result, (first, *_) = _asked(policy)
    assert first == "medium"
    assert result.decision.route == "certified order: medium, small, large"
    assert result.decision.outside == ""


def test_without_its_route_a_reordered_ladder_is_outside(reordered: Path) -> None:
    """The check alone does not know in which order it is asked."""
    options = {name: value for name, value in certified(reordered).items() if name != "route"}
    policy, (warning,) = _warned(lambda: Policy(tiers=(SMALL, MEDIUM, LARGE), **options))
    assert "the route medium > small > large was certified, and the policy has none" in warning
    assert policy.standing is not None
    assert policy.standing.outside


def test_a_tier_that_calibration_left_out_is_never_asked(tmp_path: Path) -> None:
    """It may stay in the policy: the route goes by it."""
    found = calibrate(with_a_useless_medium(made_up(1_500, seed=11)), tiers=MODELS, target=0.95)
    assert found.reordered == "small > large"
    found.save(tmp_path / "certificate.json")
    policy, warned = _warned(lambda: _policy(tmp_path / "certificate.json", tiers=(SMALL, MEDIUM, LARGE)))
    assert warned == []
    assert all("medium" not in _asked(policy, row.query)[1] for row in TRAFFIC[:20])


def test_a_policy_as_certified_runs_inside_and_says_nothing(path: Path) -> None:
    """No warning, no note on the call; the threshold is the certified one."""
    policy, warned = _warned(lambda: _policy(path))
    result, _ = _asked(policy)
    assert warned == []
    assert policy.threshold == read_certificate(path).threshold
    assert (result.decision.certificate, result.decision.outside) == (certificate_id(read_certificate(path)), "")
    assert "outside_certificate" not in result.summary()


def test_a_policy_without_a_certificate_has_no_standing() -> None:
    """What is not certified is neither inside nor outside."""
    policy = Policy(tiers=(SMALL, LARGE))
    assert policy.standing is None
    assert _asked(policy)[0].decision.certificate == ""


@pytest.mark.parametrize("helper", [None, "medium"])
def test_tiers_may_have_other_names_than_their_models(path: Path, helped: Path, helper: str | None) -> None:
    """Outcomes that went by models' names give the same scores in a policy that names its tiers otherwise."""
    where = path if helper is None else helped
    plain = _policy(where, judges=() if helper is None else (MEDIUM,))
    tiers = (replace(SMALL, name="a", model="small"), replace(LARGE, name="b", model="large"))
    judges = () if helper is None else (replace(MEDIUM, name="opinion", model="medium"),)
    named, warned = _warned(lambda: _policy(where, tiers=tiers, judges=judges))
    assert warned == []
    for row in TRAFFIC[:50]:
        known = recorded(row)
        assert known is not None
        plays = [Player(one).play(known).result for one in (plain, named)]
        scores = [[attempt.score for attempt in one.attempts] for one in plays if one is not None]
        assert scores[0] == scores[1]
        assert any(score for score in scores[0])


def test_what_is_added_by_and_only_rejects_more(path: Path) -> None:
    """A structured call puts its parser before the check: the certificate holds on. With `|` it is another check."""
    given = certified(path)
    policy = Policy(tiers=(SMALL, LARGE), check=not_empty() & given["check"], threshold=given["threshold"])
    assert policy.standing is not None
    assert policy.standing.outside == ()
    either = Policy(tiers=(SMALL, LARGE), check=not_empty() | given["check"], threshold=given["threshold"])
    assert either.standing is None


def test_the_keyword_arguments_can_be_pickled(path: Path) -> None:
    """Models are sent to worker processes."""
    again: dict[str, Any] = pickle.loads(pickle.dumps(certified(path)))
    assert Policy(tiers=(SMALL, LARGE), **again) == _policy(path)


# -- outside

OUTSIDE: dict[str, tuple[dict[str, Any], str]] = {
    "another model": ({"tiers": (replace(SMALL, name="a"), LARGE)}, "the tier a of the policy was not certified"),
    "one tier more": ({"tiers": (SMALL, MEDIUM, LARGE)}, "the tier medium of the policy was not certified"),
    "another order": ({"tiers": (LARGE, SMALL)}, "another order"),
    "a looser threshold": ({"threshold": 0.01}, "the threshold is 0.01"),
    "a route": ({"route": start_at("large")}, "route"),
    "a limit": ({"max_usd_per_call": Decimal(1)}, "max_usd_per_call"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), OUTSIDE.values(), ids=OUTSIDE)
def test_outside_it_goes_on_and_says_so(path: Path, changes: dict[str, Any], said: str) -> None:
    """One warning when the policy is built; each call's decision and summary name every way; nobody else is asked."""
    policy, warned = _warned(lambda: _policy(path, **changes))
    (warning,) = warned
    assert said in warning
    assert "its promise does not hold" in warning
    result, asked = _asked(policy)
    assert said in result.decision.outside
    assert said in result.summary()["outside_certificate"]
    route = changes.get("route")
    assert asked[0] == ("large" if route else policy.tiers[0].name)


@pytest.mark.parametrize(("changes", "said"), OUTSIDE.values(), ids=OUTSIDE)
def test_outside_it_the_strongest_answers_if_asked_for(path: Path, changes: dict[str, Any], said: str) -> None:
    """Nobody below is asked, so no draft is paid for, and the decision gives the reason."""
    policy, warned = _warned(lambda: _policy(path, "strongest", **changes))
    assert "the strongest tier answers every call" in warned[0]
    result, asked = _asked(policy)
    assert asked == [policy.strongest.name]
    assert result.decision.route.startswith("strongest tier: outside the certificate (")
    assert said in result.decision.route


def test_inside_it_the_strongest_is_asked_only_where_the_check_says_so(path: Path) -> None:
    """The fall-back changes nothing while the certificate holds."""
    policy = _policy(path, "strongest")
    assert _asked(policy)[1][0] == "small"


def test_a_missing_helper_is_a_way_to_run_outside(helped: Path) -> None:
    """The program starts all the same; without the opinion no cheap answer is vouched for."""
    policy, (warning,) = _warned(lambda: _policy(helped))
    assert "the helper medium was certified" in warning
    whole, warned = _warned(lambda: _policy(helped, judges=(MEDIUM,)))
    assert warned == []
    pairs = zip(_traffic(whole, TRAFFIC[:50]), _traffic(policy, TRAFFIC[:50]), strict=True)
    without = [_tiers(two) for one, two in pairs if "medium" in _tiers(one)]
    assert without
    assert all(tiers == ["small", "large"] for tiers in without)


def test_text_that_a_tier_adds_is_part_of_what_was_certified(path: Path, tmp_path: Path) -> None:
    """Other instructions make another answerer of the same model."""
    brief = replace(SMALL, additions=Additions("Be brief."))
    tiers = tuple(TierRecord(tier.name, prompt=prompt_of(tier)) for tier in (brief, LARGE))
    copy = tmp_path / "certificate.json"
    replace(read_certificate(path), tiers=tiers).save(copy)
    check_path(copy).write_bytes(check_path(path).read_bytes())
    assert _warned(lambda: _policy(copy, tiers=(brief, LARGE)))[1] == []
    (warning,) = _warned(lambda: _policy(copy))[1]
    assert "adds to its prompts has changed" in warning


def test_another_learned_check_is_not_the_certified_one(path: Path, helped: Path, tmp_path: Path) -> None:
    """The check's file was made anew and the certificate was not."""
    copy = tmp_path / "certificate.json"
    copy.write_bytes(path.read_bytes())
    check_path(copy).write_bytes(check_path(helped).read_bytes())
    (warning,) = _warned(lambda: _policy(copy, judges=(MEDIUM,)))[1]
    assert "the learned check has version" in warning


def test_what_one_call_changes_is_noted_on_that_call_without_a_warning(path: Path) -> None:
    """A thousand calls with a threshold of their own are no thousand warnings."""
    policy = _policy(path)
    changed, warned = _warned(lambda: policy.override(threshold=0.0))
    assert warned == []
    assert "the threshold is 0" in _asked(changed)[0].decision.outside
    assert _asked(policy)[0].decision.outside == ""


def test_a_call_that_brings_its_own_route_is_heard(path: Path) -> None:
    """Whoever asks for one tier gets it; the fall-back is for what nobody asked for."""
    policy = _policy(path, "strongest").override(route=start_at("small"))
    result, asked = _asked(policy)
    assert asked[0] == "small"
    assert "route" in result.decision.outside


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_where_nothing_is_optimised_the_mode_gives_the_reason(path: Path, mode: str) -> None:
    """The strongest tier answers anyway."""
    policy, _ = _warned(lambda: _policy(path, "strongest", threshold=0.01, mode=mode))
    result, asked = _asked(policy)
    assert asked == ["large"]
    assert f"mode is {mode}" in result.decision.route


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.unlink(), "cannot be read"),
        (lambda p: p.write_text("{}"), "format"),
        (lambda p: check_path(p).unlink(), "holds no learned check"),
    ],
    ids=["no certificate", "no certificate's form", "no check"],
)
def test_files_that_cannot_be_read_are_said_with_the_fix(path: Path, tmp_path: Path, spoil: Any, said: str) -> None:
    """A program must not start on half a certificate."""
    copy = tmp_path / "certificate.json"
    copy.write_bytes(path.read_bytes())
    check_path(copy).write_bytes(check_path(path).read_bytes())
    certified(copy)
    spoil(copy)
    with pytest.raises(ConfigError, match=said) as raised:
        certified(copy)
    assert "tuppence calibrate" in str(raised.value)


def test_an_unknown_way_to_run_outside_names_those_there_are(path: Path) -> None:
    """The value and the choice."""
    with pytest.raises(ConfigError, match=r"'stop': it is one of 'note', 'strongest'"):
        certified(path, outside="stop")  # type: ignore[arg-type]


# -- a raw SDK client


@pytest.mark.parametrize("outside", ["note", "strongest"])
def test_a_wrapped_client_runs_under_a_certificate(server: ProviderServer, path: Path, outside: Any) -> None:
    """Inside, `small` is asked first. With other models the calls say so, and go to the strongest if asked for."""
    for name in ("small", "large", "other"):
        server.model(name, replies="7")
    prices = {name: {"input": "1", "output": "2"} for name in ("small", "large", "other")}
    options = {"ledger": None, "prices": prices, "retries": Retries(base_s=0.0), **certified(path, outside=outside)}
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        inside = wrap(client, tiers=["small", "large"], **options)
        told = result_of(_complete(inside))
        assert told.attempts[0].tier == "small"
        assert told.decision.outside == ""
        with pytest.warns(UserWarning, match="the tier other of the policy was not certified"):
            other = wrap(client, tiers=["other", "large"], **options)
        told = result_of(_complete(other))
        assert "other" in told.decision.outside
        assert told.attempts[0].tier == ("other" if outside == "note" else "large")


def _complete(client: Any) -> Any:
    return client.chat.completions.create(model="auto", messages=[{"role": "user", "content": QUESTION}])


# -- the report


def _traffic(policy: Policy, rows: Iterable[Outcomes], *, begin: datetime = MADE) -> Iterator[Result]:
    """Take rows through the flow, a minute apart."""
    player = Player(policy)
    for number, row in enumerate(rows, 1):
        known = recorded(replace(row, at=(begin + timedelta(minutes=number)).timestamp()))
        assert known is not None
        played = player.play(known).result
        assert played is not None
        yield played


def _kept(folder: Path, *results: Iterable[Result]) -> Path:
    """Write calls into a ledger of their own."""
    where = folder / "ledger.sqlite"
    with_ledger = SqliteLedger(where)
    for many in results:
        for one in many:
            with_ledger.write(one)
    with_ledger.close()
    return where


def _live(path: Path, ledger: Path, **period: datetime) -> LiveCertificate:
    return live_certificate(path, read_certificate(path), ledger, **period)


def test_the_measured_saving_is_what_the_calls_cost_less(path: Path, tmp_path: Path) -> None:
    """To the last digit, against the strongest tier alone; and near what was promised, on traffic like the labels."""
    results = list(_traffic(_policy(path), TRAFFIC))
    found = _live(path, _kept(tmp_path, results))
    paid = sum(result.pico_usd for result in results)
    alone = sum(row.by_model["large"].pico_usd or 0 for row in TRAFFIC)
    assert (found.live.calls, found.live.outside, found.live.other) == (len(TRAFFIC), 0, 0)
    assert found.live.saved_usd is not None
    assert int(found.live.saved_usd * 10**12) == alone - paid
    assert found.live.saved_share == pytest.approx((alone - paid) / alone)
    share = read_certificate(path).saving.share
    assert share.low - 0.05 < found.live.saved_share < share.high + 0.05
    assert found.doubts == ()


def test_a_saving_clearly_below_the_promised_one_is_said(path: Path, tmp_path: Path) -> None:
    """The interval is that of a ratio over calls; on traffic that the cheap tier cannot answer it stays below."""
    beyond_it = [row for row in TRAFFIC if row.by_model["small"].score == 0][:150]
    results = list(_traffic(_policy(path), beyond_it))
    found = _live(path, _kept(tmp_path, results))
    cost = np.array([float(result.pico_usd) for result in results])
    alone = np.array([float(row.by_model["large"].pico_usd or 0) for row in beyond_it])
    share = 1 - cost.sum() / alone.sum()
    reach = 1.959964 * np.sqrt(((cost - (1 - share) * alone) ** 2).sum()) / alone.sum()
    assert found.live.saved_between == pytest.approx((share - reach, share + reach))
    assert share + reach < read_certificate(path).saving.share.low
    assert "it saves less than was promised" in found.doubts


def test_calls_outside_and_calls_of_others_are_counted_apart(path: Path, tmp_path: Path) -> None:
    """Outside ones are a share of those under the certificate; their saving is none of the certificate's."""
    outside, _ = _warned(lambda: _policy(path, threshold=0.01))
    inside = list(_traffic(_policy(path), TRAFFIC[:60]))
    others = Policy(tiers=(SMALL, LARGE))
    ledger = _kept(
        tmp_path, inside, _traffic(outside, TRAFFIC[60:80]), _traffic(others, TRAFFIC[80:85]),
        _traffic(_policy(path), TRAFFIC[85:90], begin=MADE - timedelta(days=1)),
    )  # fmt: skip
    found = _live(path, ledger)
    assert (found.live.calls, found.live.outside, found.live.other) == (80, 20, 5)
    assert found.outside_share == 0.25
    assert found.live.compared == 60
    assert found.live.pico_usd == sum(result.pico_usd for result in inside)
    assert found.doubts == ("some calls ran outside it",)


def test_a_period_limits_the_figures_and_not_the_watch_for_drift(path: Path, tmp_path: Path) -> None:
    """Drift is told from all calls since the certificate was made, or each look would be a new test."""
    ledger = _kept(tmp_path, _traffic(_policy(path), TRAFFIC[:100]))
    found = _live(path, ledger, since=MADE + timedelta(minutes=41), until=MADE + timedelta(minutes=91))
    assert found.live.calls == found.live.compared == 50
    assert found.watched == {"score.small": 90}


def test_answers_from_a_cache_are_no_saving_of_the_certificate(path: Path, tmp_path: Path) -> None:
    """They are counted, and left out of what is compared with the promise."""
    (paid,) = _traffic(_policy(path), TRAFFIC[:1])
    hit = replace(paid.attempts[-1], cause="hit", outcome="hit", tier="cache", pico_usd=0, score=None)
    served = Result("hit-1", None, [hit], paid.decision, {})
    found = _live(path, _kept(tmp_path, [paid], [served]))
    assert (found.live.calls, found.live.hits, found.live.compared) == (2, 1, 1)


@pytest.mark.parametrize("tiers", [("small", "large"), MODELS], ids=["two tiers", "three tiers"])
def test_drift_is_seen_where_there_is_some(tmp_path: Path, tiers: tuple[str, ...]) -> None:
    """Traffic like the labels raises no alarm on any tier, though a higher one sees only what the lower failed.
    Questions that the first cannot answer do.
    """
    path = _written(tmp_path, tiers)
    policy = _policy(path, tiers=tuple(tier for tier in (SMALL, MEDIUM, LARGE) if tier.name in tiers))
    alike = _live(path, _kept(tmp_path, _traffic(policy, TRAFFIC)))
    assert alike.drifted == ()
    first, *others = (tier.name for tier in read_certificate(path).tiers)
    assert set(alike.watched) == {f"score.{tier}" for tier in (first, *others[:-1])}
    (other := tmp_path / "other").mkdir()
    beyond_it = [row for row in TRAFFIC if row.by_model[first].score == 0]
    found = _live(path, _kept(other, _traffic(policy, beyond_it)))
    assert f"score.{first}" in {one.name for one in found.drifted}
    assert any("traffic has drifted" in doubt for doubt in found.doubts)


def test_a_higher_tier_is_compared_with_the_labels_that_came_to_it() -> None:
    """Where the lowest tier answers much, what is left to the next one is harder, with scores of its own."""
    found = calibrate(_dearer(LABELLED, "medium", 4), tiers=MODELS, target=0.8)
    assert found.model is not None
    assert found.model.tiers == MODELS
    _, certifying = labelled(LABELLED, tiers=MODELS).split(0.3, seed=0)
    given, threshold = scores(found.model, certifying), found.certificate().threshold
    left = given[asked(found.model, certifying, np.array([threshold]))[0, :, 1], 1]
    assert len(left) < len(given)
    assert found.reference["score.medium"].n == len(left)
    assert found.reference["score.medium"].mean == pytest.approx(left.mean())


def test_a_model_that_was_not_certified_is_named(path: Path, tmp_path: Path) -> None:
    """With the number of its answers."""
    policy, _ = _warned(lambda: _policy(path, tiers=(SMALL, MEDIUM, LARGE)))
    results = list(_traffic(policy, TRAFFIC[:30]))
    count = sum(attempt.tier == "medium" for result in results for attempt in result.attempts)
    (said,) = _live(path, _kept(tmp_path, results)).strange
    assert said == f"{count} answers came from medium (medium), which was not certified"


def test_a_provider_that_changes_the_model_behind_a_name_is_noticed(path: Path, tmp_path: Path) -> None:
    """What it says of itself since differs from what it said before."""
    before = _traffic(_policy(path), TRAFFIC[:3], begin=MADE - timedelta(days=1))
    since = _traffic(_policy(path), TRAFFIC[:3])
    ledger = _kept(tmp_path, map(_dated("07-18"), before), map(_dated("11-20"), since))
    said = _live(path, ledger).strange
    assert said[-1] == "small is answered by small-11-20 since the certificate was made, and was by small-07-18 before"


def test_a_tier_that_got_the_certified_model_only_then_is_no_stranger(path: Path, tmp_path: Path) -> None:
    """Before, its name stood for another one."""
    before = map(_dated("07-18"), _traffic(_policy(path), TRAFFIC[:3], begin=MADE - timedelta(days=1)))
    assert _live(path, _kept(tmp_path, before, _traffic(_policy(path), TRAFFIC[:3]))).strange == ()


def _dated(date: str) -> Callable[[Result], Result]:
    def dated(attempt: Attempt) -> Attempt:
        return replace(attempt, model=f"small-{date}") if attempt.tier == "small" else attempt

    return lambda result: replace(result, attempts=[dated(one) for one in result.attempts])


def test_a_certificate_that_nobody_runs_under_says_so(path: Path, tmp_path: Path) -> None:
    """Zero calls are no clean record."""
    done = _report(path, _kept(tmp_path, _traffic(Policy(tiers=(SMALL, LARGE)), TRAFFIC[:3])))
    assert "no call has run under it yet" in done
    assert "3 more calls ran under no certificate, or another" in done


def _report(path: Path, ledger: Path, *more: str) -> str:
    words = ["report", "--ledger", str(ledger), "--certificate", str(path), *more]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, words, prog_name="tuppence")
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_says_it_in_words(path: Path, tmp_path: Path) -> None:
    """The promise beside what came of it."""
    outside, _ = _warned(lambda: _policy(path, threshold=0.01))
    told = _report(path, _kept(tmp_path, _traffic(_policy(path), TRAFFIC[:30]), _traffic(outside, TRAFFIC[30:40])))
    share = read_certificate(path).saving.share
    for words in (
        "in doubt: calls ran outside it", "at least 90% of the strongest tier's quality, with probability 90%",
        "2026-11-01 00:00 UTC, of 1,500 labels", f"promised {share.value:.1%}", "10 of 40 calls (25.0%)",
        "as certified", "none found in score.small (30 calls)",
    ):  # fmt: skip
        assert words in told


def test_the_command_says_it_in_json(path: Path, tmp_path: Path) -> None:
    """The same figures, with every digit of the money, beside the report's own."""
    results = list(_traffic(_policy(path), TRAFFIC[:30]))
    told = json.loads(_report(path, _kept(tmp_path, results), "--format", "json"))
    section = told["certificate"]
    assert told["total"]["calls"] == section["calls"] == 30
    assert section["measured"]["saved_usd"] == told["total"]["saved_usd"]
    assert section["id"] == certificate_id(read_certificate(path))
    assert (section["target"], section["delta"]) == (0.9, 0.1)
    assert (section["outside_share"], section["doubts"], section["strange"]) == (0.0, [], [])
    assert section["drift"] == {"tested": {"score.small": 30}, "found": []}


def test_a_report_that_asks_for_no_certificate_loads_nothing_numerical(path: Path, tmp_path: Path) -> None:
    """What is not used is not paid for; to build a policy under a certificate needs no numpy either."""
    ledger = _kept(tmp_path, _traffic(_policy(path), TRAFFIC[:3]))
    program = (
        "import sys\nfrom tuppence.cli import app\nfrom tuppence.evidence.certificate import certified\n"
        f"certified({str(path)!r})\n"
        f"app(['report', '--ledger', {str(ledger)!r}], standalone_mode=False)\n"
        "assert not {'numpy', 'sklearn', 'scipy'} & set(sys.modules), 'loaded'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def test_the_ledger_marks_only_calls_under_a_certificate(path: Path, tmp_path: Path) -> None:
    """A call without one costs no extra column."""
    ledger = _kept(tmp_path, _traffic(_policy(path), TRAFFIC[:1]), _traffic(Policy(tiers=(SMALL, LARGE)), TRAFFIC[1:2]))
    with sqlite3.connect(ledger) as connection:
        marks = connection.execute(
            "SELECT json_extract(extra, '$.certificate'), n FROM attempts ORDER BY id"
        ).fetchall()
    connection.close()
    marked = [n for mark, n in marks if mark is not None]
    assert marked == [1]


# -- the demo


def _chain(question: Question, *models: str) -> Answered:
    attempts = tuple(
        Attempt(name, name, "draft", outcome, Usage(), 10**6, "exact", "", 0.0, 1.0)
        for name, outcome in zip(models, (*["rejected"] * (len(models) - 1), "accepted"), strict=True)
    )  # fmt: skip
    return Answered(question=question, text="1850", attempts=attempts, tier=models[-1])


@pytest.mark.parametrize(
    ("models", "tiers"), [(("small", "large"), "small,large"), (("large",), "CHEAP,STRONG")], ids=["two", "one"]
)
def test_the_demo_counts_what_it_could_promise(models: tuple[str, ...], tiers: str) -> None:
    """Its questions are counted like anybody's outcomes; nobody graded them, and the command to run is named."""
    asked = [Question("When was the harbour built?", repeated=False)] * 3
    unchanged, changed = (tuple(_chain(one, *ran) for one in asked) for ran in (("large",), models))
    compared = [Comparison("A framework", unchanged, changed)]
    assert [set(row.by_model) for row in outcomes(compared)] == [set(models)] * 3
    told = promise(compared, models)
    assert f"0 of 3 questions have graded answers, where {least_labels(0.95, 0.1)} are the least" in told
    assert told.endswith(f"tuppence calibrate traffic.jsonl --tiers {tiers} --out certificate.json")


@pytest.mark.parametrize(("target", "delta"), [(0.9, 0.1), (0.95, 0.1), (0.98, 0.05)])
def test_no_promise_is_made_of_fewer_labels_than_the_floor(target: float, delta: float) -> None:
    """A policy that is as good as the strongest tier on every label, and free, is the best that there can be."""
    least = least_labels(target, delta)

    def perfect(count: int) -> Ladder:
        grid, ones = np.array([1.0, 0.0]), np.ones(count)
        return Ladder(grid, np.stack([ones, ones]), np.stack([ones, 0 * ones]), ones, ones)

    assert not isinstance(certify(perfect(10_000), perfect(least - 1), target=target, delta=delta), Certified)
    assert isinstance(certify(perfect(10_000), perfect(2 * least), target=target, delta=delta), Certified)
