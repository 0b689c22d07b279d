"""What a LlamaIndex `FunctionCallingLLM` owes its users, as tests that any implementation can be held against.

Subclass `FunctionCallingLLMSuite` in a test module, and give the fixture `llm`: a model that asks the scripted
`provider` for the model named `MODEL`. The suite looks at nothing but LlamaIndex's public surface and at what reached
the provider.
"""

import asyncio
import gc
import json
import pickle
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, MessageRole, TextBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from tuppence.testing import Fault, ProviderServer, Turn

MODEL = "gpt-4o-mini"
PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


class City(BaseModel):
    """A city."""

    name: str
    people: int


def weather(place: str) -> str:
    """Tell the weather in a place."""
    return f"sunny in {place}"


def tide(place: str) -> str:
    """Tell the tide in a place."""
    return f"low at {place}"


WEATHER = FunctionTool.from_defaults(weather)
TIDE = FunctionTool.from_defaults(tide)
TOOLS = [WEATHER, TIDE]
ONE_CALL = Turn(tool_calls=[("weather", {"place": "Bergen"})])
TWO_CALLS = Turn(tool_calls=[("weather", {"place": "Bergen"}), ("tide", {"place": "Brest"})])
CITY = Turn(tool_calls=[("City", {"name": "Bergen", "people": 291_940})])
ANSWER = "Bergen lies between seven mountains."
LONG = f"{ANSWER} " * 20


class Heard(BaseEventHandler):
    """Keeps the events that it hears."""

    events: list[BaseEvent] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.events.append(event)

    def count(self, kind: type[BaseEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def user(text: str) -> ChatMessage:
    return ChatMessage(content=text, role=MessageRole.USER)


def sent(provider: ProviderServer) -> list[dict[str, Any]]:
    """The messages of the last request that reached the provider."""
    messages: list[dict[str, Any]] = list(provider.served[-1].request["messages"])
    return messages


def text_of(chunks: Sequence[Any]) -> str:
    return "".join(chunk.delta or "" for chunk in chunks)


def billed_tokens(provider: ProviderServer) -> int:
    return sum(one.usage["total_tokens"] for one in provider.served if one.usage)


class FunctionCallingLLMSuite:
    """Subclass it and give the fixture `llm`."""

    MODELS: ClassVar[tuple[str, ...]] = (MODEL,)
    """Every model that a call may come to, failures included."""

    @pytest.fixture
    def llm(self, provider: ProviderServer) -> FunctionCallingLLM:
        raise NotImplementedError("give the model under test")

    @pytest.fixture
    def heard(self, attach: Any) -> Heard:
        handler: Heard = attach(Heard())
        return handler

    # -- chat and completion, eight ways

    def test_chat(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`chat` returns the assistant's message."""
        provider.model(MODEL, replies=ANSWER)
        response = llm.chat([user("Where is Bergen?")])
        assert response.message.content == ANSWER
        assert response.message.role == MessageRole.ASSISTANT

    async def test_achat(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`achat` returns the assistant's message."""
        provider.model(MODEL, replies=ANSWER)
        response = await llm.achat([user("Where is Bergen?")])
        assert response.message.content == ANSWER

    def test_stream_chat(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Deltas join to the answer, and every chunk's message holds what was said so far."""
        provider.model(MODEL, replies=ANSWER)
        chunks = list(llm.stream_chat([user("Where is Bergen?")]))
        said = ""
        for chunk in chunks:
            said += chunk.delta or ""
            assert (chunk.message.content or "") == said
        assert said == ANSWER
        assert sum(bool(chunk.delta) for chunk in chunks) > 1

    async def test_astream_chat(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        provider.model(MODEL, replies=ANSWER)
        chunks = [chunk async for chunk in await llm.astream_chat([user("Where is Bergen?")])]
        assert text_of(chunks) == ANSWER
        assert chunks[-1].message.content == ANSWER
        assert sum(bool(chunk.delta) for chunk in chunks) > 1

    def test_complete(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`complete` sends the prompt as one user message."""
        provider.model(MODEL, replies=ANSWER)
        assert llm.complete("Where is Bergen?").text == ANSWER
        assert [(m["role"], m["content"]) for m in sent(provider)] == [("user", "Where is Bergen?")]

    async def test_acomplete(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`acomplete` returns the text."""
        provider.model(MODEL, replies=ANSWER)
        assert (await llm.acomplete("Where is Bergen?")).text == ANSWER

    def test_stream_complete(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Deltas join to the answer, and the text grows with them."""
        provider.model(MODEL, replies=ANSWER)
        said = ""
        for chunk in llm.stream_complete("Where is Bergen?"):
            said += chunk.delta or ""
            assert chunk.text == said
        assert said == ANSWER

    async def test_astream_complete(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        provider.model(MODEL, replies=ANSWER)
        chunks = [chunk async for chunk in await llm.astream_complete("Where is Bergen?")]
        assert text_of(chunks) == ANSWER
        assert chunks[-1].text == ANSWER

    # -- messages

    def test_roles_and_turns_reach_the_provider_in_order(
        self, llm: FunctionCallingLLM, provider: ProviderServer
    ) -> None:
        """System, user and assistant turns arrive as they were written."""
        llm.chat(
            [
                ChatMessage(content="Be brief.", role=MessageRole.SYSTEM),
                user("Hello"),
                ChatMessage(content="Hello yourself", role=MessageRole.ASSISTANT),
                user("And now?"),
            ]
        )
        assert [(m["role"], m["content"]) for m in sent(provider)] == [
            ("system", "Be brief."),
            ("user", "Hello"),
            ("assistant", "Hello yourself"),
            ("user", "And now?"),
        ]

    def test_an_empty_system_message_does_no_harm(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Templates whose system part is empty are common."""
        provider.model(MODEL, replies=ANSWER)
        response = llm.chat([ChatMessage(content="", role=MessageRole.SYSTEM), user("Where is Bergen?")])
        assert response.message.content == ANSWER

    @pytest.mark.parametrize("text", ["æøå – 北京 🏔️", "a\u0000b\u2028c", '"quoted" \\ {braces}', " \n padded \t "])
    def test_text_passes_unchanged(self, llm: FunctionCallingLLM, provider: ProviderServer, text: str) -> None:
        """Whatever the text, the provider gets it and the user gets the answer as they were."""
        provider.model(MODEL, replies=f"x{text}x")
        assert llm.chat([user(text)]).message.content == f"x{text}x"
        assert sent(provider)[-1]["content"] == text

    def test_images_reach_the_provider(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Parts that are not text are sent too."""
        picture = ImageBlock(image=PIXEL, image_mimetype="image/png")
        llm.chat([ChatMessage(content=[TextBlock(text="What is this?"), picture])])
        kinds = [part["type"] for part in sent(provider)[-1]["content"]]
        assert kinds == ["text", "image_url"]

    def test_the_callers_messages_stay_as_they_are(self, llm: FunctionCallingLLM) -> None:
        """A call changes neither the list nor the messages in it."""
        messages = [ChatMessage(content="Be brief.", role=MessageRole.SYSTEM), user("Hello")]
        before = [message.model_dump_json() for message in messages]
        llm.chat(messages)
        list(llm.stream_chat(messages))
        assert [message.model_dump_json() for message in messages] == before

    def test_settings_of_one_call_reach_the_provider(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Keyword arguments go with the request."""
        llm.chat([user("Hello")], temperature=0.7, seed=11, stop=["END"])
        request = provider.served[-1].request
        assert (request["temperature"], request["seed"], request["stop"]) == (0.7, 11, ["END"])

    def test_predict_formats_its_template(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`predict` fills the template in and returns text."""
        provider.model(MODEL, replies=ANSWER)
        assert llm.predict(PromptTemplate("Where is {place}?"), place="Bergen") == ANSWER
        assert sent(provider)[-1]["content"] == "Where is Bergen?"

    async def test_apredict_and_streams_of_tokens(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`apredict`, `stream` and `astream` return text too."""
        provider.model(MODEL, replies=ANSWER)
        template = PromptTemplate("Where is {place}?")
        assert await llm.apredict(template, place="Bergen") == ANSWER
        assert "".join(llm.stream(template, place="Bergen")) == ANSWER
        assert "".join([token async for token in await llm.astream(template, place="Bergen")]) == ANSWER

    # -- tools

    def test_chat_with_tools(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The call that the model makes is read with its name and arguments."""
        provider.model(MODEL, replies=ONE_CALL)
        response = llm.chat_with_tools(TOOLS, user_msg="Weather in Bergen?")
        (call,) = llm.get_tool_calls_from_response(response)
        assert (call.tool_name, call.tool_kwargs) == ("weather", {"place": "Bergen"})
        assert call.tool_id
        names = [tool["function"]["name"] for tool in provider.served[-1].request["tools"]]
        assert names == ["weather", "tide"]

    async def test_achat_with_tools(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        provider.model(MODEL, replies=ONE_CALL)
        response = await llm.achat_with_tools(TOOLS, user_msg="Weather in Bergen?")
        (call,) = llm.get_tool_calls_from_response(response)
        assert call.tool_kwargs == {"place": "Bergen"}

    def test_no_tool_call_is_an_error_only_where_asked(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """A plain answer has no tool calls: an error, or an empty list."""
        provider.model(MODEL, replies=ANSWER)
        response = llm.chat_with_tools(TOOLS, user_msg="Where is Bergen?")
        assert response.message.content == ANSWER
        assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError, match="at least one tool call"):
            llm.get_tool_calls_from_response(response)

    def test_parallel_tool_calls(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Allowed, all calls come; not allowed, one does."""
        provider.model(MODEL, replies=TWO_CALLS)
        both = llm.chat_with_tools(TOOLS, user_msg="Weather and tide?", allow_parallel_tool_calls=True)
        assert [c.tool_name for c in llm.get_tool_calls_from_response(both)] == ["weather", "tide"]
        one = llm.chat_with_tools(TOOLS, user_msg="Weather and tide?", allow_parallel_tool_calls=False)
        assert len(llm.get_tool_calls_from_response(one)) == 1

    def test_a_required_tool_is_required_of_the_provider(
        self, llm: FunctionCallingLLM, provider: ProviderServer
    ) -> None:
        """`tool_required` reaches the provider in its own words."""
        llm.chat_with_tools(TOOLS, user_msg="Hello", tool_required=True)
        assert provider.served[-1].request["tool_choice"] == "required"
        llm.chat_with_tools(TOOLS, user_msg="Hello")
        assert provider.served[-1].request["tool_choice"] == "auto"

    def test_stream_chat_with_tools(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The last chunk holds the whole calls."""
        provider.model(MODEL, replies=TWO_CALLS)
        *_, last = llm.stream_chat_with_tools(TOOLS, user_msg="Weather and tide?", allow_parallel_tool_calls=True)
        calls = llm.get_tool_calls_from_response(last)
        assert [(c.tool_name, c.tool_kwargs) for c in calls] == [
            ("weather", {"place": "Bergen"}),
            ("tide", {"place": "Brest"}),
        ]

    async def test_astream_chat_with_tools(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Agents read the calls off every chunk: no chunk may be unreadable, and the last is whole."""
        provider.model(MODEL, replies=ONE_CALL)
        last: ChatResponse | None = None
        async for last in await llm.astream_chat_with_tools(TOOLS, user_msg="Weather in Bergen?"):
            llm.get_tool_calls_from_response(last, error_on_no_tool_call=False)
        assert last is not None
        assert llm.get_tool_calls_from_response(last)[0].tool_kwargs == {"place": "Bergen"}

    def test_a_tools_result_goes_back(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The conversation with a call and its result is one that the provider understands."""
        provider.model(MODEL, replies=[ONE_CALL, ANSWER])
        history = [user("Weather in Bergen?")]
        response = llm.chat_with_tools(TOOLS, chat_history=list(history))
        (call,) = llm.get_tool_calls_from_response(response)
        result = ChatMessage(content="sunny", role=MessageRole.TOOL, additional_kwargs={"tool_call_id": call.tool_id})
        final = llm.chat_with_tools(TOOLS, chat_history=[*history, response.message, result])
        assert final.message.content == ANSWER
        roles = [m["role"] for m in sent(provider)]
        assert roles == ["user", "assistant", "tool"]
        assert sent(provider)[1]["tool_calls"][0]["id"] == sent(provider)[2]["tool_call_id"] == call.tool_id

    def test_predict_and_call(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The tool is called, and its output is the answer."""
        provider.model(MODEL, replies=ONE_CALL)
        answer = llm.predict_and_call(TOOLS, user_msg="Weather in Bergen?")
        assert answer.response == "sunny in Bergen"

    async def test_apredict_and_call(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Several tools are called where that is allowed."""
        provider.model(MODEL, replies=TWO_CALLS)
        answer = await llm.apredict_and_call(TOOLS, user_msg="Both?", allow_parallel_tool_calls=True)
        assert answer.response == "sunny in Bergen\n\nlow at Brest"

    # -- structured output

    def test_structured_predict(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The answer is an object of the class."""
        provider.model(MODEL, replies=CITY)
        city = llm.structured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
        assert city == City(name="Bergen", people=291_940)

    async def test_astructured_predict(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        provider.model(MODEL, replies=CITY)
        city = await llm.astructured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
        assert city == City(name="Bergen", people=291_940)

    def test_structured_llm(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """`as_structured_llm` answers chats with the object."""
        provider.model(MODEL, replies=CITY)
        response = llm.as_structured_llm(City).chat([user("Describe Bergen")])
        assert response.raw == City(name="Bergen", people=291_940)
        assert json.loads(response.message.content or "")["name"] == "Bergen"

    def test_stream_structured_predict(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Partial objects come, and the last one is whole."""
        provider.model(MODEL, replies=CITY)
        *_, last = llm.stream_structured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
        assert last.model_dump() == {"name": "Bergen", "people": 291_940}

    async def test_astream_structured_predict(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        provider.model(MODEL, replies=CITY)
        template = PromptTemplate("Describe {name}")
        partial = [one async for one in await llm.astream_structured_predict(City, template, name="Bergen")]
        assert partial[-1].model_dump() == {"name": "Bergen", "people": 291_940}

    # -- what observers see

    def test_raw_says_what_the_provider_billed(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The provider's own usage is in the raw response, of a stream in its last chunk."""
        response = llm.chat([user("Hello")])
        assert response.raw.usage.total_tokens == billed_tokens(provider)
        *_, last = llm.stream_chat([user("Hello again")])
        assert response.raw.usage.total_tokens + last.raw.usage.total_tokens == billed_tokens(provider)

    def test_events_of_a_chat_come_once(self, llm: FunctionCallingLLM, heard: Heard) -> None:
        """One start and one end on the dispatcher for one chat."""
        llm.chat([user("Hello")])
        assert (heard.count(LLMChatStartEvent), heard.count(LLMChatEndEvent)) == (1, 1)

    def test_events_of_a_stream_come_once(
        self, llm: FunctionCallingLLM, heard: Heard, provider: ProviderServer
    ) -> None:
        """The end comes with the end of the stream, not of the call."""
        provider.model(MODEL, replies=LONG)
        chunks = llm.stream_chat([user("Hello")])
        next(chunks)
        assert heard.count(LLMChatEndEvent) == 0
        list(chunks)
        assert (heard.count(LLMChatStartEvent), heard.count(LLMChatEndEvent)) == (1, 1)

    async def test_events_of_async_calls_come_once(self, llm: FunctionCallingLLM, heard: Heard) -> None:
        """The same, asynchronously."""
        await llm.achat([user("Hello")])
        [_ async for _ in await llm.astream_chat([user("Hello")])]
        assert (heard.count(LLMChatStartEvent), heard.count(LLMChatEndEvent)) == (2, 2)

    async def test_a_token_counter_counts_once(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """A legacy handler that is set later sees what the provider billed, no more."""
        counter = TokenCountingHandler(tokenizer=str.split)
        llm.callback_manager = CallbackManager([counter])
        llm.chat([user("Hello")])
        await llm.achat([user("Hello you")])
        list(llm.stream_chat([user("Hello them")]))
        llm.complete("Hello us")
        assert counter.total_llm_token_count == billed_tokens(provider)

    def test_spans_open_and_close_around_a_chat(self, llm: FunctionCallingLLM, heard: Heard) -> None:
        """Events belong to a span of the model's."""
        llm.chat([user("Hello")])
        assert all(".chat-" in str(event.span_id) for event in heard.events)
        assert get_dispatcher().span_handlers[0].open_spans == {}

    # -- the object itself

    def test_metadata(self, llm: FunctionCallingLLM) -> None:
        """It names a model that chats and calls functions."""
        metadata = llm.metadata
        assert metadata.model_name
        assert metadata.context_window > 0
        assert metadata.is_chat_model
        assert metadata.is_function_calling_model

    def test_serialisation(self, llm: FunctionCallingLLM) -> None:
        """Its dictionary is JSON and names the class."""
        data = json.loads(llm.to_json())
        assert data["class_name"] == llm.class_name()

    def test_observers_get_no_key(self, llm: FunctionCallingLLM, heard: Heard) -> None:
        """The event of a call that starts describes the model, and holds no key."""
        llm.chat([user("Hello")])
        (start,) = [event for event in heard.events if isinstance(event, LLMChatStartEvent)]
        assert start.model_dict
        assert "api_key" not in json.dumps(start.model_dict, default=str)

    def test_pickling(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """A copy from another process answers too."""
        provider.model(MODEL, replies=ANSWER)
        copy = pickle.loads(pickle.dumps(llm))
        assert copy.chat([user("Where is Bergen?")]).message.content == ANSWER
        with warnings.catch_warnings():
            # The copy has made a client of its own, which no class of LlamaIndex's lets anybody close.
            warnings.simplefilter("ignore", ResourceWarning)
            del copy
            gc.collect()

    def test_threads_share_it(self, llm: FunctionCallingLLM) -> None:
        """Concurrent calls get each their own answer."""
        questions = [f"number {n}" for n in range(16)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda q: llm.chat([user(q)]).message.content, questions))
        assert answers == [f"You said: {q}" for q in questions]

    async def test_tasks_share_it(self, llm: FunctionCallingLLM) -> None:
        """Concurrent async calls get each their own answer."""
        questions = [f"number {n}" for n in range(16)]
        answers = await asyncio.gather(*(llm.achat([user(q)]) for q in questions))
        assert [a.message.content for a in answers] == [f"You said: {q}" for q in questions]

    # -- failures

    def test_a_providers_error_reaches_the_caller(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Code that catches the SDK's exceptions keeps working."""
        for model in self.MODELS:
            provider.model(model, replies=Fault(status=401))
        with pytest.raises(openai.AuthenticationError):
            llm.chat([user("Hello")])
        with pytest.raises(openai.AuthenticationError):
            list(llm.stream_chat([user("Hello")]))

    async def test_an_error_reaches_the_async_caller(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """The same, asynchronously."""
        for model in self.MODELS:
            provider.model(model, replies=Fault(status=401))
        with pytest.raises(openai.AuthenticationError):
            await llm.achat([user("Hello")])
        with pytest.raises(openai.AuthenticationError):
            [_ async for _ in await llm.astream_chat([user("Hello")])]

    def test_a_stream_can_be_left(self, llm: FunctionCallingLLM, provider: ProviderServer) -> None:
        """Closing a stream half-way lets go of the connection, as soon as Python has collected the SDK's stream."""
        provider.model(MODEL, replies=Turn(LONG, hold=threading.Event(), hold_after=100))
        chunks = llm.stream_chat([user("Count")])
        next(chunk for chunk in chunks if chunk.delta)
        chunks.close()
        del chunks
        gc.collect()
        (served,) = provider.await_finished(1)
        assert not served.completed
