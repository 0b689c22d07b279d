"""Why a cache did not serve, in words that can be counted: on the decision, and in the ledger without any prompt."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Result
from tuppence.cache import Calibration, ExactCache, MemorySimilarStore, MemoryStore, SemanticCache
from tuppence.drivers import run
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Message, Request
from tuppence.spend import SqliteLedger
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

from .semantic_suite import AGAIN, ASKED, OTHER, RATE, Words


class Torn(MemoryStore):
    def get(self, key: str) -> Any:
        raise OSError("no disk")


def semantic(**options: Any) -> SemanticCache:
    return SemanticCache(Words(), similar=MemorySimilarStore(), **{"threshold": 0.5} | options)


Make = Callable[[], ExactCache | None]
CASES: list[tuple[str, Make, list[str], dict[str, Any]]] = [
    ("", lambda: None, [ASKED], {}),
    ("not asked before", lambda: ExactCache(MemoryStore()), [ASKED], {}),
    ("", lambda: ExactCache(MemoryStore()), [ASKED, ASKED], {}),
    ("", semantic, [ASKED, AGAIN], {}),
    ("sampled", semantic, [ASKED], {"params": {"temperature": 0.9}}),
    ("nothing stored in this scope", semantic, [ASKED], {}),
    ("nothing near enough", semantic, [ASKED, OTHER], {}),
    ("differs in number", semantic, [ASKED, f"{ASKED.rstrip('?')} 7?"], {}),
    ("not alike enough", lambda: semantic(threshold=1.0), [ASKED, AGAIN], {}),
    ("personal", semantic, ["What is my balance?"], {}),
    ("audited", lambda: semantic(threshold=None, calibration=Always()), [ASKED, AGAIN], {}),
    ("not verified", lambda: semantic(verified_by="judge"), [ASKED, AGAIN], {}),
    ("the cache failed", lambda: ExactCache(Torn()), [ASKED], {}),
]


class Always(Calibration):
    """Serves everything, and audits every hit."""

    def __init__(self) -> None:
        super().__init__(audit_share=0.999999)

    def threshold(self, domain: str) -> float:
        return 0.0


@pytest.mark.parametrize(("why", "make", "questions", "fields"), CASES, ids=[f"{c[0]}-{len(c[2])}" for c in CASES])
def test_the_last_question_is_not_served_for_this_reason(
    why: str, make: Make, questions: list[str], fields: dict[str, Any], tmp_path: Path
) -> None:
    """And of no question a word is in the ledger's row."""
    cache = make()
    tier, judge = (Tier(name, model=name, rate=RATE) for name in ("large", "judge"))
    policy = Policy(tiers=(tier,), judges=(judge,), check=None, cache=cache)
    models, ledger = ScriptedModels(large="An answer.", judge="No."), SqliteLedger(tmp_path / "ledger.sqlite")

    def ask(question: str) -> Result:
        request = Request((Message("user", question),), **fields)
        return run(plan(request, policy), Port(models, cache=cache, ledger=ledger))

    results = [ask(question) for question in questions]
    assert results[-1].decision.missed == why
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as rows:
        written = [extra for (extra,) in rows.execute("SELECT extra FROM attempts WHERE extra IS NOT NULL")]
    assert sum(f'"{why}"' in extra for extra in written) == (1 if why else 0)
    assert not any(word in extra for extra in written for word in ASKED.split())
