"""A raw OpenAI client with two tiers and a cache, before a scripted provider: no key and no network."""

from __future__ import annotations

from typing import Any

import openai

from tuppence.clients import result_of, wrap
from tuppence.context import spend
from tuppence.prices import usd
from tuppence.testing import Fault, ProviderServer


def main() -> None:
    with ProviderServer() as provider:
        provider.model("gpt-4o-mini", replies=["Forty-two.", "", Fault(status=500), "Two pence."])
        provider.model("gpt-4o", replies="Because six times seven is forty-two.")
        client = wrap(
            openai.OpenAI(base_url=provider.base_url, api_key="not-a-key"),
            tiers=["gpt-4o-mini", "gpt-4o"],
            cache=True,
            ledger="spent.sqlite",
        )
        with spend() as spent:
            for question in ("What is six by seven?", "Why?", "How much is tea?", "What is six by seven?"):
                ask(client, question)
        print(f"\n{spent.calls} calls, {len(spent.attempts)} attempts, {spent.usd:f} USD")
        print(f"the provider answered {len(provider.served)} requests")


def ask(client: openai.OpenAI, question: str) -> None:
    """Ask, and print what happened."""
    messages: list[Any] = [{"role": "user", "content": question}]
    completion = client.chat.completions.create(model="auto", messages=messages)
    print(f"\n{question}\n  {completion.choices[0].message.content}")
    for attempt in result_of(completion).attempts:
        price = "unpriced" if attempt.pico_usd is None else f"{usd(attempt.pico_usd):f} USD"
        print(f"  {attempt.tier}: {attempt.cause}, {attempt.outcome}, {price}")


if __name__ == "__main__":
    main()
