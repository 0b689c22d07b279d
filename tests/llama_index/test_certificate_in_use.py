"""`TuppenceLLM(..., **certified(path))`: real LlamaIndex models under a certificate, inside it and outside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llm_suite import user
from surfaces import QUESTION

pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from llama_index_tuppence import TuppenceLLM
from llama_index_tuppence.config import from_config
from tuppence.evidence.certificate.using import certified
from tuppence.evidence.learning import calibrate
from tuppence.evidence.outcomes import Outcome, Outcomes
from tuppence.testing import ProviderServer
from tuppence.testing.script import tokens_of

SMALL, LARGE, OTHER = "gpt-4o-mini", "gpt-4o", "gpt-3.5-turbo"
SURE = "The fjord is 1,308 metres deep."
UNSURE = "It may be 1,308 metres deep, or perhaps deeper, nobody can say. " * 3
OUTSIDE = f"the tier {OTHER} of the policy was not certified"


def labelled() -> Iterator[Outcomes]:
    """Make questions whose short cheap answers are right and whose long ones are wrong, by a rule with few slips."""
    for n in range(600):
        unsure, slip = n % 3 == 0, n % 41 == 0
        said = UNSURE if unsure else SURE
        small = Outcome(float(unsure == slip), said, output_tokens=len(tokens_of(said)), pico_usd=10**6)
        large = Outcome(float(n % 50 != 0), SURE, output_tokens=len(tokens_of(SURE)), pico_usd=10**8)
        yield Outcomes(f"q{n}", QUESTION, {SMALL: small, LARGE: large})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("promise") / "certificate.json"
    calibrate(labelled(), tiers=(SMALL, LARGE), target=0.9).save(where)
    return where


def told(response: Any) -> dict[str, Any]:
    facts: dict[str, Any] = response.additional_kwargs["tuppence"]
    return facts


def asked(provider: ProviderServer) -> list[str | None]:
    return [one.model for one in provider.served]


@pytest.mark.parametrize(("said", "who"), [(SURE, [SMALL]), (UNSURE, [SMALL, LARGE])])
def test_inside_it_the_learned_check_decides(
    make: Any, provider: ProviderServer, path: Path, said: str, who: list[str]
) -> None:
    """The live model's answers are scored as the labelled ones were, and nothing is noted."""
    provider.model(SMALL, replies=said)
    provider.model(LARGE, replies=SURE)
    llm = TuppenceLLM([make(SMALL), make(LARGE)], ledger=False, **certified(path))
    assert "outside_certificate" not in told(llm.chat([user(QUESTION)]))
    assert asked(provider) == who


async def test_outside_it_every_call_says_so(make: Any, provider: ProviderServer, path: Path) -> None:
    """Chat and completion, sync, async and streamed; the other model goes on answering."""
    provider.model(OTHER, replies=SURE)
    provider.model(LARGE, replies=SURE)
    with pytest.warns(UserWarning, match="runs outside its certificate"):
        llm = TuppenceLLM([make(OTHER), make(LARGE)], ledger=False, **certified(path))
    answers = [
        llm.chat([user(QUESTION)]), await llm.achat([user(QUESTION)]), list(llm.stream_chat([user(QUESTION)]))[-1],
        llm.complete(QUESTION),
    ]  # fmt: skip
    assert all(OUTSIDE in told(answer)["outside_certificate"] for answer in answers)
    assert asked(provider)[0] == OTHER


def test_outside_it_the_strongest_answers_unless_a_call_names_a_tier(
    make: Any, provider: ProviderServer, path: Path
) -> None:
    """The fall-back is for calls that leave the choice to the policy."""
    provider.model(OTHER, replies=SURE)
    provider.model(LARGE, replies=SURE)
    with pytest.warns(UserWarning, match="the strongest tier answers every call"):
        llm = TuppenceLLM([make(OTHER), make(LARGE)], ledger=False, **certified(path, outside="strongest"))
    facts = told(llm.chat([user(QUESTION)]))
    assert facts["route"].startswith("strongest tier: outside the certificate (")
    llm.chat([user(QUESTION)], model=OTHER)
    assert asked(provider) == [LARGE, OTHER]


def test_a_file_may_point_to_a_certificate(provider: ProviderServer, path: Path, tmp_path: Path) -> None:
    """The learned check of the file decides over the file's own native models."""
    pytest.importorskip("llama_index.llms.openai_like")
    provider.model(SMALL, replies=[SURE, UNSURE])
    provider.model(LARGE, replies=SURE)
    where = f"class: openai_compatible, base_url: '{provider.base_url}', provider: openai"
    tiers = ", ".join(f"{{name: {name}, model: {name}, {where}}}" for name in (SMALL, LARGE))
    file = tmp_path / "tuppence.yaml"
    file.write_text(f"tiers: [{tiers}]\ncertificate: {path}\nledger: off\n")
    llm = from_config(file)
    assert [told(llm.complete(QUESTION))["tier"] for _ in range(2)] == [SMALL, LARGE]
