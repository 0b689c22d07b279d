"""`certificate:` in a configuration file: it sets the check and the threshold, and the policy is held against it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from tuppence.config import Config, load_config
from tuppence.errors import ConfigError
from tuppence.evidence.certificate import read_certificate
from tuppence.evidence.learning import calibrate, check_path

from .made_up_outcomes import MODELS, made_up

SMALL = "{name: small, class: openai_compatible, model: s-1, base_url: 'http://localhost:1/v1', price: unpriced}"
LARGE = "{name: large, class: openai_compatible, model: l-1, base_url: 'http://localhost:1/v1', price: unpriced}"
TIERS = f"tiers:\n  - {SMALL}\n  - {LARGE}\n"

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration from text; beside it lies a folder `promises` with a certificate."""
    (tmp_path / "promises").mkdir()
    calibrate(made_up(1000, seed=3), tiers=("small", "large"), target=0.9).save(_certificate(tmp_path))

    def load(text: str) -> Config:
        path = tmp_path / "tuppence.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path)

    return load


def _certificate(folder: Path) -> Path:
    return folder / "promises" / "certificate.json"


@pytest.mark.parametrize(
    "written", ["promises/certificate.json", "{path: promises/certificate.json}"], ids=["a word", "a mapping"]
)
def test_it_sets_the_check_and_the_threshold(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """The path is relative to the file, wherever the program was started; a policy as certified says nothing."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load(f"{TIERS}certificate: {written}\n")
    known = read_certificate(_certificate(tmp_path))
    policy = config.policy()
    assert policy.threshold == known.threshold == config.options()["threshold"]
    assert getattr(policy.check, "version", None) == known.learned_version
    assert policy.standing is not None
    assert policy.standing.outside == ()


def test_a_policy_outside_it_warns_when_it_is_built(load: Load) -> None:
    """Loading alone says nothing, for the file may be a replay's."""
    config = load(f"{TIERS}route: {{start_at: large}}\ncertificate: promises/certificate.json\n")
    with pytest.warns(UserWarning, match="the policy runs outside its certificate, and its promise does not hold"):
        policy = config.policy()
    assert policy.standing is not None
    assert not policy.standing.falls_back


def test_outside_strongest_lets_the_strongest_tier_answer(load: Load) -> None:
    """The words of the file reach the policy."""
    config = load(
        f"{TIERS}max_usd_per_call: 0.1\ncertificate: {{path: promises/certificate.json, outside: strongest}}\n"
    )
    with pytest.warns(UserWarning, match="the strongest tier answers every call"):
        policy = config.policy()
    assert policy.standing is not None
    assert policy.standing.falls_back


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("check: default\ncertificate: promises/certificate.json", "4:8: check stands beside a certificate"),
        ("threshold: 0.7\ncertificate: promises/certificate.json", "4:12: threshold stands beside a certificate"),
        ("check: off\ncertificate: promises/certificate.json", "4:8: check stands beside a certificate"),
        ("certificate: {path: promises/certificate.json, outside: stop}", "it is one of note, strongest"),
        ("certificate: {outside: note}", "certificate.path is missing: add it"),
        ("certificate: {path: promises/certificate.json, strict: true}", "unknown key 'strict' in certificate"),
        ("certificate: nowhere.json", "4:14: the certificate "),
    ],
)
def test_what_cannot_be_is_said_at_its_line(load: Load, text: str, said: str) -> None:
    """With the fix, before anything is built."""
    with pytest.raises(ConfigError) as raised:
        load(f"{TIERS}{text}\n")
    assert said in str(raised.value)


def test_both_keys_that_it_sets_are_found_at_once(load: Load) -> None:
    """Every fault has its line."""
    with pytest.raises(ConfigError, match="has 2 errors") as raised:
        load(f"{TIERS}check: default\nthreshold: 0.7\ncertificate: promises/certificate.json\n")
    assert "remove check, or the certificate" in str(raised.value)
    assert "remove threshold, or the certificate" in str(raised.value)


def test_a_certificate_without_its_learned_check_is_refused(load: Load, tmp_path: Path) -> None:
    """The message names the file that is missing."""
    check_path(_certificate(tmp_path)).unlink()
    with pytest.raises(ConfigError, match=r"certificate\.check\.json holds no learned check"):
        load(f"{TIERS}certificate: promises/certificate.json\n")


def test_without_a_certificate_nothing_changes(load: Load) -> None:
    """The key may be left out, or say nothing."""
    for text in (TIERS, f"{TIERS}certificate:\n"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert load(text).policy().standing is None


def test_a_certified_order_is_the_policys_route(load: Load, tmp_path: Path) -> None:
    """The file names its tiers cheapest first; a route of its own has no room beside the certified one."""
    calibrate(made_up(1500, seed=11), tiers=MODELS, target=0.9).save(_certificate(tmp_path))
    tiers = TIERS.replace(
        "  - {name: large", f"  - {SMALL.replace('small', 'medium').replace('s-1', 'm-1')}\n  - {{name: large"
    )
    policy = load(f"{tiers}certificate: promises/certificate.json\n").policy()
    assert str(policy.route) == "the certified order medium > small > large"
    assert policy.standing is not None
    assert policy.standing.outside == ()
    with pytest.raises(ConfigError, match="route stands beside a certificate, which sets it"):
        load(f"{tiers}route: {{start_at: large}}\ncertificate: promises/certificate.json\n")
