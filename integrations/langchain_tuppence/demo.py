"""The demo's LangChain half: a RAG chain as its readers write it, and the same with one line changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnablePassthrough

from langchain_tuppence.chat import ChatTuppence
from langchain_tuppence.spending import SpendCallbackHandler
from tuppence.demo.models import MAX_ANSWER_TOKENS, ModelSpec
from tuppence.demo.stage import PASSAGES, SYSTEM, Chain, Scene

_PROMPT = ChatPromptTemplate.from_messages(
    [("system", SYSTEM), ("user", "Context:\n{context}\n\nQuestion: {question}")],
)


class PassageRetriever(BaseRetriever):
    """The demo's index as a LangChain retriever."""

    index: Any

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        found = self.index.search(query, limit=PASSAGES)
        return [Document(p.text, metadata={"source": p.source, "heading": p.heading}) for p in found]


class LangChainDemo:
    """A `tuppence.demo.stage.Framework`."""

    title = "LangChain"

    def unchanged(self, scene: Scene) -> Chain:
        models = _models(scene)
        llm = models[-1]
        chain = _chain(scene, llm).with_config(
            callbacks=[SpendCallbackHandler(prices=scene.prices, ledger=scene.ledger)]
        )
        return chain.invoke

    def with_tuppence(self, scene: Scene) -> Chain:
        rules, models, options = scene.rules, _models(scene), scene.options
        llm = ChatTuppence(tiers=[rules, *models], cache=True, **options)
        return _chain(scene, llm).invoke


def _chain(scene: Scene, llm: BaseChatModel) -> Runnable[str, str]:
    retriever = PassageRetriever(index=scene.index)
    return {"context": retriever | _joined, "question": RunnablePassthrough()} | _PROMPT | llm | StrOutputParser()


def _joined(documents: Sequence[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def _models(scene: Scene) -> list[BaseChatModel]:
    return [_model(spec) for spec in scene.models]


def _model(spec: ModelSpec) -> BaseChatModel:
    """Make LangChain's own model object; a provider's package is imported only where its key works."""
    said: dict[str, Any] = {"model": spec.model, "temperature": 0, "max_tokens": MAX_ANSWER_TOKENS}
    if spec.provider == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(**said)
    from langchain_openai import ChatOpenAI

    if spec.provider == "local":
        said |= {"base_url": spec.base_url, "api_key": "none"}
    return ChatOpenAI(**said)
