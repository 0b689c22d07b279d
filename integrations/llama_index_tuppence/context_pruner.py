"""Retrieved nodes, shortened to the sentences that a question needs, as a postprocessor of any query engine.

An index holds its nodes in memory and hands out the very objects: they are never changed, what is returned are copies.
Whatever breaks, the nodes go on as they came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, NodeWithScore, QueryBundle, TextNode
from pydantic import ConfigDict, Field, PrivateAttr

from tuppence.errors import ConfigError
from tuppence.failures import is_control_flow
from tuppence.policy import switched_off
from tuppence.prune.audit import DEFAULT_MODEL, Audit
from tuppence.prune.notes import METADATA, TITLE_KEYS, note_on, tell_spends, title_in
from tuppence.prune.passages import KeptPassage, Passage, PassagePruner, Scorer

log = logging.getLogger("tuppence.prune")


class ContextPruner(BaseNodePostprocessor):
    """Keep the sentences that a question needs: `node_postprocessors=[ContextPruner(share=0.3)]`.

    Options are those of `tuppence.prune.passages.PassagePruner`, or give one as `pruner`. A node keeps its id, score,
    relationships, metadata and place; `start_char_idx` and `end_char_idx` move to the first and last kept sentence.
    `metadata["tuppence"]` holds `spans` (where the kept pieces stood in the node's text), `cut` (start, end and text of
    what was left out) and the `audit` of the whole call. Nodes with pictures or sound, or without text, stay as they
    are, and so do those of which nothing is cut. `on_audit` is called with each call's `Audit`, in the thread that
    prunes.
    """

    max_tokens: int | None = None
    share: float | None = None
    keep_probability: float | None = None
    model: str = DEFAULT_MODEL
    """Whose tokens are counted."""
    title_keys: tuple[str, ...] = TITLE_KEYS
    """Keys of the metadata that may hold a title, the first that does is taken: it is counted with the text, and tells
    what the text is about."""
    on_audit: Callable[[Audit], object] | None = Field(default=None, exclude=True, repr=False)

    model_config = ConfigDict(extra="forbid")

    _pruner: PassagePruner = PrivateAttr()

    def __init__(
        self, *, max_tokens: int | None = None, share: float | None = None, keep_probability: float | None = None,
        model: str = DEFAULT_MODEL, scorer: Scorer | None = None, pruner: PassagePruner | None = None,
        title_keys: Sequence[str] = TITLE_KEYS, on_audit: Callable[[Audit], object] | None = None, **llama_index: Any,
    ) -> None:  # fmt: skip
        if isinstance(title_keys, str):
            raise ConfigError(f"title_keys is {title_keys!r}: give a list of keys, such as [{title_keys!r}]")
        super().__init__(
            max_tokens=max_tokens, share=share, keep_probability=keep_probability, model=model,
            title_keys=tuple(title_keys), on_audit=on_audit, **llama_index,
        )  # fmt: skip
        if pruner is not None and (max_tokens, share, keep_probability, scorer) != (None, None, None, None):
            raise ConfigError("a pruner is given, and options for one beside it: give the options to the pruner")
        if pruner is not None and not callable(getattr(pruner, "prune", None)):
            raise ConfigError(f"pruner is {pruner!r}: give a PassagePruner, or its options alone")
        self._pruner = pruner or PassagePruner(
            max_tokens=max_tokens, share=share, keep_probability=keep_probability, scorer=scorer, model=model
        )

    @classmethod
    def class_name(cls) -> str:
        return "ContextPruner"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question = "" if query_bundle is None else query_bundle.query_str
        if not question.strip() or switched_off():
            return nodes
        try:
            return self._pruned(nodes, question)
        except Exception as error:
            if is_control_flow(error):
                raise
            # Its message may quote a node.
            log.warning("nodes go on as they came: %s", type(error).__name__)
            return nodes

    def _pruned(self, nodes: list[NodeWithScore], question: str) -> list[NodeWithScore]:
        texts = [place for place, one in enumerate(nodes) if _is_text(one.node)]
        pruned = self._pruner.prune(question, [self._passage(nodes[place]) for place in texts])
        kept = {texts[one.index]: one for one in pruned.passages}
        others = set(range(len(nodes))) - set(texts)
        shortened = [
            _shortened(one, kept[place], pruned.audit) if place in kept else one
            for place, one in enumerate(nodes) if place in kept or place in others
        ]  # fmt: skip
        if self.on_audit is not None:
            self.on_audit(pruned.audit)
        # Last: what goes on as it came has saved nothing.
        tell_spends(pruned.audit)
        return shortened

    def _passage(self, scored: NodeWithScore) -> Passage:
        node = scored.node
        return Passage(_text(node), node.node_id, title_in(node.metadata, self.title_keys), scored.score)


def _text(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.NONE)


def _is_text(node: BaseNode) -> bool:
    """Say whether a node is text and nothing else."""
    beside = ("image_resource", "audio_resource", "video_resource")
    if isinstance(node, ImageNode) or any(getattr(node, name, None) for name in beside):
        return False
    return bool(_text(node).strip())


def _shortened(scored: NodeWithScore, kept: KeptPassage, audit: Audit) -> NodeWithScore:
    """Copy a node with what is left of its text; nothing that is done to the copy reaches the original."""
    node = scored.node
    note = note_on(_text(node), kept, audit)
    if not note["cut"]:
        return scored
    copy = node.model_copy(
        update={
            "metadata": {**node.metadata, METADATA: note},
            "relationships": dict(node.relationships),
            "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, METADATA],
            "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, METADATA],
        }
    )
    copy.set_content(kept.text)
    start = getattr(node, "start_char_idx", None)
    if isinstance(copy, TextNode) and start is not None and kept.spans:
        copy.start_char_idx, copy.end_char_idx = start + kept.spans[0].start, start + kept.spans[-1].end
    return scored.model_copy(update={"node": copy})
