"""A LangChain RAG chain, before and after its one added line: how many tokens go out, and whether the answer is there.

Runs offline: a scripted provider on this machine stands in for OpenAI. Leave `base_url` and `api_key` out, and the same
program talks to OpenAI.
"""

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

from langchain_tuppence import ContextPruner
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


def retrieve(question: str) -> list[Document]:
    """Find everything, as a generous retriever does."""
    return [Document(text, id=title, metadata={"title": title}) for title, text in HANDBOOK.items()]


def joined(given: dict) -> str:
    return "\n\n".join(document.page_content for document in given["context"])


def chain_with(llm, pruned):
    inputs = {"context": RunnableLambda(retrieve), "question": RunnablePassthrough()}
    prompt = ChatPromptTemplate.from_template("Answer from the context.\n{context}\n\nQuestion: {question}")
    return inputs | pruned | RunnablePassthrough.assign(context=joined) | prompt | llm


def main() -> None:
    with ProviderServer() as server:
        llm = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="none")
        before = chain_with(llm, RunnablePassthrough())
        pruned = RunnablePassthrough.assign(context=ContextPruner(share=0.3).as_runnable())  # the added line
        after = chain_with(llm, pruned)
        for question, answer in QUESTIONS.items():
            sizes = []
            for chain in (before, after):
                chain.invoke(question)
                prompt = server.served[-1].request["messages"][-1]["content"]
                sizes.append(count_tokens(prompt, "gpt-4o-mini").tokens)
            kept = "is still there" if answer in prompt else "is lost"
            print(f"{question:28} {sizes[0]:4} -> {sizes[1]:3} tokens, '{answer}' {kept}")


if __name__ == "__main__":
    main()
