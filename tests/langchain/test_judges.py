"""Judges of a ChatTuppence: asked by checks alone, beside a ladder that they are no part of."""

import pickle
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from langchain_tuppence import ChatTuppence, function_tier, tier
from tuppence.checks import agrees_with, judged_by
from tuppence.context import spend
from tuppence.errors import ConfigError, RequestError
from tuppence.request import Request
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer, Turn

from . import parts

CITY = {"title": "City", "description": "A city.", "type": "object", "properties": {"name": {"type": "string"}}}
RIGHT = '{"score": 5, "reason": "right"}'
WRONG = '{"score": 1, "reason": "wrong"}'


def judge(server: ProviderServer, **options: Any) -> Any:
    return tier(parts.anthropic(server, "judge-model", **options), name="judge", rate=parts.SMALL)


def judged(server: ProviderServer, **options: Any) -> ChatTuppence:
    return parts.ladder(server, **{"judges": [judge(server)], "check": judged_by("judge"), "cache": None, **options})


def asked(server: ProviderServer) -> list[str]:
    return [one.model for one in server.served]


@pytest.mark.parametrize(("grade", "models"), [(RIGHT, ["small", "judge"]), (WRONG, ["small", "judge", "large"])])
def test_what_a_judge_costs_is_in_the_calls_sum_and_its_name_in_the_ledger(
    server: ProviderServer, tmp_path: Path, grade: str, models: list[str]
) -> None:
    """One logical call with an attempt for each that was asked, the judge's under its own name and cause."""
    server.model("judge-model", replies=grade)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    with spend() as spent:
        message = judged(server, ledger=ledger).invoke("When was it built?")
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        rows = db.execute("SELECT tier, cause, outcome, pico_usd FROM attempts ORDER BY id").fetchall()
    assert [row[0] for row in rows] == models
    assert rows[1][:3] == ("judge", "judge", "consulted") and rows[1][3] > 0
    told = message.response_metadata["tuppence"]
    assert told["tier"] == ("large" if grade == WRONG else "small")
    assert Decimal(told["usd"]) == spent.usd == Decimal(sum(row[3] for row in rows)).scaleb(-12)


def test_a_judges_abilities_and_settings_are_its_own(server: ProviderServer) -> None:
    """Neither the profile nor what is said of every request changes with a judge."""
    without = parts.ladder(server)
    hot = judged(server, judges=[judge(server, temperature=0.9, max_tokens=7)])
    assert getattr(hot, "profile", None) == getattr(without, "profile", None)
    assert hot.parts.settings == without.parts.settings
    assert [t.name for t in hot.policy.tiers] == ["small", "large"]
    hot.invoke("Say it.")
    assert server.served[1].request["max_tokens"] == 7


def test_a_judge_travels_and_stays_in_copies(server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled, copied with changes, or both, the model asks the same judge, under the same cache scope."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    server.model("judge-model", replies=RIGHT)
    llm = judged(server)
    moved = pickle.loads(pickle.dumps(llm))
    assert moved.policy.scope == llm.policy.scope
    moved.model_copy(update={"threshold": 0.6}).invoke("Say it.")
    assert asked(server) == ["small-model", "judge-model"]
    assert llm.policy.scope != judged(server, judges=[judge(server, temperature=0.9)]).policy.scope


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_is_the_ladders_and_a_second_opinion_is_asked_for_it_too(
    server: ProviderServer, stream: bool
) -> None:
    """The tier's own reader makes the object; a judge of another provider is asked for the same object in its way."""
    for name in ("small-model", "judge-model"):
        server.model(name, replies=Turn(tool_calls=[("City", {"name": "Porto"})]))
    model = judged(server, check=agrees_with("judge")).with_structured_output(CITY, method="function_calling")
    found = list(model.stream("Which?"))[-1] if stream else model.invoke("Which?")
    assert found == {"name": "Porto"}
    assert asked(server) == ["small-model", "judge-model"]
    assert [tool["name"] for tool in server.served[1].request["tools"]] == ["City"]


def test_a_function_may_judge(server: ProviderServer) -> None:
    """What grades by rules costs nothing."""

    def strict(request: Request) -> str:
        return RIGHT if "Porto" in request.question else WRONG

    server.model("small-model", replies="Lisbon.")
    server.model("large-model", replies="Porto.")
    llm = judged(server, judges=[function_tier("judge", strict)])
    assert llm.invoke("Which?").text == "Porto."
    assert asked(server) == ["small-model", "large-model"]


@pytest.mark.parametrize("way", [{"route": "judge"}, {"model": "judge"}])
def test_a_judge_never_answers(server: ProviderServer, way: dict[str, str]) -> None:
    """A call that names one is refused before anything is asked, with the names that there are."""
    config: Any = {"configurable": {"tuppence": way if "route" in way else {}}}
    with pytest.raises(RequestError, match=r"no tier 'judge'.*'small', 'large'.*which only checks ask"):
        judged(server).invoke("Say it.", config, **({} if "route" in way else way))
    assert server.served == []


def test_names_are_unique_over_tiers_and_judges(server: ProviderServer) -> None:
    """A name of the user's own is refused where it is taken; the same model twice is numbered."""
    with pytest.raises(ConfigError, match="two tiers or judges are called 'small'"):
        judged(server, judges={"small": parts.openai(server, "gpt-4o")}, check=None)
    same = ChatTuppence(
        tiers=[parts.openai(server, "gpt-4o")], judges=[parts.openai(server, "gpt-4o")],
        check=agrees_with("gpt-4o-2"), ledger=None,
    )  # fmt: skip
    assert [t.name for t in same.policy.judges] == ["gpt-4o-2"]


def test_a_check_of_a_judge_that_there_is_not_is_refused(server: ProviderServer) -> None:
    """When the model is made, or when one call brings a check of its own."""
    refused = r"check names \['juge'\].*\['judge'\].*add the model to judges"
    with pytest.raises(ConfigError, match=refused):
        judged(server, check=judged_by("juge"))
    llm = judged(server)
    with pytest.raises(ConfigError, match=refused):
        llm.invoke("?", {"configurable": {"tuppence": {"check": judged_by("juge")}}})
