"""Responses of query engines as JSON and back, with their source nodes.

Nothing is unpickled and no class is looked up by a stored name: nodes come back as one of LlamaIndex's own kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.response.schema import Response
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    Node,
    NodeWithScore,
    TextNode,
)

from tuppence.answers import Unstorable

_NODES: Mapping[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (Document, ImageDocument, ImageNode, IndexNode, Node, TextNode)
}
_PIECE = re.compile(r"\S*\s*")
# What LlamaIndex's synthesizers say where nothing was retrieved.
_NOTHING_FOUND = "Empty Response"


@dataclass(frozen=True, slots=True)
class Head:
    """What of a streamed response is known before its first word."""

    source_nodes: list[NodeWithScore]
    metadata: dict[str, Any] | None


class LlamaIndexForm:
    """The `Form` of query engines' responses; a stream is its head, then its words."""

    def text(self, output: Any) -> str:
        """Return the words of an answer; "nothing was retrieved" is none to keep."""
        text = output.response or ""
        return "" if text == _NOTHING_FOUND and not output.source_nodes else text

    def joined(self, pieces: list[Any]) -> Any:
        head, *words = pieces
        return Response("".join(words), source_nodes=head.source_nodes, metadata=head.metadata)

    def pieces(self, output: Any) -> Iterable[Any]:
        words = [piece for piece in _PIECE.findall(output.response) if piece]
        return (Head(output.source_nodes, output.metadata), *words)

    def freeze(self, output: Any) -> Any:
        if type(output) is not Response:
            raise Unstorable(output)
        return {
            "text": output.response, "nodes": [_frozen(one) for one in output.source_nodes],
            "metadata": _as_json(output.metadata),
        }  # fmt: skip

    def thaw(self, frozen: Any) -> Any:
        return Response(
            frozen["text"], source_nodes=[_thawed(*one) for one in frozen["nodes"]], metadata=frozen["metadata"]
        )


def _frozen(scored: NodeWithScore) -> list[Any]:
    node = scored.node
    kind = node.class_name()
    if _NODES.get(kind) is not type(node):
        raise Unstorable(node)
    return [kind, _as_json(node.model_dump()), None if scored.score is None else float(scored.score)]


def _thawed(kind: str, node: Any, score: float | None) -> NodeWithScore:
    return NodeWithScore(node=_NODES[kind].model_validate(node), score=score)


def _as_json(value: Any) -> Any:
    """Return `value` as JSON, the same after reading it back; raises `Unstorable` for what JSON would change."""
    try:
        told = json.loads(json.dumps(value, default=_plain))
    except TypeError:
        raise Unstorable(value) from None
    return told


def _plain(value: Any) -> Any:
    raise Unstorable(value)
