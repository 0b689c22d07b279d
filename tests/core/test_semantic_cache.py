"""The semantic cache in the flow: what is served, to whom, and what happens when a part of it breaks."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Result, Verdict
from tuppence.cache import Audit, Calibration, MemorySimilarStore, SemanticCache, SqliteAudits
from tuppence.cache.calibration import MemoryAudits
from tuppence.drivers import arun, run, stream
from tuppence.effects import Ask
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Message, Request
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

from .semantic_suite import AGAIN, ASKED, OPPOSITE, OTHER, RATE, Words


class Program:
    """A program with a semantic cache and one model, whose answers can be told apart."""

    def __init__(self, *, policy: dict[str, Any] | None = None, answer: Any = None, **options: Any) -> None:
        self.models = ScriptedModels(large=answer or self._numbered, judge="Yes.")
        settings = {"embedder": Words(), "similar": MemorySimilarStore(), "threshold": 0.5} | options
        self.cache = SemanticCache(settings.pop("embedder"), **settings)
        defaults = {"tiers": (Tier("large", model="l", rate=RATE),), "check": None, "cache": self.cache}
        self.policy = Policy(**defaults | (policy or {}))

    def _numbered(self, ask: Ask) -> str:
        return f"Answer {len(self.models.asked)}."

    @property
    def port(self) -> Port:
        return Port(self.models, cache=self.cache)

    def ask(self, question: str, *before: Message, **fields: Any) -> Result:
        return run(plan(Request((*before, Message("user", question)), **fields), self.policy), self.port)

    @property
    def calls(self) -> int:
        return len(self.models.asked)


def test_a_question_in_other_words_is_answered_from_the_cache() -> None:
    """It costs nothing, spares the baseline, and says why and from where."""
    program = Program()
    paid, served = program.ask(ASKED), program.ask(AGAIN)
    assert program.calls == 1
    assert paid.reply is not None and served.reply is not None
    assert served.reply.text == paid.reply.text
    assert (served.tier, served.pico_usd) == ("similar", 0)
    assert served.attempts[0].baseline_pico == paid.pico_usd
    assert paid.call_id in served.decision.cache
    assert ASKED in served.decision.cache


async def test_an_event_loop_gets_the_same() -> None:
    """The async driver decides as the sync one does."""
    program = Program()
    for question in (ASKED, AGAIN):
        result = await arun(plan(Request((Message("user", question),)), program.policy), program.port)
    assert (result.tier, program.calls) == ("similar", 1)


def test_a_stream_is_replayed() -> None:
    """In pieces, as the model would have sent it."""
    program = Program()
    program.ask(ASKED)
    request = Request((Message("user", AGAIN),), streaming=True)
    assert list(stream(plan(request, program.policy), program.port)) == ["Answer ", "1. "]
    assert program.calls == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"before": (Message("system", "Be brief."),)}, {"before": (Message("system", "Be thorough."),)}),
        ({"before": (Message("user", "Hi"), Message("assistant", "Hello"))}, {}),
        ({"tags": {"tenant": "acme"}}, {"tags": {"tenant": "globex"}}),
        ({"tags": {"tenant": "acme"}}, {}),
        ({"params": {"max_tokens": 5}}, {}),
        ({"schema": {"type": "object"}}, {}),
    ],
    ids=["system prompt", "earlier turns", "tenant", "no tenant", "parameters", "schema"],
)
def test_another_context_is_another_scope(first: dict[str, Any], second: dict[str, Any]) -> None:
    """What stands around a question decides its answer too: nothing is shared."""
    program = Program()
    program.ask(ASKED, *first.pop("before", ()), **first)
    program.ask(AGAIN, *second.pop("before", ()), **second)
    assert program.calls == 2


def test_what_must_change_the_answer_is_not_served() -> None:
    """However near the questions are; the decision names what differs."""
    program = Program()
    program.ask(ASKED)
    refused = program.ask(OPPOSITE)
    assert program.calls == 2
    assert "negat" in refused.decision.cache


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"params": {"temperature": 0.7}}, "sampled"),
        ({"tools": ({"type": "function", "function": {"name": "f", "parameters": {}}},)}, "tool"),
    ],
)
def test_what_is_no_question_of_knowledge_is_not_compared(fields: dict[str, Any], why: str) -> None:
    """A tool acts on its moment, and sampling asks for variety."""
    program = Program()
    program.ask(ASKED, **fields)
    result = program.ask(AGAIN, **fields)
    assert program.calls == 2
    assert why in result.decision.cache


def test_tool_turns_are_never_compared_even_where_exact_repeats_are_kept() -> None:
    """The option is the exact cache's."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    program = Program(tool_turns=True)
    program.ask(ASKED, tools=(tool,))
    assert "not compared: a tool-calling turn" in program.ask(AGAIN, tools=(tool,)).decision.cache
    assert program.ask(ASKED, tools=(tool,)).tier == "cache"


def test_a_text_longer_than_the_embedder_reads_is_not_compared() -> None:
    """Two long prompts that differ at their ends would look the same to it."""
    program = Program()
    program.ask("word " * 200 + "first?")
    result = program.ask("word " * 200 + "second?")
    assert program.calls == 2
    assert "more than 120 words" in result.decision.cache


class Broken:
    """Fails wherever it is asked."""

    name = "broken"

    def __getattr__(self, name: str) -> Any:
        raise OSError("gone")


def test_a_broken_embedder_never_fails_a_call() -> None:
    """It is recorded, and the model is asked."""
    program = Program(embedder=Broken())
    result = program.ask(ASKED)
    assert result.reply is not None
    assert result.decision.faults == ["cache: OSError: gone"]


def test_a_broken_store_never_fails_a_call() -> None:
    """Neither when it is asked nor when it should keep."""
    program = Program(similar=Broken())
    result = program.ask(ASKED)
    assert result.reply is not None
    assert result.decision.faults[0] == "cache: OSError: gone"


def test_observe_mode_only_says_what_it_would_have_served() -> None:
    """And keeps what a real cache would keep."""
    program = Program(policy={"mode": "observe"})
    program.ask(ASKED)
    result = program.ask(AGAIN)
    assert program.calls == 2
    assert "similar question" in result.decision.would


def test_an_invalidated_tag_takes_all_that_was_served_from_it() -> None:
    """The entry, its exact repeat, and the texts that it was served to."""
    program = Program()
    program.ask(ASKED, cache_tags=frozenset({"pricing-page"}))
    program.ask(AGAIN)
    assert program.cache.invalidate("pricing-page") == 3
    assert program.ask(AGAIN).tier == "large"
    assert program.ask(ASKED).tier == "similar"


@pytest.mark.parametrize(("says", "tier"), [("yes", "similar"), ("No.", "large"), (OSError("down"), "large")])
def test_a_verifier_has_the_last_word_and_fails_closed(says: Any, tier: str) -> None:
    """What is not a clean yes is a no; its calls are on the books."""
    program = Program(verified_by="judge", policy={"judges": (Tier("judge", model="j", rate=RATE),)})
    program.models = ScriptedModels(large="An answer.", judge=says)
    program.ask(ASKED)
    result = program.ask(AGAIN)
    assert result.tier == tier
    assert result.attempts[0].cause == "judge"


def test_a_verifier_that_does_not_exist_is_refused_at_once() -> None:
    """Like any other name."""
    with pytest.raises(ConfigError, match=r"names \['juge'\]"):
        Program(verified_by="juge")


def test_a_draft_that_failed_its_check_is_not_kept() -> None:
    """The best there was is no answer to serve again."""
    program = Program(policy={"check": lambda _request, _reply: Verdict(0.0, "bad")})
    program.policy = program.policy.override(
        tiers=(Tier("large", model="l", rate=RATE), Tier("judge", model="j", rate=RATE)), retries=program.policy.retries
    )
    program.models = ScriptedModels(large="draft", judge=OSError("down"))
    assert program.ask(ASKED).tier == "large"
    program.ask(AGAIN)
    assert [ask.tier.name for ask in program.models.asked].count("large") == 2


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "#", text)


def test_what_is_redacted_is_neither_kept_nor_compared() -> None:
    """The hook sees the question before anything else of the cache does."""
    program = Program(redact=without_numbers, answer="On its way.")
    program.ask("Where is parcel 4711 from the Mongolian warehouse?")
    (kept, _hits), *_ = program.cache.similar.entries()
    assert kept.question == "Where is parcel # from the Mongolian warehouse?"


def test_what_was_redacted_still_tells_two_questions_apart() -> None:
    """One parcel's answer is not another's, though both questions are kept in the same words."""
    program = Program(redact=without_numbers, answer="On its way.")
    program.ask("Where is parcel 4711 from the Mongolian warehouse?")
    assert program.ask("Where is parcel 4712 from the Mongolian warehouse?").tier == "large"
    assert program.ask("Where is the parcel 4711 from the Mongolian warehouse?").tier == "similar"


@pytest.mark.parametrize(("one", "other"), [("5 $", "5 €"), ("from 7 to 8", "from 8 to 7")])
def test_marks_and_order_that_were_redacted_count_as_well(one: str, other: str) -> None:
    """Whatever is taken out, and wherever it stood."""
    program = Program(redact=lambda text: re.sub(r"[\d$€]", "#", text), answer="Yes.")
    program.ask(f"Does the standard parcel service cost {one} this month?")
    assert program.ask(f"Does the standard parcel service cost {other} this month?").tier == "large"
    assert program.calls == 2


def test_an_answer_with_what_must_not_be_stored_is_not_stored() -> None:
    """Neither as an exact repeat nor for questions like it; an altered answer is not served either."""
    program = Program(redact=without_numbers, answer="Your card ends in 4711.")
    assert [program.ask(question).tier for question in (ASKED, ASKED, AGAIN)] == ["large"] * 3
    assert program.cache.similar.entries() == []


def test_a_redaction_that_breaks_stores_nothing_and_fails_no_call() -> None:
    """It is recorded; the model is asked."""

    def broken(_text: str) -> str:
        raise ValueError("no rule")

    program = Program(redact=broken)
    for _ in range(2):
        result = program.ask(ASKED)
        assert (result.tier, result.decision.faults[0]) == ("large", "cache: ValueError: no rule")
    assert program.cache.similar.entries() == []


def test_hits_are_counted_by_entry() -> None:
    """So that a report can say what pays."""
    program = Program()
    for question in (ASKED, AGAIN, f"{AGAIN}??", OTHER):
        program.ask(question)
    assert sorted(hits for _, hits in program.cache.similar.entries()) == [0, 2]


# -- calibration


def test_nothing_is_served_before_there_is_evidence_and_near_questions_are_audited_for_nothing(tmp_path: Path) -> None:
    """The model is asked anyway; once enough audits were right, hits begin."""
    audits = SqliteAudits(tmp_path / "audits.sqlite", examples=True)
    calibration = Calibration(max_wrong_share=0.2, audit_share=0.01, log=audits)
    program = Program(calibration=calibration, answer="The same as ever.")
    program.ask(ASKED)
    for i in range(100):
        assert program.ask(f"{AGAIN}{'!' * (i + 1)}").tier == "large"
        program.cache.flush()
        if math.isfinite(calibration.threshold('["", ""]')):
            break
    # By its id a call is an audit or is none: this one is none.
    assert program.ask(f"{AGAIN}?", call_id="served").tier == "similar"
    assert audits.read()[0].served == ASKED


def test_an_audit_tells_an_answer_that_differs() -> None:
    """By its words, or by its sense and facts."""
    calibration = Calibration(max_wrong_share=0.2)
    program = Program(calibration=calibration)
    program.ask(ASKED)
    program.ask(AGAIN)
    program.cache.flush()
    (audit,) = calibration.audits()
    assert not audit.same


def test_a_share_of_the_hits_goes_on_being_asked() -> None:
    """The same call always is an audit or never is; it is answered by the model."""
    calibration = Calibration(max_wrong_share=0.5, audit_share=0.5)
    program = Program(calibration=calibration, answer="The same.")
    program.ask(ASKED)
    for i in range(60):
        program.ask(f"{AGAIN}{'!' * (i + 1)}")
        program.cache.flush()
    tiers = [program.ask(f"So, {AGAIN}{'!' * i}").tier for i in range(60)]
    assert {"similar", "large"} == set(tiers)


def test_an_audit_that_breaks_is_told_by_a_later_call() -> None:
    """Comparing is done beside the calls: the one that it was for has ended by then."""

    class Full(MemoryAudits):
        def add(self, audit: Audit) -> None:
            raise OSError("disk full")

    calibration = Calibration(max_wrong_share=0.2, log=Full())
    program = Program(calibration=calibration, answer="The same.")
    program.ask(ASKED)
    assert program.ask(AGAIN).decision.faults == []
    program.cache.flush()
    assert calibration.finding('["", ""]').audits == 1
    assert program.ask(f"{AGAIN}!").decision.faults == ["cache: OSError: disk full"]


def test_what_an_abandoned_call_had_is_not_kept() -> None:
    """Half an answer is none."""
    program = Program(answer="one two three four")
    request = Request((Message("user", ASKED),), streaming=True)
    chunks = stream(plan(request, program.policy), program.port)
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]
    assert len(program.cache.similar.entries()) == 0
