"""Budgets for each user of a small assistant, before a scripted provider: no key and no network."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, tags, tier
from langchain_tuppence.budgets import BudgetCallbackHandler
from tuppence import Budget, Budgets, token_rate
from tuppence.errors import BudgetExceeded
from tuppence.prices import PriceBook
from tuppence.testing import ProviderServer

SMALL = token_rate(input="1", output="2")
LARGE = token_rate(input="10", output="20")


def main() -> None:
    budgets = Budgets(
        Budget(usd="0.005", per="day", each="user"),
        Budget(usd="0.0042", per="day", each="user", soft=True, name="cheap from here"),
    )
    with ProviderServer() as provider:
        provider.model("small-model", replies="Two pence, I think.")
        provider.model("large-model", replies="Tea is two pence a cup.")
        small, large = (
            ChatOpenAI(base_url=provider.base_url, api_key="not-a-key", model=name, max_tokens=200)
            for name in ("small-model", "large-model")
        )
        llm = ChatTuppence(
            tiers=[tier(small, rate=SMALL), tier(large, rate=LARGE)], budgets=budgets, ledger=None, route="large-model"
        )
        for user, question in (("ann", "What is tea?"), ("ann", "And now?"), ("bob", "What is tea?")):
            with tags(user=user):
                answer = llm.invoke(question)
            print(f"{user}: {answer.text} ({answer.response_metadata['tuppence']['tier']})")
        watch_a_plain_model(large, budgets)
    for one in budgets.standing():
        print(f"{one.counter}: ${one.spent_usd:.5f} spent, ${one.left_usd:.5f} left")


def watch_a_plain_model(model: ChatOpenAI, budgets: Budgets) -> None:
    """Hold a model that is nobody's tier to the same budgets, until it is stopped."""
    book = PriceBook.default().with_overrides({"large-model": LARGE})
    watching = BudgetCallbackHandler(budgets, prices=book)
    try:
        with tags(user="ann"):
            while True:
                model.invoke("Tell me of tea.", config={"callbacks": [watching]})
    except BudgetExceeded as refused:
        print(f"ann: {refused}")


if __name__ == "__main__":
    main()
