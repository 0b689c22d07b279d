"""Where prices are looked up: the packaged list, and over it the user's own prices.

A book answers None for a model that it does not know; it must never answer with a similar model's price.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from tuppence.errors import PriceError
from tuppence.prices.listed import ListedRate
from tuppence.prices.listing import Listing, packaged_listing, unix_seconds
from tuppence.prices.money import nano_per_million
from tuppence.prices.rate import GpuHourRate, Rate, TokenRate, gpu_hour_rate
from tuppence.prices.sheet import BUCKETS, Price

UserPrices = Mapping[str, Decimal | str | int | Mapping[str, Decimal | str | int]]
"""USD per million tokens by bucket; `calls` holds USD per thousand calls by tool, `batch`, `flex`, `priority`
and `fast` hold that kind's own prices by bucket; `gpu_hour` alone prices by USD per GPU-hour."""

_KINDS = ("batch", "flex", "priority", "fast")


class PriceBook:
    """Look up rates. Immutable: `with_overrides` makes a new book."""

    def __init__(self, *, overrides: Mapping[str, Rate] | None = None, listing: Listing | None = None) -> None:
        self._overrides: dict[str, Rate] = dict(overrides or {})
        self._listing = listing
        self._found: dict[tuple[str, str | None], ListedRate | None] = {}

    @classmethod
    def default(cls) -> PriceBook:
        """Return a book over the packaged list, which is read on the first look-up."""
        return cls()

    @property
    def version(self) -> str:
        """Name the price list and its version."""
        return self._list().version

    def rate(
        self, model: str, *, provider: str | None = None, at: date | datetime | float | None = None
    ) -> Rate | None:
        """Return the price of a model, or None when the model is unknown.

        With `at` (a date, a time, Unix seconds) it is the price of that moment, for good. Without, it is to be kept:
        it follows the list through its dates and hours, and each call asks it for `rate.at(moment)`.

        `model` may carry a dated suffix or a provider prefix (`openai/gpt-4o-2024-11-20`); `provider` takes
        the list's names and those of LangChain, LlamaIndex and LiteLLM. A date without a time means noon UTC,
        which matters only to providers whose price changes within a day. Raises `PriceError` for an empty name, and
        for a number that is no moment.
        """
        if not model.strip():
            raise PriceError(f"model is {model!r}; name one, such as 'gpt-4o' or 'anthropic/claude-haiku-4-5'")
        own = self._own(model, provider)
        if own is not None:
            return own
        key = (model, provider)
        if key not in self._found:
            found = self._list().find(model, provider)
            self._found[key] = None if found is None else ListedRate(found, self._list().version)
        listed = self._found[key]
        return listed if listed is None or at is None else listed.at(unix_seconds(at))

    def with_overrides(self, prices: Mapping[str, UserPrices | Rate]) -> PriceBook:
        """Return a book in which the given models have the user's prices, exact names or `provider/name`.

        An override replaces the listed prices wholly. Prices are strings or Decimals in USD per million
        tokens. Raises `PriceError` for a bucket that does not exist or a price that is not one.
        """
        added: dict[str, Rate] = {}
        for model, given in prices.items():
            added[model.lower()] = _user_rate(model, given) if isinstance(given, Mapping) else given
        return PriceBook(overrides={**self._overrides, **added}, listing=self._listing)

    def _own(self, model: str, provider: str | None) -> Rate | None:
        name = model.strip().lower()
        if provider is not None and (rate := self._overrides.get(f"{provider.lower()}/{name}")) is not None:
            return rate
        return self._overrides.get(name)

    def _list(self) -> Listing:
        return self._listing or packaged_listing()


def _user_rate(model: str, given: UserPrices) -> TokenRate | GpuHourRate:
    """Make a rate from a user's prices for one model."""
    gpu = given.get("gpu_hour")
    if gpu is not None:
        if len(given) > 1 or isinstance(gpu, Mapping):
            raise PriceError(f"prices of {model!r} are {dict(given)!r}; 'gpu_hour' is one price and stands alone")
        return gpu_hour_rate(gpu, version=f"user/{model}")
    kinds = {kind: given[kind] for kind in _KINDS if kind in given}
    standard = _buckets(model, {name: price for name, price in given.items() if name not in kinds})
    standard.setdefault("cache_read", standard["input"])
    listed: dict[str, dict[str, Price]] = {"standard": standard}
    for kind, prices in kinds.items():
        if not isinstance(prices, Mapping):
            raise PriceError(
                f"{kind} price of {model!r} is {prices!r}; give it by bucket, like {{'input': '0.1', ...}}"
            )
        tools = {name: price for name, price in standard.items() if name.startswith("call:")}
        listed[kind] = {**tools, **_buckets(f"{model} {kind}", prices)}
        listed[kind].setdefault("cache_read", listed[kind]["input"])
    return TokenRate(f"user/{model}", listed)


def _buckets(model: str, given: UserPrices) -> dict[str, Price]:
    """Turn USD per million by bucket, and USD per thousand calls by tool, into list form."""
    prices: dict[str, Price] = {}
    for name, price in given.items():
        if name == "calls" and isinstance(price, Mapping):
            for tool, fee in price.items():
                prices[f"call:{tool}"] = nano_per_million(fee, f"{model} {tool}") * 1000
        elif isinstance(price, Mapping) or name not in BUCKETS:
            raise PriceError(
                f"{name!r} is not something {model!r} can be priced by; use {', '.join(BUCKETS)}, calls, "
                f"{', '.join(_KINDS)} or gpu_hour"
            )
        else:
            prices[name] = nano_per_million(price, f"{model} {name}")
    if "input" not in prices:
        raise PriceError(f"prices of {model!r} have no 'input'; give at least input and output in USD per million")
    return prices
