"""A node pruner that is set up wrongly says what is wrong, and counts no saving that was none."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_tuppence import ContextPruner, spend
from tuppence.errors import ConfigError
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


class TestMoney:
    def test_nodes_that_go_on_as_they_came_save_nothing(self) -> None:
        """An `on_audit` that breaks undoes the pruning, and the figure with it."""

        def breaking(_audit: Audit) -> None:
            raise ValueError("no room")

        nodes = [NodeWithScore(node=TextNode(text=HARBOUR), score=1.0)]
        with spend() as spent:
            assert ContextPruner(share=0.5, on_audit=breaking).postprocess_nodes(nodes, query_str=QUESTION) == nodes
        assert spent.pruned_tokens == 0
        with spend() as spent:
            (kept,) = ContextPruner(share=0.5).postprocess_nodes(nodes, query_str=QUESTION)
        assert kept.text == "The harbour of Marlow was built in 1850."
        assert spent.pruned_tokens > 0
