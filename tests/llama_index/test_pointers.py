"""Pointers in LlamaIndex: through a prompt's output parser, in sync and async, and wrong ones."""

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.output_parsers.base import OutputParserException
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import PrivateAttr

from llama_index_tuppence.pointers import PointerParser, SalvagingPointerParser
from tuppence.prune.output import numbered_sentences

NODES = [
    NodeWithScore(node=TextNode(text="Holidays are 28 days a year. They are asked for in writing.")),
    NodeWithScore(node=TextNode(text="Trains are booked by the office. Flights are not paid for.")),
]


class Scripted(CustomLLM):
    """Gives one answer, and keeps the prompt."""

    answer: str
    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._asked.append(prompt)
        return CompletionResponse(text=self.answer)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


def parser() -> PointerParser:
    return PointerParser.from_nodes(NODES, numbered=numbered_sentences)


PROMPT = "{sources}\n\n{question}"


def test_a_prompt_that_carries_the_parser_says_how_to_answer() -> None:
    """What the model gives goes to the parser."""
    llm, reader = Scripted(answer="[2:2]"), parser()
    prompt = PromptTemplate(PROMPT, output_parser=reader)
    told = llm.predict(prompt, sources=reader.sources.rendered, question="Are flights paid for?")
    assert str(reader.parse(told)) == "Flights are not paid for."
    assert llm._asked[0].endswith(reader.sources.instructions)


def test_a_prediction_of_a_model_that_carries_it_is_the_text_itself() -> None:
    """The prompt has the numbered sources, and the instructions once."""
    reader = parser()
    llm = Scripted(answer="[2:2]", output_parser=reader)
    told = llm.predict(PromptTemplate(PROMPT), sources=reader.sources.rendered, question="Are flights paid for?")
    assert told == "Flights are not paid for."
    assert llm._asked[0].count(reader.sources.instructions) == 1
    assert reader.sources.rendered in llm._asked[0]
    assert llm._asked[0].endswith(reader.sources.instructions)


async def test_async_gives_the_same() -> None:
    """The parser does not wait for anything."""
    reader = parser()
    llm = Scripted(answer="[1:1-2]", output_parser=reader)
    told = await llm.apredict(PromptTemplate(PROMPT), sources=reader.sources.rendered, question="?")
    assert told == "Holidays are 28 days a year. They are asked for in writing."


def test_instructions_reach_a_chat() -> None:
    """Behind the last message."""
    (message,) = parser().format_messages([ChatMessage("How many days?")])
    assert message.content == f"How many days?\n\n{parser().sources.instructions}"


def test_a_wrong_pointer_is_llama_index_own_exception() -> None:
    """With what to tell the model."""
    reader = parser()
    llm = Scripted(answer="[3:1]", output_parser=reader)
    with pytest.raises(OutputParserException, match="There are sources 1 to 2"):
        llm.predict(PromptTemplate(PROMPT), sources=reader.sources.rendered, question="?")


def test_salvaging_keeps_what_is_right() -> None:
    """And names what was left out."""
    expanded = SalvagingPointerParser(parser().sources).parse("[3:1] [1:1]")
    assert str(expanded) == "Holidays are 28 days a year."
    assert expanded.dropped == ("[3:1] names source 3, which is not there",)
