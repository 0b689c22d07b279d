"""A program with all who count it: the server's log, the ledger's file, our handler, `spend()`, LangChain's own."""

import asyncio
import sqlite3
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core._api import LangChainBetaWarning
from langchain_core.callbacks import UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.tracers.base import BaseTracer
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, TierSpec, spend, tier
from tuppence.cache import ExactCache, MemoryStore
from tuppence.policy import Retries
from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

from . import money
from .situations import FUNCTIONS, Line
from .surfaces import Seen, Surface

Row = dict[str, Any]


def chat_openai(server: ProviderServer, model: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.base_url, api_key="test", model=model, **options)


def chat_anthropic(server: ProviderServer, model: str, **options: Any) -> ChatAnthropic:
    return ChatAnthropic(base_url=server.anthropic_url, api_key="test", model=model, **options)


ORDERS = {
    "oa": {"small": chat_openai, "middle": chat_anthropic, "large": chat_anthropic},
    "ao": {"small": chat_anthropic, "middle": chat_openai, "large": chat_openai},
}
"""Which provider has which tier."""
BOOK = PriceBook(overrides={model: money.rate(model) for model in money.PRICES})


class Runs(BaseTracer):
    """A tracer, as LangSmith's is one: it keeps the kinds and names of all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()
        self.names: Counter[str] = Counter()

    def _persist_run(self, run: Any) -> None:
        pass

    def _start_trace(self, run: Any) -> None:
        super()._start_trace(run)
        self.kinds[run.run_type] += 1
        self.names[run.name] += 1


class World:
    """A server, a ledger and all who count; `llm` makes the model that they look at."""

    def __init__(self, server: ProviderServer, folder: Path) -> None:
        self.server = server
        self.ledger = SqliteLedger(folder / "ledger.db")
        self.handler = SpendCallbackHandler(prices=BOOK, ledger=self.ledger)
        self.usage = UsageMetadataCallbackHandler()
        self.runs = Runs()
        self.config: dict[str, Any] = {"callbacks": [self.handler, self.usage, self.runs]}
        with ExitStack() as stack:
            self.block = stack.enter_context(spend())
            self.ambient = stack.enter_context(get_usage_metadata_callback())
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()
        self.ledger.close()

    def tier(self, name: str, order: str = "oa") -> Any:
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        model = f"{name}-model"
        spec: TierSpec = tier(ORDERS[order][name](self.server, model), name=name, rate=money.rate(model))
        return spec

    def llm(
        self,
        *,
        order: str = "oa",
        tiers: Sequence[str] = ("small", "large"),
        judges: Sequence[str] = (),
        **options: Any,
    ) -> ChatTuppence:
        """Make the model: no cache unless asked for, and no waiting between retries."""
        built, beside = ([self.tier(name, order) for name in names] for names in (tiers, judges))
        defaults = {"ledger": self.ledger, "cache": None, "retries": Retries(per_tier=1, base_s=0.0)}
        return ChatTuppence(tiers=built, judges=beside, **{**defaults, **options})

    # -- what the books say

    def rows(self) -> list[Row]:
        """Read the ledger's file, past all of tuppence's own code."""
        self.ledger.flush()
        with sqlite3.connect(f"file:{self.ledger.path}?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            rows = [dict(row) for row in db.execute("SELECT * FROM attempts ORDER BY id")]
        db.close()
        return rows

    def calls(self) -> dict[str, list[Row]]:
        """Return the ledger's rows by logical call."""
        calls: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows():
            calls[row["call_id"]].append(row)
        return calls

    def lines(self) -> Counter[tuple[Line, ...]]:
        """Count the logical calls by what was attempted in them."""
        return Counter(tuple((r["tier"], r["cause"], r["outcome"]) for r in rows) for rows in self.calls().values())

    # -- the audit

    def audit(self) -> None:
        """Hold everybody who counts against the server's log, call by call and in sum."""
        paid = money.bills(self.server.served)
        rows = self.rows()
        exact = [r for r in rows if r["status"] == "exact" and _tokens(r) != (0,) * len(money.BUCKETS)]
        assert Counter((r["model"], _tokens(r), r["pico_usd"]) for r in exact) == Counter(
            (one.model, one.tokens, one.pico) for one in paid
        )
        assert all(r["pico_usd"] == 0 for r in rows if _tokens(r) == (0,) * len(money.BUCKETS))
        estimated = [r for r in rows if r["status"] == "estimated"]
        assert len(exact) + len(estimated) + sum(r["pico_usd"] == 0 for r in rows) == len(rows)
        assert all(r["pico_usd"] == money.pico(r["model"], r) for r in estimated)
        total = sum(one.pico for one in paid) + sum(r["pico_usd"] for r in estimated)
        assert total == sum(r["pico_usd"] for r in rows)
        self._handlers(total, rows)
        self._langchain(paid)

    def _handlers(self, total: int, rows: list[Row]) -> None:
        dollars = Decimal(total).scaleb(-12)
        assert {"handler": self.handler.usd, "block": self.block.usd} == {"handler": dollars, "block": dollars}
        assert sum(self.handler.by_tier.values()) == sum(self.handler.by_model.values()) == dollars
        assert (len(self.handler.attempts), len(self.block.attempts)) == (len(rows), len(rows))
        assert self.handler.hits == sum(r["outcome"] == "hit" for r in rows)

    def _langchain(self, paid: list[money.Bill]) -> None:
        for counted in (self.usage.usage_metadata, self.ambient.usage_metadata):
            seen = {m: (u["input_tokens"], u["output_tokens"], u["total_tokens"]) for m, u in counted.items()}
            assert seen == money.by_model(paid)

    def audit_calls(self, count: int) -> None:
        """Hold the number of logical calls, and of runs that a tracer sees, against the ledger and the server."""
        assert len(self.calls()) == self.handler.calls == self.block.calls == self.runs.names["ChatTuppence"] == count
        assert self.runs.kinds["llm"] + self.runs.kinds["chat_model"] == len(self.server.served)

    def audit_message(self, message: Any) -> None:
        """Hold what an answer tells of itself against the ledger's rows of its call."""
        told = message.response_metadata["tuppence"]
        rows = self.calls()[told["call_id"]]
        assert told["attempts"] == len(rows)
        assert Decimal(told["usd"]) == Decimal(sum(r["pico_usd"] for r in rows)).scaleb(-12)
        (answered,) = (r for r in rows if r["outcome"] in ("accepted", "hit"))
        assert told["tier"] == answered["tier"]
        used = _tokens(answered)
        assert message.usage_metadata["input_tokens"] == sum(used[:-1])
        assert message.usage_metadata["output_tokens"] == used[-1]
        assert message.usage_metadata["total_tokens"] == sum(used)


def _tokens(row: Row) -> tuple[int, ...]:
    return tuple(row[bucket] for bucket in money.BUCKETS)


def asked(surface: Surface, llm: ChatTuppence, question: str, config: Any, *, rounds: int = 1) -> list[Seen]:
    """Ask by a surface, sync or async, one round after the other on one event loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainBetaWarning)
        if not surface.is_async:
            return [surface.ask(llm, question, config) for _ in range(rounds)]

        async def all_rounds() -> list[Seen]:
            return [await surface.ask(llm, question, config) for _ in range(rounds)]

        return asyncio.run(all_rounds())


def cached() -> ExactCache:
    """Make a cache that keeps agents' turns too."""
    return ExactCache(MemoryStore(), tool_turns=True)


@contextmanager
def world(server: ProviderServer, folder: Path) -> Iterator[World]:
    made = World(server, folder)
    try:
        yield made
    finally:
        made.close()
