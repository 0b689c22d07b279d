"""The demo's LlamaIndex half: a query engine as its readers write it, and the same with one line changed."""

from __future__ import annotations

from typing import Any

from llama_index.core import ChatPromptTemplate
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.llm import LLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_tuppence.llm import TuppenceLLM
from llama_index_tuppence.spend import SpendCallbackHandler
from tuppence.demo.local_model import CONTEXT_TOKENS
from tuppence.demo.models import MAX_ANSWER_TOKENS, ModelSpec
from tuppence.demo.retrieval import PassageIndex
from tuppence.demo.stage import PASSAGES, SYSTEM, Chain, Scene

_PROMPT = ChatPromptTemplate(
    [
        ChatMessage(SYSTEM, role=MessageRole.SYSTEM),
        ChatMessage("Context:\n{context_str}\n\nQuestion: {query_str}", role=MessageRole.USER),
    ]
)


class PassageRetriever(BaseRetriever):
    """The demo's index as a LlamaIndex retriever."""

    def __init__(self, index: PassageIndex) -> None:
        super().__init__()
        self._index = index

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._index.search(query_bundle.query_str, limit=PASSAGES)
        return [NodeWithScore(node=TextNode(text=p.text, id_=f"{p.source}#{n}")) for n, p in enumerate(found)]


class LlamaIndexDemo:
    """A `tuppence.demo.stage.Framework`."""

    title = "LlamaIndex"

    def unchanged(self, scene: Scene) -> Chain:
        models = _models(scene)
        llm = models[-1]
        engine = _engine(scene, llm)
        # Only now: an engine that is built gives its model the manager of LlamaIndex's global settings.
        llm.callback_manager = CallbackManager([SpendCallbackHandler(prices=scene.prices, ledger=scene.ledger)])
        return engine

    def with_tuppence(self, scene: Scene) -> Chain:
        rules, models, options = scene.rules, _models(scene), scene.options
        llm = TuppenceLLM(tiers=[rules, *models], cache=True, **options)
        return _engine(scene, llm)


def _engine(scene: Scene, llm: LLM) -> Chain:
    retriever = PassageRetriever(scene.index)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, text_qa_template=_PROMPT)
    return lambda question: str(engine.query(question))


def _models(scene: Scene) -> list[LLM]:
    return [_model(spec) for spec in scene.models]


def _model(spec: ModelSpec) -> LLM:
    """Make LlamaIndex's own model object; a provider's package is imported only where its key works."""
    said: dict[str, Any] = {"model": spec.model, "temperature": 0, "max_tokens": MAX_ANSWER_TOKENS}
    if spec.provider == "anthropic":
        from llama_index.llms.anthropic import Anthropic

        return Anthropic(**said)
    if spec.provider == "openai":
        from llama_index.llms.openai import OpenAI

        return OpenAI(**said)
    from llama_index.llms.openai_like import OpenAILike

    local = {"api_base": spec.base_url, "api_key": "none", "is_chat_model": True, "context_window": CONTEXT_TOKENS}
    model: LLM = OpenAILike(**said, **local)
    return model
