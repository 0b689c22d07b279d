"""A LangChain RAG chain, before and after its one changed line: who answered, and what it cost.

Runs offline: a scripted provider on this machine stands in for OpenAI, so that the small model's refusal and the
escalation can be seen. Leave `base_url` and `api_key` out, and the same program talks to OpenAI.
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, function_tier, spend
from tuppence.testing import ProviderServer

PASSAGES = {
    "invoice": "Invoices are due 30 days after the end of the month in which the goods were delivered.",
    "hours": "The office is open from 9 to 17 on working days.",
}
QUESTIONS = ["When is an invoice due?", "When is the office open?", "When is an invoice due?", "What is 6 times 7?"]


def retrieve(question: str) -> str:
    return "\n".join(text for word, text in PASSAGES.items() if word in question) or "\n".join(PASSAGES.values())


def sums(request) -> str | None:
    """Answer multiplications without a model; decline everything else."""
    words = request.question.rstrip("?").split("Question: ")[-1].split()
    numbers = [int(word) for word in words if word.isdigit()]
    return str(numbers[0] * numbers[1]) if "times" in words and len(numbers) == 2 else None


def chain_with(llm):
    prompt = ChatPromptTemplate.from_template("Answer from the context.\n{context}\n\nQuestion: {question}")
    inputs = {"context": RunnableLambda(retrieve), "question": RunnablePassthrough()}
    return inputs | prompt | llm | StrOutputParser()


def main() -> None:
    with ProviderServer() as server:
        server.model("gpt-4o-mini", replies=["I'm sorry, but I can't help with that.", "From 9 to 17."])
        server.model("gpt-4o", replies="Thirty days after the end of the month of delivery.")
        small = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="none")
        large = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="none")

        llm = large  # before
        llm = ChatTuppence(
            tiers=[function_tier("sums", sums), small, large], cache=True, ledger="spent.sqlite"
        )  # after

        chain = chain_with(llm)
        for question in QUESTIONS:
            with spend() as spent:
                answer = chain.invoke(question)
            path = " -> ".join(f"{a.tier} ({a.outcome})" for a in spent.attempts)
            print(f"{question:28} ${spent.usd:.8f}  {path}\n    {answer}")
        assert llm.ledger is not None
        llm.ledger.flush()
    print("\ntuppence report --ledger spent.sqlite --by tier,cause   shows the same, added up")


if __name__ == "__main__":
    main()
