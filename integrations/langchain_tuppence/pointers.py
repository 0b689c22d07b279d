"""Answers that point at numbered documents, for LangChain: the model writes `[2]`, an output parser gives the text.

A parser belongs to the documents of one question; make one for each. In a stream it waits for the answer's end, since a
pointer may be cut anywhere between two chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from langchain_core.documents import Document
from langchain_core.exceptions import OutputParserException
from langchain_core.output_parsers import BaseOutputParser
from pydantic import InstanceOf

from tuppence.prune.output import AnswerError, Expanded, NumberedSources, expand, numbered_passages, salvage

Numbering = Callable[[Sequence[str]], NumberedSources]


class PointerParser(BaseOutputParser[Expanded]):
    """Read pointers, and raise `OutputParserException` for a wrong one.

    The end of a chain: `prompt | llm | PointerParser(sources=sources)`. Put `sources.rendered` into the prompt, and
    `get_format_instructions()` behind it. The exception carries the answer and what to tell the model, so that retries
    and fixing parsers work.
    """

    sources: InstanceOf[NumberedSources]

    @classmethod
    def from_documents(cls, documents: Sequence[Document], *, numbered: Numbering = numbered_passages) -> Self:
        """Number the texts of documents; a quote's `source` is the place of its document, counted from 1."""
        return cls(sources=numbered([document.page_content for document in documents]))

    def parse(self, text: str) -> Expanded:
        try:
            return expand(self.sources, text)
        except AnswerError as error:
            raise OutputParserException(
                str(error), observation=str(error), llm_output=text, send_to_llm=True
            ) from error

    def get_format_instructions(self) -> str:
        return self.sources.instructions

    @property
    def _type(self) -> str:
        return "tuppence_pointers"


class SalvagingPointerParser(PointerParser):
    """Read pointers, and leave out what is wrong with them: the result names it in `dropped`."""

    def parse(self, text: str) -> Expanded:
        return salvage(self.sources, text)
