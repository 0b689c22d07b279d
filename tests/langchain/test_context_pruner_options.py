"""A document pruner that is set up or fed wrongly says what is wrong, and counts no saving that was none."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document

from langchain_tuppence import ContextPruner, spend
from tuppence.errors import ConfigError, RequestError
from tuppence.prune.audit import Audit

QUESTION = "When was the harbour of Marlow built?"
HARBOUR = "Our fleet has five boats. The harbour of Marlow was built in 1850. Tea is served on board."


class TestOptions:
    @pytest.mark.parametrize("option", [{"title_keys": "title"}, {"pruner": "strict"}, {"scorer": "bm25"}])
    def test_what_cannot_work_is_refused_when_it_is_made(self, option: dict[str, Any]) -> None:
        """A text is no list of keys, and a name is no pruner."""
        (name,) = option
        with pytest.raises(ConfigError, match=name):
            ContextPruner(**option)


class TestWhatAChainHandsOn:
    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("a question", "hands on a str"),
            ({"context": ["a text"], "question": QUESTION}, "holds a list of str"),
            ({"context": [Document(HARBOUR), None], "question": QUESTION}, "holds a list of Document, NoneType"),
            ({"context": "a text", "question": QUESTION}, "holds a str"),
            ({"context": [], "question": ["a", "list"]}, "holds a list of str"),
        ],
    )
    def test_what_is_no_retrieval_is_named(self, given: Any, told: str) -> None:
        """By what stands there, not by an attribute that it lacks."""
        with pytest.raises(RequestError, match=told):
            ContextPruner().as_runnable().invoke(given)


class TestMoney:
    def test_documents_that_go_on_as_they_came_save_nothing(self) -> None:
        """An `on_audit` that breaks undoes the pruning, and the figure with it."""

        def breaking(_audit: Audit) -> None:
            raise ValueError("no room")

        documents = [Document(HARBOUR)]
        with spend() as spent:
            assert ContextPruner(share=0.5, on_audit=breaking).compress_documents(documents, QUESTION) == documents
        assert spent.pruned_tokens == 0
        with spend() as spent:
            (kept,) = ContextPruner(share=0.5).compress_documents(documents, QUESTION)
        assert kept.page_content == "The harbour of Marlow was built in 1850."
        assert spent.pruned_tokens > 0
