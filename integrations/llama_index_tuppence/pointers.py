"""Answers that point at numbered nodes, for LlamaIndex: the model writes `[2]`, an output parser gives the text.

A parser belongs to the nodes of one question; make one for each. LlamaIndex itself refuses output parsers in streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from llama_index.core.output_parsers.base import OutputParserException
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.core.types import BaseOutputParser

from tuppence.prune.output import AnswerError, Expanded, NumberedSources, expand, numbered_passages, salvage

Numbering = Callable[[Sequence[str]], NumberedSources]


class PointerParser(BaseOutputParser):
    """Read pointers, and raise LlamaIndex's `OutputParserException` for a wrong one.

    Put `sources.rendered` into the prompt. A prompt that carries the parser (`PromptTemplate(output_parser=...)`) gets
    the instructions, and its answer goes to `parse`; LlamaIndex parses by itself where the LLM carries it, and then
    gives text: the text that is pointed at.
    """

    def __init__(self, sources: NumberedSources) -> None:
        self.sources = sources

    @classmethod
    def from_nodes(cls, nodes: Sequence[NodeWithScore], *, numbered: Numbering = numbered_passages) -> Self:
        """Number the texts of nodes; a quote's `source` is the place of its node, counted from 1."""
        return cls(numbered([node.node.get_content(MetadataMode.NONE) for node in nodes]))

    def parse(self, output: str) -> Expanded:
        try:
            return expand(self.sources, output)
        except AnswerError as error:
            raise OutputParserException(str(error)) from error

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.sources.instructions}"


class SalvagingPointerParser(PointerParser):
    """Read pointers, and leave out what is wrong with them: the result names it in `dropped`."""

    def parse(self, output: str) -> Expanded:
        return salvage(self.sources, output)
