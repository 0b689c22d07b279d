"""`wrap`: an SDK client that asks the cheapest tier whose answer is good enough, and is still that client.

The wrapped client is a copy of the same class whose `post` method goes through the flow; the one that was given
stays as it is. What is no chat, response, message or embedding passes through untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from tuppence.assembly import (
    BudgetsOption,
    CacheOption,
    LedgerOption,
    LimitsOption,
    PrefixOption,
    RecordOption,
    open_budgets,
    open_cache,
    open_ledger,
    open_limits,
    open_planner,
    open_recorder,
    open_shape,
)
from tuppence.checks import default_check
from tuppence.clients.desk import AUTO, Desk, Setup
from tuppence.clients.sdk import is_async, twin_of
from tuppence.clients.tiers import Prices, Tiers, addresses_digest, bench, ladder, price_book, unwrapped
from tuppence.effects import Check, Route, Shaper
from tuppence.errors import ConfigError
from tuppence.policy import Mode, OnExhausted, Policy, Retries
from tuppence.tiers import Tier

__all__ = ["AUTO", "wrap"]

C = TypeVar("C")

_DEFAULT_CHECK = default_check()
# Stands for the model that each call names, where there are no tiers.
_NO_TIERS = (Tier("none"),)


def wrap(
    client: C, *, tiers: Tiers | None = None, judges: Tiers = (), route: Route | None = None,
    guards: Sequence[Route] = (), shape: Sequence[Shaper] = (), check: Check | None = _DEFAULT_CHECK,
    threshold: float = 0.5, cache: CacheOption = None, ledger: LedgerOption = True,
    retries: Retries | int | None = None, max_usd_per_call: Decimal | str | float | None = None,
    on_exhausted: OnExhausted = "best_draft", baseline: str = "", mode: Mode = "optimise", version: str = "",
    prices: Prices = None, prompt_cache: PrefixOption = None, record: RecordOption = None, limits: LimitsOption = None,
    budgets: BudgetsOption = None,
) -> C:  # fmt: skip
    """Return `client` with a policy: `wrap(openai.OpenAI(), tiers=["gpt-4o-mini", "gpt-4o"])`.

    `tiers`, cheapest first, are model names, `via(other_client, model)`, `Tier`s and functions, or names to such.
    `judges` are the like, and only checks ask them: `judges={"judge": "gpt-4.1"}, check=judged_by("judge")`.

    With tiers, `model="auto"` leaves the choice to the policy, a tier's name asks that tier alone, and any other model
    is asked as it is; every call is accounted. Without tiers each call's model is its only tier.

    The SDK's own retries are off in tracked calls: `retries` says how often. Exceptions are the SDK's. `result_of`
    tells how an answer came about. Raises `ConfigError` for options that cannot work.
    """
    if unwrapped(client) is not client:
        raise ConfigError("the client is wrapped already: wrap the SDK's own client, once for each policy")
    book = price_book(prices)
    made = _NO_TIERS if tiers is None else ladder(tiers, client, book)
    consulted = bench(judges, client, book, beside=made)
    books = open_ledger(ledger)
    policy = Policy(
        tiers=made, judges=consulted, route=route, guards=tuple(guards), shape=open_shape(shape),
        limits=open_limits(limits, books), check=check, threshold=threshold, cache=open_cache(cache),
        prefix=open_planner(prompt_cache), record=open_recorder(record), retries=_retries(retries),
        max_usd_per_call=_amount(max_usd_per_call), budgets=open_budgets(budgets), on_exhausted=on_exhausted, mode=mode,
        baseline=baseline, surface="sdk",
        version="/".join(filter(None, (version, addresses_digest((*made, *consulted))))),
    )  # fmt: skip
    setup = Setup(policy, tiers is not None, book, books)
    return _attached(client, Desk(client, setup))


def _attached(client: C, desk: Desk) -> C:
    """Return a copy of `client` that posts at `desk`; it shares the connections."""
    twin = twin_of(client, desk.apost if is_async(client) else desk.post)

    def with_options(**options: Any) -> Any:
        other = client.copy(**options)  # type: ignore[attr-defined]
        return _attached(other, desk.beside(other))

    twin.copy = twin.with_options = with_options
    wrapped: C = twin
    return wrapped


def _retries(option: Retries | int | None) -> Retries:
    if isinstance(option, bool):
        raise ConfigError(f"retries is {option!r}: give a number, Retries(...), or None for the default")
    if isinstance(option, int):
        return Retries(per_tier=option)
    return Retries() if option is None else option


def _amount(option: Decimal | str | float | None) -> Decimal | None:
    if option is None or isinstance(option, Decimal):
        return option
    try:
        return Decimal(str(option))
    except InvalidOperation:
        raise ConfigError(
            f"max_usd_per_call is {option!r}: give an amount of dollars such as '0.01', or None"
        ) from None
