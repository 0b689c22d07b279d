"""Events: what a user interface is told, and what handlers may do to a call that they only watch."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser

from .script import CITY, REFUSAL, City, Step, good_text, say
from .situations import SMALL
from .surfaces import HAS_V3_EVENTS, PROMPT, Seen, agent_of, every, graph_of
from .world import World, cached

QUESTION = "When was it built?"
PROGRAMS = ("model", "bound", "chain", "structured", "graph_ainvoke", "graph_astream", "agent")
MODEL_EVENTS = ("on_chat_model_start", "on_chat_model_stream", "on_chat_model_end")


def refused(world: World) -> None:
    say(world.server, "small-model", [Step.BAD])
    say(world.server, "large-model", [Step.GOOD])


def programs(llm: Any) -> dict[str, tuple[Any, Any, int]]:
    """Return what events are asked of: a runnable, its input, and how often it asks the model."""
    asked = {"messages": [("user", QUESTION)]}
    return {
        "model": (llm, QUESTION, 1),
        "bound": (llm.bind(stop=["END"]), QUESTION, 1),
        "chain": (PROMPT | llm | StrOutputParser(), {"question": QUESTION}, 1),
        "structured": (llm.with_structured_output(City), QUESTION, 1),
        "graph_ainvoke": (graph_of(llm, "ainvoke"), asked, 1),
        "graph_astream": (graph_of(llm, "astream"), asked, 1),
        "agent": (agent_of(llm), asked, 2),
    }


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("order", ["oa", "ao"])
@pytest.mark.parametrize("escalates", [False, True])
def test_events_tell_of_one_model_run_for_each_call(world: World, program: str, order: str, escalates: bool) -> None:
    """One start and one end for each logical call, all events of it under one run and one name, no word of a draft."""
    say(world.server, "small-model", [Step.BAD if escalates else Step.GOOD])
    say(world.server, "large-model", [Step.GOOD])
    runnable, given, calls = programs(world.llm(order=order))[program]
    events = asyncio.run(every(runnable.astream_events(given, world.config, version="v2")))
    kinds = Counter(event["event"] for event in events)
    assert kinds["on_chat_model_start"] == kinds["on_chat_model_end"] == calls
    told = [event for event in events if event["event"] in MODEL_EVENTS]
    assert len({event["run_id"] for event in told}) == calls
    assert {event["name"] for event in told} == {"ChatTuppence"}
    assert not [event for event in events if event["event"].startswith("on_llm")]
    assert REFUSAL not in repr(events)
    world.audit()
    world.audit_calls(calls)
    for event in events:
        if event["event"] == "on_chat_model_end":
            world.audit_message(event["data"]["output"])


@pytest.mark.parametrize("program", ["model", "chain", "graph_astream"])
def test_events_of_a_stream_are_its_text_once(world: World, program: str) -> None:
    """What `on_chat_model_stream` carries, joined, is the accepted answer; a hit is told like any answer."""
    refused(world)
    runnable, given, _ = programs(world.llm(cache=cached()))[program]

    async def main() -> list[str]:
        texts = []
        for _ in range(2):
            events = await every(runnable.astream_events(given, world.config, version="v2"))
            chunks = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
            texts.append("".join(chunks))
        return texts

    assert asyncio.run(main()) == [good_text(QUESTION)] * 2
    assert len(world.server.served) == 2
    world.audit()
    world.audit_calls(2)


@pytest.mark.skipif(not HAS_V3_EVENTS, reason="no v3 events here")
def test_v3_events_and_output_of_a_structured_answer(world: World) -> None:
    """The v3 protocol carries a bound model's answer, and is counted once."""
    say(world.server, "small-model", [Step.GOOD])
    bound = world.llm(order="ao").bind_tools([City], tool_choice="City")
    stream = bound.stream_events(QUESTION, world.config, version="v3")
    (call,) = stream.output.tool_calls
    assert City(**call["args"]) == City(**CITY)
    world.audit()
    world.audit_calls(1)


# -- handlers that raise

HOOKS = ("on_chain_start", "on_chat_model_start", "on_llm_end", "on_chain_end")


class Stop(Exception):
    """What a guard raises."""


class StopNow(KeyboardInterrupt):
    """What Ctrl-C raises, wherever the program stands."""


class Raises(BaseCallbackHandler):
    """Raises in one hook, the first time."""

    run_inline = True

    def __init__(self, hook: str, error: type[BaseException], *, loud: bool) -> None:
        self.hook, self.error, self.raise_error, self.done = hook, error, loud, False
        setattr(self, hook, self._raise)

    def _raise(self, *_args: Any, **_kwargs: Any) -> None:
        if not self.done:
            self.done = True
            raise self.error(self.hook)


def ways() -> list[Any]:
    """Return invoke and stream, sync and async, as functions of (llm, config)."""

    def streamed(llm: Any, config: Any) -> Seen:
        return Seen(shown="".join(chunk.text for chunk in llm.stream(QUESTION, config)))

    def astreamed(llm: Any, config: Any) -> Seen:
        return Seen(shown="".join(chunk.text for chunk in asyncio.run(every(llm.astream(QUESTION, config)))))

    return [
        pytest.param(lambda llm, config: llm.invoke(QUESTION, config), id="invoke"),
        pytest.param(lambda llm, config: asyncio.run(llm.ainvoke(QUESTION, config)), id="ainvoke"),
        pytest.param(streamed, id="stream"),
        pytest.param(astreamed, id="astream"),
    ]


@pytest.mark.parametrize("ask", ways())
@pytest.mark.parametrize("hook", HOOKS)
def test_a_handler_that_breaks_changes_nothing(world: World, hook: str, ask: Any) -> None:
    """LangChain logs what a handler raises, and so the call and its accounts go on."""
    say(world.server, "small-model", [Step.GOOD])
    world.config["callbacks"].insert(0, Raises(hook, Stop, loud=False))
    ask(world.llm(), world.config)
    assert world.lines() == Counter([(SMALL,)])
    world.audit()
    world.audit_calls(1)


@pytest.mark.parametrize("ask", ways())
@pytest.mark.parametrize("error", [Stop, StopNow])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_handler_that_stops_a_call_stops_it(world: World, hook: str, error: type[BaseException], ask: Any) -> None:
    """`raise_error=True` and Ctrl-C surface as themselves, ask nobody else and leave nothing unpaid."""
    say(world.server, "small-model", [Step.GOOD])
    say(world.server, "large-model", [Step.GOOD])
    world.config["callbacks"].append(Raises(hook, error, loud=True))
    with pytest.raises(error):
        ask(world.llm(), world.config)
    asked = [] if hook in ("on_chain_start", "on_chat_model_start") else ["small-model"]
    assert [one.model for one in world.server.served] == asked
    rows = world.rows()
    assert sum(row["pico_usd"] > 0 for row in rows) >= len(asked)
    if hook == "on_chain_end":
        world.audit()
    total = sum(row["pico_usd"] for row in rows)
    assert (world.handler.pico_usd, world.block.pico_usd) == (total, total)


@pytest.mark.parametrize("hook", ["on_chat_model_start", "on_llm_end"])
def test_a_cache_is_free_again_after_a_handler_stopped_a_call(world: World, hook: str) -> None:
    """The next one who asks the same does not wait for the one who was stopped."""
    say(world.server, "small-model", [Step.GOOD])
    say(world.server, "large-model", [Step.GOOD])
    llm = world.llm(cache=cached())
    with pytest.raises(StopNow):
        llm.invoke(QUESTION, {"callbacks": [Raises(hook, StopNow, loud=True)]})
    assert llm.invoke(QUESTION).text == good_text(QUESTION)
