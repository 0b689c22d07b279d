"""`record=` on a `ChatTuppence`: what its real models answered is on disk, as outcomes, and no call pays for it."""

import asyncio
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool

from langchain_tuppence import ChatTuppence, tags
from tuppence.assembly import record_feedback
from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import from_feedback, read_feedback, read_outcomes, read_traffic
from tuppence.policy import Retries
from tuppence.recording import Recorder
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.testing.script import tokens_of

from . import parts

QUESTION = "When was the harbour built?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


def told(message: Any) -> dict[str, Any]:
    facts: dict[str, Any] = message.response_metadata["tuppence"]
    return facts


def flush(llm: ChatTuppence) -> None:
    assert isinstance(llm.policy.record, Recorder)
    llm.policy.record.flush()


def overridden(**changes: Any) -> Any:
    return {"configurable": {"tuppence": changes}}


def test_an_escalated_call_is_two_outcomes_of_one_question(server: ProviderServer, path: Path) -> None:
    """Draft and answer with what each cost; together they are what the server would bill."""
    server.model("small-model", replies=parts.REFUSAL)
    server.model("large-model", replies=parts.ANSWER)
    llm = parts.ladder(server, record=path)
    message = llm.invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    flush(llm)
    (one,) = read_outcomes(path)
    assert (one.id, one.query) == (told(message)["call_id"], QUESTION)
    small, large = one.by_model["small"], one.by_model["large"]
    assert (small.answer, small.served, small.no_answer) == (parts.REFUSAL, False, True)
    assert (large.answer, large.served, large.no_answer) == (parts.ANSWER, True, False)
    assert (small.pico_usd or 0) + (large.pico_usd or 0) == int(parts.billed(server) * 10**12)
    assert (large.latency_ms or 0) > 0


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_every_way_of_asking_is_recorded_once(server: ProviderServer, path: Path, way: str) -> None:
    """Sync and async, whole and streamed, with the same words."""
    server.model("small-model", replies=parts.ANSWER)
    llm = parts.ladder(server, record=path)
    if way == "invoke":
        llm.invoke(QUESTION)
    elif way == "ainvoke":
        await llm.ainvoke(QUESTION)
    elif way == "stream":
        list(llm.stream(QUESTION))
    else:
        [chunk async for chunk in llm.astream(QUESTION)]
    flush(llm)
    (one,) = read_outcomes(path)
    assert {model: (o.answer, o.served) for model, o in one.by_model.items()} == {"small": (parts.ANSWER, True)}


def test_nothing_is_written_unasked(server: ProviderServer, tmp_path: Path) -> None:
    """The default model keeps nobody's text, and holds none while it answers."""
    llm = parts.ladder(server)
    llm.invoke(QUESTION)
    assert llm.policy.record is None
    assert list(tmp_path.iterdir()) == []


def test_one_call_can_be_left_out(server: ProviderServer, path: Path) -> None:
    """By its own word; more than leaving out is the model's to say."""
    llm = parts.ladder(server, record=path)
    llm.invoke(QUESTION, config=overridden(record=False))
    llm.invoke("And now?")
    flush(llm)
    assert [one.query for one in read_outcomes(path)] == ["And now?"]
    with pytest.raises(ConfigError, match=r"record is 'other.jsonl' for this call"):
        llm.invoke(QUESTION, config=overridden(record="other.jsonl"))


def test_a_cancelled_stream_is_recorded_as_far_as_it_came(server: ProviderServer, path: Path) -> None:
    """The attempt is there, abandoned, with the words that were read; no model's answer is made of it."""
    gate = threading.Event()
    server.model("small-model", replies=Turn(parts.LONG, hold=gate, hold_after=100))
    llm = parts.ladder(server, record=path)

    async def read() -> None:
        begun = asyncio.Event()

        async def reading() -> None:
            text = ""
            async for chunk in llm.astream(QUESTION):
                text += chunk.text
                if text == "".join(tokens_of(parts.LONG)[:100]):
                    begun.set()

        task = asyncio.create_task(reading())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(read())
    flush(llm)
    (recorded,) = read_traffic(path)
    (attempt,) = recorded.attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")
    assert attempt.reply is not None
    assert attempt.reply.text == "".join(tokens_of(parts.LONG)[:100])
    assert list(read_outcomes(path)) == []


def test_a_failed_call_is_recorded_and_raises_as_before(server: ProviderServer, path: Path) -> None:
    """The provider's exception is the caller's; the line holds its class."""
    for model in ("small-model", "large-model"):
        server.model(model, replies=Fault(status=500))
    llm = parts.ladder(server, record=path, retries=Retries(per_tier=0))
    with pytest.raises(openai.InternalServerError) as raised:
        llm.invoke(QUESTION)
    flush(llm)
    (recorded,) = read_traffic(path)
    assert [(a.tier, a.outcome) for a in recorded.attempts] == [("small", "failed"), ("large", "failed")]
    assert {a.error for a in recorded.attempts} == {type(raised.value).__name__}


def test_tenants_and_redaction_hold_for_real_messages(server: ProviderServer, path: Path) -> None:
    """Native content blocks, names and answers; a call without a tenant is answered and not written."""
    server.model("small-model", replies="Card 4111 is charged.")
    recorder = Recorder(path, require_tenant=True, redact=lambda text: text.replace("4111", "****"))
    llm = parts.ladder(server, record=recorder)
    blocks: Any = [{"type": "text", "text": "Charge 4111"}, {"type": "image_url", "image_url": {"url": "data:4111"}}]
    with tags(tenant="acme"):
        llm.invoke([HumanMessage(blocks, name="4111")])
    homeless = llm.invoke("Charge 4111")
    flush(llm)
    assert any("requires a tenant" in fault for fault in told(homeless)["faults"])
    (line,) = path.read_text().splitlines()
    assert "4111" not in line
    assert json.loads(line)["tags"] == {"tenant": "acme"}
    (one,) = read_outcomes(path)
    assert (one.query, one.by_model["small"].answer) == ("Charge ****", "Card **** is charged.")


def test_a_redaction_that_raises_costs_no_answer(server: ProviderServer, path: Path) -> None:
    """The recording is lost, and a later call's metadata says so."""
    llm = parts.ladder(server, record=Recorder(path, redact=lambda text: text[10**6]))
    assert llm.invoke(QUESTION).text
    flush(llm)
    assert any("redaction or JSON failed" in fault for fault in told(llm.invoke("And now?"))["faults"])
    flush(llm)
    assert path.read_text() == ""


def test_a_users_word_finds_its_call(server: ProviderServer, path: Path) -> None:
    """By the id in the answer's metadata."""
    llm = parts.ladder(server, record=path)
    call_id = told(llm.invoke(QUESTION))["call_id"]
    flush(llm)
    record_feedback(call_id, 1.0, comment="Thanks", ledger=None, record=path)
    (one,) = map(from_feedback(read_feedback(path)), read_outcomes(path))
    assert [(o.score, o.labelled_by) for o in one.by_model.values()] == [(1.0, "feedback")]


def test_tool_calls_are_recorded(server: ProviderServer, path: Path) -> None:
    """The question with its tools, and the call that the model asked for."""

    @tool
    def depth(fjord: str) -> str:
        """Tell how deep a fjord is."""
        return fjord

    server.model("small-model", replies=Turn(tool_calls=[("depth", {"fjord": "Sogne"})]))
    llm = parts.ladder(server, record=path)
    llm.bind_tools([depth]).invoke("How deep is the Sognefjord?")
    flush(llm)
    (recorded,) = read_traffic(path)
    assert recorded.request.tools[0]["function"]["name"] == "depth"
    reply = recorded.attempts[0].reply
    assert reply is not None
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [("depth", {"fjord": "Sogne"})]


def test_it_records_on_the_other_side_of_a_pickle(
    server: ProviderServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker process writes to the same file."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    llm = pickle.loads(pickle.dumps(parts.ladder(server, record=Recorder(path, share=1.0), cache=None)))
    llm.invoke(QUESTION)
    flush(llm)
    assert [one.query for one in read_outcomes(path)] == [QUESTION]
    assert llm.model_copy(update={"threshold": 0.7}).policy.record is not None
