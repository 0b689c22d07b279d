"""A ChatTuppence's live calls, judged behind them by another one."""

import pickle
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_tuppence import ChatTuppence, tier
from tuppence.context import spend
from tuppence.errors import ConfigError
from tuppence.evidence.judging import Judge, Judgement, Pairwise
from tuppence.prices import usd
from tuppence.routes import by_data_class
from tuppence.spend import SqliteLedger, report
from tuppence.testing import Fault, ProviderServer, Turn

from . import parts

GOOD = '{"reason": "right", "accuracy": 5, "fluency": 4}'


def asked_as(server: ProviderServer, name: str) -> ChatTuppence:
    """A facade of one model, as a judge wants it."""
    model = tier(parts.anthropic(server, f"{name}-model"), name=name, rate=parts.LARGE)
    return ChatTuppence(tiers=[model], check=None, ledger=None)


def judge(server: ProviderServer, **options: Any) -> Judge:
    return Judge(asked_as(server, "judge"), **{"share": 1.0, "ledger": None, **options})


def judgements(one: Judge) -> list[Judgement]:
    assert one.flush()
    return list(one.judgements.read())


def asked(server: ProviderServer) -> list[str]:
    return [one.model for one in server.served]


def test_an_answer_does_not_wait_for_its_judge(server: ProviderServer) -> None:
    """It is there while the judge is still thinking."""
    hold = threading.Event()
    server.model("judge-model", replies=Turn(GOOD, hold=hold))
    one = judge(server)
    assert parts.ladder(server, record=one).invoke("When was it built?").text
    assert one.counts == {}
    hold.set()
    (found,) = judgements(one)
    assert (found.status, found.tier, found.judge, found.accuracy) == ("scored", "small", "judge-model", 5)


async def test_async_calls_and_streams_are_judged_like_others(server: ProviderServer) -> None:
    """Each way of asking ends in a settled call."""
    server.model("judge-model", replies=GOOD)
    one = judge(server)
    llm = parts.ladder(server, record=one, cache=None)
    llm.invoke("a")
    await llm.ainvoke("b")
    list(llm.stream("c"))
    async for _ in llm.astream("d"):
        pass
    assert [found.status for found in judgements(one)] == ["scored"] * 4


def test_the_judge_sees_the_conversation_and_the_answer_that_was_given(server: ProviderServer) -> None:
    """Not the draft that was rejected before it."""
    server.model("judge-model", replies=GOOD)
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)
    one = judge(server)
    parts.ladder(server, record=one).invoke([("system", "You know the harbour."), ("user", "When was it built?")])
    (found,) = judgements(one)
    shown = str(server.served[-1].request)
    assert found.tier == "large"
    assert parts.ANSWER in shown
    assert "You know the harbour." in shown
    assert parts.REFUSAL not in shown


def test_a_cached_answer_is_judged_as_what_the_user_got(server: ProviderServer) -> None:
    """A hit that is wrong for its question is a quality of its own."""
    server.model("judge-model", replies=GOOD)
    one = judge(server)
    llm = parts.ladder(server, record=one)
    llm.invoke("Say it.")
    llm.invoke("Say it.")
    assert [found.tier for found in judgements(one)] == ["small", "cache"]


def test_a_call_and_its_judging_add_up_in_the_ledger(server: ProviderServer, tmp_path: Path) -> None:
    """One logical call; what the call's own `spend` saw, and what the judge spent, to the last pico-dollar."""
    server.model("judge-model", replies=GOOD)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    one = judge(server, ledger=ledger)
    with spend() as spent:
        parts.ladder(server, record=one, ledger=ledger, cache=None).invoke("When was it built?")
    (found,) = judgements(one)
    ledger.flush()
    total = report(ledger.path).total
    with closing(sqlite3.connect(ledger.path)) as db:
        rows = db.execute("SELECT DISTINCT call_id, tier, cause, outcome FROM attempts ORDER BY id").fetchall()
    ledger.close()
    assert [row[1:] for row in rows] == [("small", "draft", "accepted"), ("judge", "judge", "consulted")]
    assert rows[0][0] == rows[1][0] == found.call_id
    assert found.pico_usd is not None
    assert total.cost_usd == spent.usd + usd(found.pico_usd)
    assert (total.calls, total.attempts) == (1, 2)
    # The large tier would have cost ten times as much as the small one.
    assert total.saved_pico == 9 * spent.pico_usd - found.pico_usd


def test_a_comparison_asks_the_strongest_tier_and_the_judge_twice(server: ProviderServer, tmp_path: Path) -> None:
    """All three are on the judged call's bill; better in both orders is better."""

    def compares(request: dict[str, Any]) -> str:
        text = str(request["messages"])
        ours_first = text.index("OURS") < text.index("THEIRS")
        return f'{{"better": "{"first" if ours_first else "second"}"}}'

    server.model("small-model", replies="OURS: in 1850.")
    server.model("strongest-model", replies="THEIRS: nobody knows.")
    server.model("judge-model", replies=compares)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    one = judge(server, rating=Pairwise(asked_as(server, "strongest")), ledger=ledger)
    parts.ladder(server, record=one, check=None).invoke([("system", "Be brief."), ("user", "When was it built?")])
    (found,) = judgements(one)
    ledger.close()
    assert asked(server) == ["small-model", "strongest-model", "judge-model", "judge-model"]
    assert server.served[1].request["messages"] == [{"role": "user", "content": "When was it built?"}]
    assert (found.preference, found.leaning, found.judge) == (1.0, "", "judge-model")
    total = report(ledger.path).total
    assert (total.attempts, total.pico_usd) == (3, found.pico_usd)


@pytest.mark.parametrize("reply", ["I would give it a five.", Fault(status=400)])
def test_a_judge_in_trouble_is_nobodys_trouble(server: ProviderServer, reply: Any) -> None:
    """The answer is the same, and nothing is noted on the call."""
    server.model("judge-model", replies=reply)
    one = judge(server)
    message = parts.ladder(server, record=one).invoke("When was it built?")
    (found,) = judgements(one)
    assert found.status in ("unreadable", "failed")
    assert "faults" not in message.response_metadata["tuppence"]


def test_what_is_private_does_not_reach_the_judge(server: ProviderServer) -> None:
    """The judge holds the call's guards."""
    guard = by_data_class(private={"secret"}, public={"open"})
    home = tier(parts.openai(server, "small-model"), name="home", rate=parts.SMALL, self_hosted=True)
    one = judge(server, guards=[guard])
    llm = ChatTuppence(tiers=[home], guards=[guard], check=None, ledger=None, record=one)
    llm.invoke("My number is 7.", {"metadata": {"tuppence_data_class": "secret"}})
    (found,) = judgements(one)
    assert found.status == "withheld"
    assert asked(server) == ["small-model"]


def test_a_model_that_keeps_books_of_its_own_is_refused_as_judge(server: ProviderServer, tmp_path: Path) -> None:
    """Its calls would be in the ledger twice; a bare model's not at all."""
    with pytest.raises(ConfigError, match="make it with ledger=None"):
        Judge(parts.ladder(server, ledger=tmp_path / "ledger.sqlite"))
    with pytest.raises(ConfigError, match=r"accounts for no call.*ChatTuppence\(tiers"):
        Judge(parts.openai(server, "judge-model"))


def test_a_judged_model_travels_with_its_judge(server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled to another process, it is judged there."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    server.model("judge-model", replies=GOOD)
    moved = pickle.loads(pickle.dumps(parts.ladder(server, record=judge(server))))
    moved.invoke("Say it.")
    assert [found.status for found in judgements(moved.policy.record)] == ["scored"]
