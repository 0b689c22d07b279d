"""The answer cache over Redis: what one program was told, another one knows; exact, and in other words."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from langchain_tuppence import cached
from tuppence.attempts import Result

pytestmark = pytest.mark.services

ASKED, AGAIN = "How do I cancel my gym membership?", "How can I cancel my gym membership?"


class Program:
    """A program with a chain of its own, whose runs are counted, before a Redis that others share."""

    def __init__(self, cache: str) -> None:
        self.runs: list[str] = []
        self.results: list[Result] = []
        self.chain: Any = cached(
            RunnableLambda(self.answer), corpus_version="1", cache=cache, ledger=None, name="faq",
            on_result=self.results.append,
        )  # fmt: skip

    def answer(self, question: str) -> dict[str, Any]:
        self.runs.append(question)
        return {"question": question, "answer": "At the front desk."}


@pytest.fixture(params=["", "semantic:"])
def programs(request: pytest.FixtureRequest, redis_url: str) -> Iterator[tuple[Program, Program]]:
    first, second = Program(f"{request.param}{redis_url}"), Program(f"{request.param}{redis_url}")
    yield first, second
    for one in (first, second):
        one.chain.cache.close()


async def test_another_program_is_served_what_the_first_was_told(programs: tuple[Program, Program]) -> None:
    """By sync and async calls, whole or streamed."""
    first, second = programs
    told = first.chain.invoke(ASKED)
    first.chain.cache.flush()
    assert second.chain.invoke(ASKED) == await second.chain.ainvoke(ASKED) == told
    pieces = list(second.chain.stream(ASKED))
    assert sum(pieces[1:], pieces[0]) == told
    assert second.runs == []


def test_another_programs_question_in_other_words_is_served_where_the_cache_is_semantic(
    programs: tuple[Program, Program],
) -> None:
    first, second = programs
    first.chain.invoke(ASKED)
    first.chain.cache.flush()
    second.chain.invoke(AGAIN)
    is_semantic = hasattr(second.chain.cache, "similar")
    assert second.results[0].tier == ("similar" if is_semantic else "faq")
    assert len(second.runs) == (0 if is_semantic else 1)
