"""`ChatTuppence(..., **certified(path))`: real LangChain models under a certificate, inside it and outside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from langchain_tuppence import ChatTuppence, tier
from langchain_tuppence.config import from_config
from tuppence.evidence.certificate import read_certificate
from tuppence.evidence.certificate.live import live_certificate
from tuppence.evidence.certificate.using import certified
from tuppence.evidence.learning import calibrate
from tuppence.evidence.outcomes import Outcome, Outcomes
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer
from tuppence.testing.script import tokens_of

from . import parts

QUESTION = "When was the harbour built?"
SURE = "The harbour was built in 1850."
UNSURE = "It may have been built in 1850, or perhaps earlier, nobody can say. " * 3
OUTSIDE = "the tier other (other-model) of the policy was not certified"


class Year(BaseModel):
    """A year."""

    year: int


def labelled() -> Iterator[Outcomes]:
    """Make questions whose short cheap answers are right and whose long ones are wrong, by a rule with few slips."""
    for n in range(600):
        unsure, slip = n % 3 == 0, n % 41 == 0
        said = UNSURE if unsure else SURE
        small = Outcome(float(unsure == slip), said, output_tokens=len(tokens_of(said)), pico_usd=10**6)
        large = Outcome(float(n % 50 != 0), SURE, output_tokens=len(tokens_of(SURE)), pico_usd=10**8)
        yield Outcomes(f"q{n}", QUESTION, {"small": small, "large": large})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("promise") / "certificate.json"
    calibrate(labelled(), tiers=("small", "large"), target=0.9).save(where)
    return where


@pytest.fixture
def other(server: ProviderServer) -> Any:
    """A tier that nobody certified."""
    server.model("other-model", replies=SURE)
    return tier(parts.openai(server, "other-model"), name="other", rate=parts.SMALL)


def told(message: Any) -> dict[str, Any]:
    facts: dict[str, Any] = message.response_metadata["tuppence"]
    return facts


def asked(server: ProviderServer) -> list[str]:
    return [one.model for one in server.served]


@pytest.mark.parametrize(("said", "who"), [(SURE, ["small-model"]), (UNSURE, ["small-model", "large-model"])])
def test_inside_it_the_learned_check_decides(server: ProviderServer, path: Path, said: str, who: list[str]) -> None:
    """The live model's answers are scored as the labelled ones were, and nothing is noted."""
    server.model("small-model", replies=said)
    server.model("large-model", replies=SURE)
    llm = parts.ladder(server, cache=None, **certified(path))
    assert "outside_certificate" not in told(llm.invoke(QUESTION))
    assert asked(server) == who


async def test_outside_it_every_call_says_so(server: ProviderServer, path: Path, other: Any) -> None:
    """Sync, async and streamed; the other model goes on answering."""
    server.model("large-model", replies=SURE)
    with pytest.warns(UserWarning, match="runs outside its certificate"):
        llm = ChatTuppence(tiers=[other, parts.large(server)], ledger=None, **certified(path))
    chunks = list(llm.stream(QUESTION))
    messages = [llm.invoke(QUESTION), await llm.ainvoke(QUESTION), sum(chunks[1:], chunks[0])]
    assert all(OUTSIDE in told(message)["outside_certificate"] for message in messages)
    assert asked(server)[0] == "other-model"


def test_outside_it_the_strongest_answers_structured_calls_too(server: ProviderServer, path: Path, other: Any) -> None:
    """The parser that a structured call puts before the check hides no certificate."""
    server.model("large-model", replies='{"year": 1850}')
    with pytest.warns(UserWarning, match="the strongest tier answers every call"):
        llm = ChatTuppence(
            tiers=[other, parts.large(server)], ledger=None, **certified(path, outside="strongest")
        )  # fmt: skip
    assert llm.with_structured_output(Year).invoke(QUESTION) == Year(year=1850)
    assert asked(server) == ["large-model"]


def test_a_call_that_names_its_tier_is_answered_by_it(server: ProviderServer, path: Path, other: Any) -> None:
    """The fall-back is for calls that leave the choice to the policy."""
    with pytest.warns(UserWarning, match="runs outside"):
        llm = ChatTuppence(
            tiers=[other, parts.large(server)], ledger=None, **certified(path, outside="strongest")
        )  # fmt: skip
    facts = told(llm.invoke(QUESTION, model="other"))
    assert facts["tier"] == "other"
    assert OUTSIDE in facts["outside_certificate"]


def test_a_file_and_a_ledger_make_a_report(server: ProviderServer, path: Path, tmp_path: Path) -> None:
    """From the configuration to the certificate's section, with what the server's tokens cost."""
    server.model("small-model", replies=[SURE, UNSURE, SURE])
    server.model("large-model", replies=SURE)
    where = f"class: openai_compatible, base_url: '{server.base_url}'"
    prices = {"small": "{input: 1, output: 2}", "large": "{input: 10, output: 20}"}
    tiers = ", ".join(f"{{name: {n}, model: {n}-model, price: {price}, {where}}}" for n, price in prices.items())
    file = tmp_path / "tuppence.yaml"
    file.write_text(f"tiers: [{tiers}]\ncertificate: {path}\ncache: off\nledger: spend.sqlite\n")
    llm = from_config(file)
    facts = [told(llm.invoke(QUESTION)) for _ in range(3)]
    assert isinstance(llm.ledger, SqliteLedger)
    llm.ledger.flush()
    found = live_certificate(path, read_certificate(path), tmp_path / "spend.sqlite")
    assert [one["tier"] for one in facts] == ["small", "large", "small"]
    assert (found.live.calls, found.live.outside, found.live.compared) == (3, 0, 3)
    assert found.live.pico_usd == int(parts.billed(server) * 10**12)
    assert found.watched == {"score.small": 3}
    assert found.doubts == ()
