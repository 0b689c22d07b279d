"""`record=` on a `TuppenceLLM`: what its real models answered is on disk, as outcomes, and no call pays for it."""

import asyncio
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from llm_suite import TOOLS, text_of, user
from surfaces import QUESTION

from llama_index_tuppence import TuppenceLLM
from tuppence.assembly import record_feedback
from tuppence.context import tags
from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import from_feedback, read_feedback, read_outcomes, read_traffic
from tuppence.recording import Recorder
from tuppence.testing import Fault, ProviderServer, Turn

SMALL, LARGE = "gpt-4o-mini", "gpt-4o"
REFUSAL = "I'm sorry, but I can't help with that."
GOOD = "The fjord is 1,308 metres deep."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


@pytest.fixture
def llm(make: Any, path: Path) -> TuppenceLLM:
    return TuppenceLLM([make(SMALL), make(LARGE)], ledger=False, retries=0, record=path)


def flush(llm: TuppenceLLM) -> None:
    assert isinstance(llm.policy.record, Recorder)
    llm.policy.record.flush()


def test_an_escalated_call_is_two_outcomes_of_one_question(
    llm: TuppenceLLM, provider: ProviderServer, path: Path
) -> None:
    """Draft and answer, under the names of their tiers, with the tokens that the provider billed."""
    provider.model(SMALL, replies=REFUSAL)
    provider.model(LARGE, replies=GOOD)
    response = llm.chat([user(QUESTION)])
    flush(llm)
    (one,) = read_outcomes(path)
    assert (one.id, one.query) == (response.additional_kwargs["tuppence"]["call_id"], QUESTION)
    assert {m: (o.answer, o.served) for m, o in one.by_model.items()} == {
        SMALL: (REFUSAL, False),
        LARGE: (GOOD, True),
    }
    for served in provider.served:
        assert served.usage is not None
        assert one.by_model[served.model].output_tokens == served.usage["completion_tokens"]


@pytest.mark.parametrize("way", ["chat", "achat", "complete", "acomplete", "stream_chat", "astream_chat"])
async def test_every_way_of_asking_is_recorded_once(
    llm: TuppenceLLM, provider: ProviderServer, path: Path, way: str
) -> None:
    """Sync and async, chat and completion, whole and streamed, with the same words."""
    provider.model(SMALL, replies=GOOD)
    given: Any = QUESTION if "complete" in way else [user(QUESTION)]
    answer = getattr(llm, way)(given)
    if way in ("achat", "acomplete", "astream_chat"):
        answer = await answer
    if way == "stream_chat":
        assert text_of(list(answer)) == GOOD
    elif way == "astream_chat":
        assert text_of([chunk async for chunk in answer]) == GOOD
    flush(llm)
    (one,) = read_outcomes(path)
    assert (one.query, [(o.answer, o.served) for o in one.by_model.values()]) == (QUESTION, [(GOOD, True)])


async def test_a_cancelled_stream_is_recorded_as_far_as_it_came(
    llm: TuppenceLLM, provider: ProviderServer, path: Path
) -> None:
    """The attempt is there, abandoned; no model's answer is made of it."""
    provider.model(SMALL, replies=Turn("word " * 300, hold=threading.Event(), hold_after=100))
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in await llm.astream_chat([user(QUESTION)]):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    flush(llm)
    (recorded,) = read_traffic(path)
    (attempt,) = recorded.attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")
    assert attempt.reply is not None
    assert attempt.reply.text.startswith("word ")
    assert list(read_outcomes(path)) == []


def test_a_failed_call_is_recorded_and_raises_as_before(llm: TuppenceLLM, provider: ProviderServer, path: Path) -> None:
    """The provider's exception is the caller's; the line holds its class."""
    for model in (SMALL, LARGE):
        provider.model(model, replies=Fault(status=500))
    with pytest.raises(openai.InternalServerError) as raised:
        llm.chat([user(QUESTION)])
    flush(llm)
    (recorded,) = read_traffic(path)
    assert [(a.outcome, a.error) for a in recorded.attempts] == [("failed", type(raised.value).__name__)] * 2


def test_tenants_and_redaction_hold(make: Any, provider: ProviderServer, path: Path) -> None:
    """Each tenant's line has its tag and no number; a call without a tenant is answered and not written."""
    provider.model(SMALL, replies="Card 4111 is charged.")
    recorder = Recorder(path, require_tenant=True, redact=lambda text: text.replace("4111", "****"))
    llm = TuppenceLLM([make(SMALL)], ledger=False, record=recorder)
    for tenant in ("acme", "beta"):
        with tags(tenant=tenant):
            llm.chat([user(f"Charge 4111 to {tenant}")])
    response = llm.chat([user("Charge 4111")])
    flush(llm)
    assert "requires a tenant" in response.additional_kwargs["tuppence"]["faults"][0]
    assert "4111" not in path.read_text()
    assert [(one.tags["tenant"], one.query) for one in read_outcomes(path)] == [
        ("acme", "Charge **** to acme"),
        ("beta", "Charge **** to beta"),
    ]


def test_one_call_can_be_left_out(llm: TuppenceLLM, path: Path) -> None:
    """By its own word; more than leaving out is the model's to say."""
    llm.chat([user(QUESTION)], tuppence={"record": False})
    llm.chat([user("And now?")])
    flush(llm)
    assert [one.query for one in read_outcomes(path)] == ["And now?"]
    with pytest.raises(ConfigError, match=r"record is 'other.jsonl' for this call"):
        llm.chat([user(QUESTION)], tuppence={"record": "other.jsonl"})


def test_nothing_is_written_unasked(make: Any, tmp_path: Path) -> None:
    """The default model keeps nobody's text."""
    llm = TuppenceLLM([make(SMALL)], ledger=False)
    llm.chat([user(QUESTION)])
    assert llm.policy.record is None
    assert list(tmp_path.iterdir()) == []


def test_a_users_word_finds_its_call(llm: TuppenceLLM, path: Path) -> None:
    """By the id in the response's summary."""
    call_id = llm.chat([user(QUESTION)]).additional_kwargs["tuppence"]["call_id"]
    flush(llm)
    record_feedback(call_id, 0.0, ledger=None, record=path)
    (one,) = map(from_feedback(read_feedback(path)), read_outcomes(path))
    assert [(o.score, o.labelled_by) for o in one.by_model.values()] == [(0.0, "feedback")]


def test_tool_calls_are_recorded(llm: TuppenceLLM, provider: ProviderServer, path: Path) -> None:
    """The call that the model asked for, beside the tools that it was given."""
    name = TOOLS[0].metadata.get_name()
    provider.model(SMALL, replies=Turn(tool_calls=[(name, {"city": "Bergen"})]))
    llm.chat_with_tools(TOOLS, user_msg="Weather in Bergen?")
    flush(llm)
    (recorded,) = read_traffic(path)
    assert name in [tool["function"]["name"] for tool in recorded.request.tools]
    reply = recorded.attempts[0].reply
    assert reply is not None
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == [(name, {"city": "Bergen"})]


def test_it_records_on_the_other_side_of_a_pickle(provider: ProviderServer, make: Any, path: Path) -> None:
    """A worker process writes to the same file, by the recorder that it was given."""
    recorder = pickle.loads(pickle.dumps(Recorder(path)))
    TuppenceLLM([make(SMALL)], ledger=False, record=recorder).chat([user(QUESTION)])
    recorder.flush()
    assert [one.query for one in read_outcomes(path)] == [QUESTION]
