"""Retrieved documents, shortened to the sentences that a question needs, wherever LangChain takes a compressor.

The caller's documents are never changed: what is returned are copies, in the same order, which say what was cut of
them. Whatever breaks, the documents go on as they came.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import Field, PrivateAttr

from tuppence.errors import ConfigError, RequestError
from tuppence.failures import is_control_flow
from tuppence.policy import switched_off
from tuppence.prune.audit import DEFAULT_MODEL, Audit
from tuppence.prune.notes import METADATA, TITLE_KEYS, note_on, tell_spends, title_in
from tuppence.prune.passages import KeptPassage, Passage, PassagePruner, Scorer

log = logging.getLogger("tuppence.prune")


class ContextPruner(BaseDocumentCompressor):
    """Keep the sentences that a question needs: `ContextPruner(share=0.3)`, as the compressor of a retriever.

    Options are those of `tuppence.prune.passages.PassagePruner`, or give one as `pruner`. A document keeps its id,
    its metadata and its place; `metadata["tuppence"]` holds `spans` (where the kept pieces stood in `page_content`),
    `cut` (start, end and text of what was left out) and the `audit` of the whole call. Documents of which nothing is
    needed are left out, never all of them; those of which nothing is cut come back as they are. `on_audit` is called
    with each call's `Audit`, in the thread that prunes.
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

    _pruner: PassagePruner = PrivateAttr()

    def __init__(
        self, *, max_tokens: int | None = None, share: float | None = None, keep_probability: float | None = None,
        model: str = DEFAULT_MODEL, scorer: Scorer | None = None, pruner: PassagePruner | None = None,
        title_keys: Sequence[str] = TITLE_KEYS, on_audit: Callable[[Audit], object] | None = None,
    ) -> None:  # fmt: skip
        if isinstance(title_keys, str):
            raise ConfigError(f"title_keys is {title_keys!r}: give a list of keys, such as [{title_keys!r}]")
        super().__init__(
            max_tokens=max_tokens, share=share, keep_probability=keep_probability, model=model,
            title_keys=tuple(title_keys), on_audit=on_audit,
        )  # fmt: skip
        if pruner is not None and (max_tokens, share, keep_probability, scorer) != (None, None, None, None):
            raise ConfigError("a pruner is given, and options for one beside it: give the options to the pruner")
        if pruner is not None and not callable(getattr(pruner, "prune", None)):
            raise ConfigError(f"pruner is {pruner!r}: give a PassagePruner, or its options alone")
        self._pruner = pruner or PassagePruner(
            max_tokens=max_tokens, share=share, keep_probability=keep_probability, scorer=scorer, model=model
        )

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Return what of `documents` a question needs. The async form does the same in a thread."""
        if switched_off():
            return documents
        try:
            pruned = self._pruner.prune(query, [self._passage(one) for one in documents])
            shortened = [_shortened(documents[one.index], one, pruned.audit) for one in pruned.passages]
            if self.on_audit is not None:
                self.on_audit(pruned.audit)
        except Exception as error:
            if is_control_flow(error):
                raise
            # Its message may quote a document.
            log.warning("documents go on as they came: %s", type(error).__name__)
            return documents
        # Last: what goes on as it came has saved nothing.
        tell_spends(pruned.audit)
        return shortened

    def as_runnable(
        self, *, documents: str = "context", question: str = "question"
    ) -> Runnable[Mapping[str, Any], Sequence[Document]]:
        """Return the runnable that takes a dict with both and returns the shortened documents.

        The keys are those of LangChain's own RAG chains, so that one step is added to such a chain:
        `{"context": retriever, "question": RunnablePassthrough()} | RunnablePassthrough.assign(context=runnable)`.
        Raises `RequestError` where the dict holds something else.
        """

        def prune(given: Mapping[str, Any]) -> Sequence[Document]:
            return self.compress_documents(*_parted(given, documents, question))

        async def aprune(given: Mapping[str, Any]) -> Sequence[Document]:
            return await self.acompress_documents(*_parted(given, documents, question))

        return RunnableLambda(prune, afunc=aprune, name=type(self).__name__)

    def _passage(self, document: Document) -> Passage:
        title, score = title_in(document.metadata, self.title_keys), _score(document.metadata)
        return Passage(document.page_content, document.id or "", title, score)


def _score(metadata: Mapping[str, Any]) -> float | None:
    """Return what a reranker wrote into the metadata: LangChain's do under this one name."""
    score = metadata.get("relevance_score")
    return float(score) if isinstance(score, int | float) else None


def _shortened(document: Document, kept: KeptPassage, audit: Audit) -> Document:
    note = note_on(document.page_content, kept, audit)
    if not note["cut"]:
        return document
    metadata = {**document.metadata, METADATA: note}
    return document.model_copy(update={"page_content": kept.text, "metadata": metadata})


def _parted(given: Any, documents: str, question: str) -> tuple[Sequence[Document], str]:
    """Take documents and question out of what a chain hands on."""
    if not isinstance(given, Mapping):
        raise RequestError(
            f"the chain hands on a {type(given).__name__}: give the pruner a dict that holds the retrieved documents "
            f"as {documents!r} and the question as {question!r}"
        )
    found, asked = given.get(documents), given.get(question)
    if not isinstance(found, Sequence) or not all(isinstance(one, Document) for one in found):
        raise RequestError(
            f"{documents!r} is to hold the retrieved documents, but {_seen(given, documents)}: put the pruner before "
            "the step that joins them to text, and name their key as as_runnable(documents='...')"
        )
    if not isinstance(asked, str):
        raise RequestError(
            f"{question!r} is to hold the question's text, but {_seen(given, question)}: name its key as "
            "as_runnable(question='...')"
        )
    return found, asked


def _seen(given: Mapping[str, Any], key: str) -> str:
    if key in given:
        held = given[key]
        kinds = {type(one).__name__ for one in held} if isinstance(held, list) else ()
        of = f" of {', '.join(sorted(kinds))}" if kinds else ""
        return f"it holds a {type(held).__name__}{of}"
    return f"the chain hands on {sorted(map(str, given))}"
