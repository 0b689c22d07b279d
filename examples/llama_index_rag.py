"""A LlamaIndex query engine, before and after its one changed line: who answered, and what it cost.

Runs offline: a scripted provider on this machine stands in for OpenAI, so that the small model's refusal and the
escalation can be seen. Leave `api_base` and `api_key` out, and the same program talks to OpenAI.
"""

from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike

from llama_index_tuppence import TuppenceLLM, spend
from tuppence.testing import ProviderServer

PASSAGES = {
    "invoice": "Invoices are due 30 days after the end of the month in which the goods were delivered.",
    "office": "The office is open from 9 to 17 on working days.",
}
QUESTIONS = ["When is an invoice due?", "When is the office open?", "When is an invoice due?"]


class Passages(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = query_bundle.query_str
        return [
            NodeWithScore(node=TextNode(text=text), score=1.0) for word, text in PASSAGES.items() if word in question
        ]


def main() -> None:
    with ProviderServer() as server:
        server.model("gpt-4o-mini", replies=["I'm sorry, but I can't help with that.", "From 9 to 17."])
        server.model("gpt-4o", replies="Thirty days after the end of the month of delivery.")
        wire = {"api_base": server.base_url, "api_key": "none", "is_chat_model": True}
        small, large = OpenAILike(model="gpt-4o-mini", **wire), OpenAILike(model="gpt-4o", **wire)

        llm = large  # before
        llm = TuppenceLLM(tiers=[small, large], cache=True, ledger="spent.sqlite")  # after

        engine = RetrieverQueryEngine.from_args(Passages(), llm=llm)
        for question in QUESTIONS:
            with spend() as spent:
                answer = engine.query(question)
            path = " -> ".join(f"{a.tier} ({a.outcome})" for a in spent.attempts)
            print(f"{question:28} ${spent.usd:.8f}  {path}\n    {answer}")


if __name__ == "__main__":
    main()
