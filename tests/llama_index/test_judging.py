"""A TuppenceLLM's live calls, judged behind them by another one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from llama_index_tuppence import TuppenceLLM, tier
from tuppence.errors import ConfigError
from tuppence.evidence.judging import Judge, Pairwise
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

GOOD = '{"reason": "right", "accuracy": 5, "fluency": 4}'
RATE = token_rate(input="1", output="2")


def facade(make: Any, name: str, **options: Any) -> TuppenceLLM:
    """A facade of one model, without a ledger of its own."""
    return TuppenceLLM([tier(make(f"{name}-model"), name=name, rate=RATE)], **{"ledger": None, **options})


async def test_calls_are_judged_behind_them_and_booked_under_them(
    provider: ProviderServer, make: Any, tmp_path: Path
) -> None:
    """Chats, completions and streams alike; the judge's attempt stands beside the call's own."""
    provider.model("judge-model", replies=GOOD)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    judge = Judge(facade(make, "judge"), share=1.0, ledger=ledger)
    llm = facade(make, "small", record=judge, ledger=ledger)
    llm.complete("When was it built?")
    await llm.achat([ChatMessage(content="When was it built?")])
    list(llm.stream_complete("When was it built?"))
    assert judge.flush()
    ledger.close()
    found = judge.judgements.read()
    assert [(one.status, one.tier, one.judge, one.accuracy) for one in found] == [
        ("scored", "small", "judge-model", 5)
    ] * 3
    sums = "SELECT cause, COUNT(DISTINCT call_id), SUM(pico_usd) FROM attempts GROUP BY cause"
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        causes = db.execute(sums).fetchall()
    assert [row[:2] for row in causes] == [("draft", 3), ("judge", 3)]
    assert causes[1][2] == sum(one.pico_usd or 0 for one in found) > 0


async def test_comparing_asks_the_strongest_model_the_conversation(provider: ProviderServer, make: Any) -> None:
    """As text: its roles are spelt where there are several turns."""
    provider.model("judge-model", replies='{"better": "tie"}')
    strongest = facade(make, "strongest")
    judge = Judge(facade(make, "judge"), share=1.0, ledger=None, rating=Pairwise(strongest))
    tiers = [tier(make(f"{name}-model"), name=name, rate=RATE) for name in ("small", "strongest")]
    two = TuppenceLLM(tiers, ledger=None, record=judge, check=None)
    turns = [("user", "Hello."), ("assistant", "Hello!"), ("user", "When was it built?")]
    two.chat([ChatMessage(role=role, content=text) for role, text in turns])
    assert judge.flush()
    (found,) = judge.judgements.read()
    assert (found.status, found.preference) == ("scored", 0.5)
    assert [one.model for one in provider.served] == ["small-model", "strongest-model", "judge-model", "judge-model"]
    assert "assistant: Hello!" in str(provider.served[1].request["messages"])


async def test_a_model_that_keeps_books_of_its_own_is_refused_as_judge(make: Any, tmp_path: Path) -> None:
    """Its calls would be in the ledger twice; a bare model's not at all."""
    with pytest.raises(ConfigError, match="make it with ledger=None"):
        Judge(facade(make, "judge", ledger=tmp_path / "ledger.sqlite"))
    with pytest.raises(ConfigError, match="accounts for no call"):
        Judge(make("judge-model"))
