"""Pointers in a LangChain chain: whole, in a stream, in async, wrong ones, and a retry."""

import pickle

import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from langchain_tuppence.pointers import PointerParser, SalvagingPointerParser
from tuppence.prune.output import Expanded, numbered_sentences

DOCUMENTS = [
    Document("Holidays are 28 days a year. They are asked for in writing."),
    Document("Trains are booked by the office. Flights are not paid for.", metadata={"source": "travel.md"}),
]
PROMPT = ChatPromptTemplate.from_messages([("user", "{sources}\n\n{form}\n\n{question}")])


def chain(parser: PointerParser, *answers: str) -> Runnable[str, Expanded]:
    model = GenericFakeChatModel(messages=iter([AIMessage(answer) for answer in answers]))
    told = {"sources": parser.sources.rendered, "form": parser.get_format_instructions()}
    return (lambda question: {**told, "question": question}) | PROMPT | model | parser


def parser() -> PointerParser:
    return PointerParser.from_documents(DOCUMENTS, numbered=numbered_sentences)


def test_a_chain_ends_in_the_text_that_is_pointed_at() -> None:
    """With the document that it is from."""
    expanded = chain(parser(), "[2:2]").invoke("Are flights paid for?")
    assert str(expanded) == "Flights are not paid for."
    assert DOCUMENTS[expanded.quotes[0].source - 1].metadata == {"source": "travel.md"}


def test_a_stream_that_cuts_a_pointer_in_two_gives_it_once_whole() -> None:
    """The fake model streams word by word: `[1:1, 2:2]` comes in three pieces."""
    pieces = list(chain(parser(), "[1:1, 2:2]").stream("?"))
    assert [str(piece) for piece in pieces] == ["Holidays are 28 days a year.\nFlights are not paid for."]


async def test_async_gives_the_same() -> None:
    """Asked and streamed."""
    assert str(await chain(parser(), "[1:2]").ainvoke("?")) == "They are asked for in writing."
    pieces = [str(piece) async for piece in chain(parser(), "[1:1, 1:2]").astream("?")]
    assert pieces == ["Holidays are 28 days a year.\nThey are asked for in writing."]


@pytest.mark.parametrize("answer", ["[3:1]", "[1:7]", "28 days"])
def test_a_wrong_pointer_is_the_exception_that_fixing_parsers_catch(answer: str) -> None:
    """With the answer, and with what to tell the model."""
    with pytest.raises(OutputParserException) as raised:
        chain(parser(), answer).invoke("?")
    assert raised.value.llm_output == answer
    assert raised.value.send_to_llm
    assert "There are sources 1 to 2." in str(raised.value.observation)


def test_a_chain_that_retries_asks_again() -> None:
    """LangChain's own retry, for this exception alone."""
    retried = chain(parser(), "[9]", "[1:1]").with_retry(
        retry_if_exception_type=(OutputParserException,), wait_exponential_jitter=False, stop_after_attempt=2
    )
    assert str(retried.invoke("?")) == "Holidays are 28 days a year."


def test_salvaging_keeps_what_is_right() -> None:
    """And names what was left out."""
    salvaging = SalvagingPointerParser(sources=parser().sources)
    expanded = chain(salvaging, "[9] [1:1]").invoke("?")
    assert str(expanded) == "Holidays are 28 days a year."
    assert expanded.dropped == ("[9] names source 9, which is not there",)


def test_a_parser_travels() -> None:
    """Chains are pickled and described."""
    again = pickle.loads(pickle.dumps(parser()))
    assert again.parse("[1:1]") == parser().parse("[1:1]")
    assert again.OutputType is Expanded
