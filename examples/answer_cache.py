"""A RAG chain with an answer cache in front of it: what each question cost, and why it was served or not.

Runs offline: a scripted provider on this machine stands in for OpenAI. Leave `base_url` and `api_key` out, and the same
program talks to OpenAI.
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, cached, spend
from tuppence.testing import ProviderServer

PASSAGES = {
    "membership": "Memberships are cancelled at the front desk, until the last day of a month.",
    "open": "The gym is open from 6 to 22 on every day of the week.",
}
QUESTIONS = [
    "How do I cancel my gym membership?",
    "How do I cancel my gym membership?",  # the same
    "How can I cancel my gym membership?",  # the same in other words
    "How can I cancel my gym membership in 3 days?",  # another question
    "When is the gym open?",
]


def retrieve(question: str) -> str:
    print("    retrieving")
    return "\n".join(text for word, text in PASSAGES.items() if word in question)


def chain_with(llm):
    prompt = ChatPromptTemplate.from_template("Answer from the context.\n{context}\n\nQuestion: {question}")
    inputs = {"context": RunnableLambda(retrieve), "question": RunnablePassthrough()}
    return inputs | prompt | llm | StrOutputParser()


def main() -> None:
    corpus = {"version": "november"}
    results = []
    with ProviderServer() as server:
        server.model("gpt-4o-mini", replies="At the front desk, until the last day of the month.")
        llm = ChatTuppence(
            tiers=[ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="none")], ledger="spent.sqlite"
        )
        chain = cached(
            chain_with(llm), corpus_version=lambda: corpus["version"], cache="semantic", ledger="spent.sqlite",
            on_result=results.append,
        )  # fmt: skip

        def ask(question: str) -> None:
            print(question)
            with spend() as spent:
                chain.invoke(question)
            print(f"    ${spent.usd:.8f}  {results[-1].tier}: {results[-1].decision.cache}")

        for question in QUESTIONS:
            ask(question)
        print("\nThe documents change, and with them the corpus version:")
        corpus["version"] = "december"
        ask(QUESTIONS[0])
        assert llm.ledger is not None
        llm.ledger.flush()
    print("\ntuppence report --ledger spent.sqlite   shows what the cache saved")


if __name__ == "__main__":
    main()
