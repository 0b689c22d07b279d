"""A LlamaIndex query engine, before and after its added line: how many tokens go out, and whether the answer is there.

Runs offline: a scripted provider on this machine stands in for OpenAI. Leave `api_base` and `api_key` out, and the same
program talks to OpenAI.
"""

from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike

from llama_index_tuppence import ContextPruner
from tuppence.testing import ProviderServer
from tuppence.tokens import count_tokens

HANDBOOK = {
    "Payments": "We send invoices by e-mail on the first working day of the month. Invoices are due 30 days after the "
    "end of the month in which the goods were delivered. Payments are made by bank transfer. The bank's details stand "
    "at the foot of each invoice. Cheques have not been accepted since 2019.",
    "Opening hours": "The office is in Mill Street, opposite the old post office. It is open from 9 to 17 on working "
    "days, and closed on public holidays. Parking is behind the house. The canteen serves lunch from 12 to 14.",
    "Returns": "Goods are returned to the warehouse in Porto, never to the office. A return needs a number, which the "
    "portal gives out. Refunds take 5 working days from the day on which the goods arrive. Opened packages are "
    "refunded at 80 percent.",
    "Deliveries": "Deliveries leave the warehouse every morning at 6. Islands are served on Tuesdays and Fridays. A "
    "driver rings twice, and then leaves a card. Pallets are collected with the next delivery.",
}
QUESTIONS = {
    "When are invoices due?": "30 days after",
    "How long do refunds take?": "5 working days",
    "When is the office open?": "from 9 to 17",
}


class Handbook(BaseRetriever):
    """Finds everything, as a generous retriever does."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        nodes = [TextNode(text=text, metadata={"title": title}) for title, text in HANDBOOK.items()]
        return [NodeWithScore(node=node, score=1.0) for node in nodes]


def main() -> None:
    with ProviderServer() as server:
        llm = OpenAILike(model="gpt-4o-mini", api_base=server.base_url, api_key="none", is_chat_model=True)
        before = RetrieverQueryEngine.from_args(Handbook(), llm=llm)
        pruned = {"node_postprocessors": [ContextPruner(share=0.3)]}  # the added line
        after = RetrieverQueryEngine.from_args(Handbook(), llm=llm, **pruned)
        for question, answer in QUESTIONS.items():
            sizes = []
            for engine in (before, after):
                engine.query(question)
                prompt = "\n".join(message["content"] for message in server.served[-1].request["messages"])
                sizes.append(count_tokens(prompt, "gpt-4o-mini").tokens)
            kept = "is still there" if answer in prompt else "is lost"
            print(f"{question:28} {sizes[0]:4} -> {sizes[1]:3} tokens, '{answer}' {kept}")


if __name__ == "__main__":
    main()
