"""Servers of one's own in a file: several addresses, a queue that spills over, a reference price, stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuppence.config import Config, load_config
from tuppence.errors import ConfigError
from tuppence.selfhost import SpillOver
from tuppence.usage import Usage

pytest.importorskip("prometheus_client")

OWN = "name: own, class: vllm, model: q, price: {usd_per_hour: 2.50}"


def load(tmp_path: Path, *tiers: str) -> Config:
    file = tmp_path / "tuppence.yaml"
    file.write_text("tiers:\n" + "".join(f"  - {{{tier}}}\n" for tier in tiers))
    return load_config(file)


def test_a_tier_may_have_several_addresses_and_a_queue(tmp_path: Path) -> None:
    """Who builds the model is given one view of the servers, the same that says when they are full."""
    (spec,) = load(tmp_path, f"{OWN}, base_urls: ['http://a/v1', 'http://b/v1'], spill_over: {{waiting: 4}}").tiers
    assert spec.base_url == "http://a/v1"
    assert spec.servers is not None
    assert spec.servers.urls == ("http://a/v1", "http://b/v1")
    assert isinstance(spec.tier.admission, SpillOver)
    assert spec.tier.admission.servers is spec.servers


def test_one_address_alone_needs_no_watching(tmp_path: Path) -> None:
    (spec,) = load(tmp_path, f"{OWN}, base_url: 'http://a/v1'").tiers
    assert (spec.servers, spec.tier.admission) == (None, None)


@pytest.mark.parametrize(
    ("reference", "pico"),
    [("openai/gpt-4o-mini", 150_000 * 10**6), ("{input: 0.05, output: 0.08}", 50_000 * 10**6)],
)
def test_a_reference_is_a_listed_model_or_prices(tmp_path: Path, reference: str, pico: int) -> None:
    (spec,) = load(tmp_path, f"{OWN}, base_url: 'http://a/v1', reference: {reference}").tiers
    assert spec.tier.reference is not None
    assert spec.tier.reference.cost(Usage(input=1_000_000)) == pico


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        (f"{OWN}, base_urls: []", "base_urls"),
        (f"{OWN}, base_urls: ['h:1']", "give an address that starts with http:// or https://"),
        (f"{OWN}, base_url: 'http://a', base_urls: ['http://b']", "give one address, or several"),
        (f"{OWN}, base_url: 'http://a', spill_over: {{waiting: 0}}", "spill_over.waiting is 0"),
        (
            "name: a, class: openai, model: gpt-4o, spill_over: {waiting: 4}",
            "spill_over means nothing for class openai",
        ),
        (f"{OWN}, base_url: 'http://a', reference: nobody/nothing", "for which no price is known"),
        (f"{OWN}, base_url: 'http://a', reference: {{input: 1}}", "name a model of the price list, or give input and"),
        (f"{OWN}, base_url: 'http://a', stands_in_for: large", "put it right behind the tier of that name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, tier: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"tuppence\.yaml:2:\d+: ") as caught:
        load(tmp_path, tier)
    assert said in str(caught.value)


def test_a_stand_in_shares_its_tiers_place(tmp_path: Path) -> None:
    hosted = "name: hosted, class: openai_compatible, model: q, base_url: 'http://h/v1', price: unpriced"
    policy = load(tmp_path, f"{OWN}, base_url: 'http://a/v1'", f"{hosted}, stands_in_for: own").policy()
    assert [tier.place for tier in policy.tiers] == ["own", "own"]
    assert policy.strongest.name == "own"
