"""Every way in which a LlamaIndex program asks its LLM, as functions from a model to the text that the user sees."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms.llm import LLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llm_suite import TOOLS, City, text_of, user

QUESTION = "How deep is the fjord?"

Surface = Callable[[LLM], Awaitable[str]]


def index() -> VectorStoreIndex:
    documents = [Document(text="The fjord is 1,308 metres deep.", doc_id="fjord")]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))


def memory() -> ChatMemoryBuffer:
    """Memory without a database, whose connections LlamaIndex's default leaves to the garbage collector."""
    return ChatMemoryBuffer.from_defaults(token_limit=10_000, tokenizer_fn=str.split)


@contextmanager
def settings_llm(llm: LLM) -> Iterator[None]:
    """Set the program's model, as most programs do, and take it back."""
    before = Settings._llm
    Settings.llm = llm
    try:
        yield
    finally:
        Settings._llm = before


async def chat(llm: LLM) -> str:
    return str(llm.chat([user(QUESTION)]).message.content)


async def achat(llm: LLM) -> str:
    return str((await llm.achat([user(QUESTION)])).message.content)


async def complete(llm: LLM) -> str:
    return llm.complete(QUESTION).text


async def acomplete(llm: LLM) -> str:
    return (await llm.acomplete(QUESTION)).text


async def stream_chat(llm: LLM) -> str:
    return text_of(list(llm.stream_chat([user(QUESTION)])))


async def astream_chat(llm: LLM) -> str:
    return text_of([chunk async for chunk in await llm.astream_chat([user(QUESTION)])])


async def stream_complete(llm: LLM) -> str:
    return text_of(list(llm.stream_complete(QUESTION)))


async def astream_complete(llm: LLM) -> str:
    return text_of([chunk async for chunk in await llm.astream_complete(QUESTION)])


async def query_engine(llm: LLM) -> str:
    return str(await asyncio.to_thread(index().as_query_engine(llm=llm).query, QUESTION))


async def async_query_engine(llm: LLM) -> str:
    return str(await index().as_query_engine(llm=llm).aquery(QUESTION))


async def streaming_query_engine(llm: LLM) -> str:
    response: Any = index().as_query_engine(llm=llm, streaming=True).query(QUESTION)
    return "".join(response.response_gen)


async def engine_of_the_settings(llm: LLM) -> str:
    with settings_llm(llm):
        return str(await index().as_query_engine().aquery(QUESTION))


async def chat_engine(llm: LLM) -> str:
    return str(SimpleChatEngine.from_defaults(llm=llm, memory=memory()).chat(QUESTION))


async def context_chat_engine(llm: LLM) -> str:
    return str(await index().as_chat_engine(llm=llm, chat_mode="context", memory=memory()).achat(QUESTION))


async def streaming_chat_engine(llm: LLM) -> str:
    return "".join(SimpleChatEngine.from_defaults(llm=llm, memory=memory()).stream_chat(QUESTION).response_gen)


def started_agent(llm: LLM, *, streaming: bool = True) -> Any:
    """Start an agent and return its handler."""
    return FunctionAgent(tools=list(TOOLS), llm=llm, streaming=streaming).run("Weather in Bergen?", memory=memory())


async def agent(llm: LLM) -> str:
    return str(await started_agent(llm))


async def agent_without_streams(llm: LLM) -> str:
    return str(await started_agent(llm, streaming=False))


async def structured_predict(llm: LLM) -> str:
    city = llm.structured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
    return city.model_dump_json()


async def astructured_predict(llm: LLM) -> str:
    city = await llm.astructured_predict(City, PromptTemplate("Describe {name}"), name="Bergen")
    return city.model_dump_json()


async def structured_llm(llm: LLM) -> str:
    return str((await llm.as_structured_llm(City).achat([user("Describe Bergen")])).message.content)


async def stream_structured_predict(llm: LLM) -> str:
    parts = list(llm.stream_structured_predict(City, PromptTemplate("Describe {name}"), name="Bergen"))
    return str(parts[-1].model_dump_json())


TALKS: tuple[Surface, ...] = (
    chat, achat, complete, acomplete, stream_chat, astream_chat, stream_complete, astream_complete,
    query_engine, async_query_engine, streaming_query_engine, engine_of_the_settings,
    chat_engine, context_chat_engine, streaming_chat_engine,
)  # fmt: skip
AGENTS: tuple[Surface, ...] = (agent, agent_without_streams)
STRUCTURED: tuple[Surface, ...] = (structured_predict, astructured_predict, structured_llm, stream_structured_predict)
ASYNC: tuple[Surface, ...] = (
    achat, acomplete, astream_chat, astream_complete, async_query_engine, context_chat_engine, astructured_predict,
    structured_llm,
)  # fmt: skip
