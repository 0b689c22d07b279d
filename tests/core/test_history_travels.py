"""History shapers in other processes, and as copies in this one: settings travel, what was remembered does not."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from tuppence.policy import Policy
from tuppence.prices import PriceBook
from tuppence.prune.history import (
    Clearing,
    Decisions,
    Emptying,
    HistoryPolicy,
    HistoryPruner,
    HistoryShaper,
    PromptPrice,
    Recovery,
    Summariser,
    Window,
)
from tuppence.prune.history.decisions import Standing, chain_of
from tuppence.prune.payloads import compact_in_text
from tuppence.request import Message, Reply, Request, ToolCall, edited
from tuppence.tiers import Tier

from .history_suite import MARKED, NO_CACHE

ROWS = json.dumps([{"id": f"secret-{n}", "city": "Porto", "amount": n * 3.5} for n in range(40)])


@dataclass(frozen=True)
class Named:
    """An embedder that is told by its name; its repr is that of any object."""

    name: str

    __repr__ = object.__repr__

    def embed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    async def aembed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError


def unpriced(_tier: Tier) -> PromptPrice | None:
    return None


def shaping(*strategies: Any, **options: Any) -> HistoryShaper:
    return HistoryShaper(HistoryPruner(HistoryPolicy(strategies=strategies), **options))


NOTES = Summariser("notes", PriceBook.default().rate("gpt-4.1-nano"), max_tokens=50)
SHAPERS = {
    "as it comes": HistoryShaper(),
    "with notes": shaping(Window(keep_turns=2, summariser=NOTES), Clearing()),
    "with a tool": shaping(Clearing(recover_with="fetch"), Emptying(keep_results=2)),
    "in plain JSON": HistoryShaper(HistoryPruner(HistoryPolicy(arrival=compact_in_text))),
    "only where it pays often": HistoryShaper(HistoryPruner(HistoryPolicy(pays_times=Fraction(9)))),
    "at a price of its own": shaping(Clearing(), price=MARKED),
    "counted for another model": shaping(Clearing(), model="gpt-4"),
    "at nobody's price": HistoryShaper(price_of=unpriced),
}
DESCRIBED = SHAPERS | {name: shaping(Window(embedder=Named(name))) for name in ("one embedder", "another")}


def moved(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def scope(shaper: HistoryShaper) -> str:
    return Policy(tiers=(Tier("small"),), judges=(Tier("notes"),), check=None, shape=(shaper,)).scope


def talk() -> list[Message]:
    call = ToolCall("call_1", "orders", "{}")
    told = [Message("assistant", "", (call,)), Message("tool", ROWS, extra={"tool_call_id": "call_1"})]
    turns = [Message(role, text) for text in ("Which are open?", "Thanks. " * 50) for role in ("assistant", "user")]
    return [Message("user", "My orders?"), *told, *turns, Message("assistant", "Fine."), Message("user", "And now?")]


class TestInAnotherProcess:
    """What is sent is decided by the same settings."""

    @pytest.mark.parametrize("name", DESCRIBED)
    def test_it_is_the_same_policy(self, name: str) -> None:
        """Its description says no address, and gives the same scope."""
        shaper = DESCRIBED[name]
        assert " at 0x" not in repr(shaper)
        assert repr(moved(shaper)) == repr(shaper)
        assert scope(moved(shaper)) == scope(shaper)

    def test_no_other_settings_are_described_alike(self) -> None:
        """Whatever changes what is sent is another policy."""
        assert len({scope(shaper) for shaper in DESCRIBED.values()}) == len(DESCRIBED)

    @pytest.mark.parametrize("name", SHAPERS)
    def test_a_new_conversation_is_sent_alike(self, name: str) -> None:
        """Byte by byte."""
        pruner = SHAPERS[name].pruner
        here, there = (
            one.prune(talk(), at=1.0, price=pruner.price or NO_CACHE, tenant="new") for one in (pruner, moved(pruner))
        )
        assert here.edits
        assert here == there


def test_a_process_of_its_own_describes_it_alike() -> None:
    """With its own addresses, and its own order of hashes."""
    code = "import pickle, sys; print(repr(pickle.load(sys.stdin.buffer)))"
    shaper = SHAPERS["with notes"]
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(shaper), capture_output=True, check=True)
    assert done.stdout.decode().strip() == repr(shaper)


class TestWhatStaysBehind:
    """Texts, and what was decided on them."""

    def test_no_word_of_a_conversation_travels(self) -> None:
        """Not in decisions, stubs, notes, recovered texts or what was written shorter."""
        shaper = moved(SHAPERS["with notes"])
        plan = shaper.pruner.plan(Request(tuple(talk()), received_at=1.0), price=NO_CACHE, further_calls=100)
        next(plan)
        with pytest.raises(StopIteration) as end:
            plan.send(Reply("private notes"))
        sent = "".join(message.text for message in edited(talk(), end.value.value.edits))
        assert "private notes" in sent
        body = pickle.dumps(shaper)
        assert b"private" not in body
        assert b"secret" not in body

    def test_decisions_are_made_anew(self) -> None:
        """By as many calls as before; how long conversations are was learned, and comes along."""
        decisions = Decisions(max_calls=2)
        chains = [chain_of([Message("user", str(number))]) for number in range(4)]
        for number, chain in enumerate(chains[:2]):
            decisions.keep(chain, Standing(1, 3, number * 1000.0), lifetime_s=300)
        other = moved(decisions)
        assert len(other) == 0
        assert other.lengths.told() == decisions.lengths.told() == {3: 1}
        for number, chain in enumerate(chains):
            other.keep(chain, Standing(1, 1, float(number)), lifetime_s=300)
        assert len(other) == 2

    def test_recovery_keeps_its_room(self) -> None:
        """And none of its texts."""
        recovery = Recovery(max_chars=15)
        recovery.put("a" * 10)
        other = moved(recovery)
        assert len(other) == 0
        other.put("b" * 10)
        other.put("c" * 10)
        assert len(other) == 1

    def test_shapers_that_share_a_memory_go_on_sharing(self) -> None:
        """One conversation may go through two of them."""
        decisions = Decisions()
        first, second = moved((HistoryPruner(decisions=decisions), HistoryPruner(decisions=decisions)))
        assert first.decisions is second.decisions is not decisions


def test_a_copy_in_this_process_goes_on_with_the_same_bytes() -> None:
    """A conversation under way is sent as before, at a price at which nothing new would be cut."""
    shaper = moved(SHAPERS["as it comes"])
    before = talk()
    sent = edited(before, shaper.pruner.prune(before, at=0.0, price=NO_CACHE).edits)
    later = [*before, Message("assistant", "Now."), Message("user", "Good.")]
    assert sent[2].text.startswith("[cleared ")
    pruned = copy.deepcopy(shaper).pruner.prune(later, at=1.0, price=MARKED)
    assert edited(later, pruned.edits)[: len(sent)] == sent
