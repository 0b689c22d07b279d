"""The packaged price list: finding a model by the name a caller uses, and its prices on a day.

The list is compiled from genai-prices and our corrections by `tools/compile_prices.py` and read once, on
first use. This module must never import genai-prices, and never invent a price for a name it does not know.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from tuppence.errors import PriceError
from tuppence.prices.rate import GeoRule, TokenRate
from tuppence.prices.sheet import Price, scaled

_PRICES = Path(__file__).resolve().parents[1] / "data" / "prices.json"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=$|[-:])")
_DATED = re.compile(r"[-@](20\d\d-\d\d-\d\d|20\d{6})$")
_PROVIDERS = {
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "anthropic_bedrock": "aws",
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "azure_ai": "azure",
    "vertex_ai": "google",
    "vertexai": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "gemini": "google",
    "google_gla": "google",
    "google_vertex": "google",
    "models": "google",
    "xai": "x-ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "openai_responses": "openai",
    "openai_chat": "openai",
}
"""Names that LangChain, LlamaIndex, LiteLLM and OpenTelemetry give to providers of the list."""


class Model:
    """One listed model: its provider and its dated prices."""

    __slots__ = ("borrowed", "entry", "geo", "hours", "id", "provider")

    def __init__(self, provider: str, entry: Mapping[str, Any], geo: tuple[GeoRule, ...], *, borrowed: bool) -> None:
        self.provider = provider
        self.id: str = entry["id"]
        self.entry = entry
        self.geo = geo
        self.borrowed = borrowed
        """Found in another provider's list, at its standard prices; batch and the like may differ and are
        left out."""
        dated = [*entry["prices"], *(one for kind in entry.get("variants", {}).values() for one in kind)]
        self.hours = sorted({time(), *(hour for one in dated for hour in _hours(one))})
        """Times of the day (UTC) at which the price can change; midnight is always one, for dated prices."""

    def rate(self, at: datetime, version: str) -> TokenRate:
        """Resolve the prices in force at a moment."""
        standard = dict(_standing(self.entry["prices"], at)["prices"])
        kinds: dict[str, Mapping[str, Price]] = {"standard": standard}
        caps: dict[str, int] = {}
        variants = {} if self.borrowed else self.entry.get("variants", {})
        for kind, entries in variants.items():
            entry = next((e for e in reversed(entries) if _active(e, at)), None)
            if entry is not None:
                kinds[kind] = _varied(standard, entry)
                if "max_input" in entry:
                    caps[kind] = entry["max_input"]
        name = f"{version}/{self.provider}/{self.id}@{at.date().isoformat()}"
        return TokenRate(name, kinds, max_input=caps, geo=self.geo, unpriceable=self.entry.get("unpriceable"))

    def span(self, moment: float) -> tuple[datetime, datetime]:
        """Return from when, and until just before when, the price of a moment (Unix seconds) holds.

        At most a UTC day, because a rate's version names its day. Raises `PriceError` for what is no moment.
        """
        try:
            midnight = _EPOCH + timedelta(days=moment // _DAY_S)
            starts = [datetime.combine(midnight, hour, UTC) for hour in self.hours]
            starts.append(midnight + timedelta(days=1))
        except (OverflowError, ValueError):
            raise PriceError(f"the moment of a price is {moment!r}; give Unix seconds, such as time.time()") from None
        after = bisect_right(starts, moment, lo=1, hi=len(self.hours), key=datetime.timestamp)
        return starts[after - 1], starts[after]


def _hours(entry: Mapping[str, Any]) -> tuple[time, ...]:
    """Return when a daily price begins and ends to hold; nothing for any other."""
    return tuple(time.fromisoformat(text) for text in entry.get("daily", ()))


def _active(entry: Mapping[str, Any], at: datetime) -> bool:
    """Say whether a dated or daily price is in force."""
    if "daily" in entry:
        start, end = _hours(entry)
        now = at.time()
        return start <= now < end if start <= end else now >= start or now < end
    since: str = entry.get("from", "")
    return since <= at.date().isoformat()


def _standing(entries: list[Any], at: datetime) -> Mapping[str, Any]:
    """Return the last price in force, or the first known one for days before it."""
    entry: Mapping[str, Any] = next((e for e in reversed(entries) if _active(e, at)), entries[0])
    return entry


def _varied(standard: Mapping[str, Price], entry: Mapping[str, Any]) -> dict[str, Price]:
    """Apply a processing kind's prices, or its factor, to the standard prices."""
    if "prices" in entry:
        return {**standard, **entry["prices"]}
    factor = scaled(standard, *entry["factor"])
    only, unknown = entry.get("only", list(factor)), entry.get("not", ())
    varied = {name: factor[name] if name in only else price for name, price in standard.items()}
    return {name: price for name, price in varied.items() if name not in unknown}


class Listing:
    """The whole list, by provider."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.version: str = data["version"]
        self._providers: dict[str, Mapping[str, Any]] = {p["id"]: p for p in data["providers"]}
        self._geo = data["geo"]

    def find(self, model: str, provider: str | None) -> Model | None:
        """Find a model by the name that a caller uses; None when the list does not know it.

        Tried in turn: the provider as given with the name as given, without its `provider/` prefixes, and
        without a dated suffix; then, without a provider, the one that the name's prefix or its family tells.
        """
        for name in _spellings(model.strip().lower()):
            for owner, bare in self._owners(name, provider):
                found = self._in(owner, bare)
                if found is not None:
                    return found
        return None

    def _owners(self, name: str, provider: str | None) -> Iterator[tuple[str, str]]:
        """Yield provider and bare name to try, the most explicit first."""
        head, _, tail = name.partition("/")
        if provider is not None:
            known = self._provider(provider)
            if known is None:
                return
            yield known, name
            while tail:
                yield known, tail
                tail = tail.partition("/")[2]
            return
        if tail and (known := self._provider(head)) is not None:
            yield known, tail
            if "/" in tail:
                yield known, tail.rpartition("/")[2]
            yield from self._owners(tail, None)
            return
        for pid, listed in self._providers.items():
            if "owns" in listed and _matches(listed["owns"], name):
                yield pid, name
        if re.match(r"(text-embedding-|davinci-|babbage-)", name):
            yield "openai", name
        if re.match(r"((us|eu|apac|jp|au|in|global|us-gov)\.)?[a-z0-9]+\.[a-z]", name) and "-" in name:
            yield "aws", name

    def _provider(self, name: str) -> str | None:
        """Find a provider by any of its names."""
        wanted = name.strip().lower()
        wanted = _PROVIDERS.get(wanted.replace("-", "_"), wanted)
        if wanted in self._providers:
            return wanted
        return next(
            (pid for pid, listed in self._providers.items() if "named" in listed and _matches(listed["named"], wanted)),
            None,
        )

    def _in(self, provider: str, name: str) -> Model | None:
        """Find a model in one provider's list, or in those it resells at list price."""
        for pid in (provider, *self._providers[provider].get("falls_back", ())):
            for entry in self._providers[pid]["models"]:
                if _matches(entry["match"], name):
                    return Model(provider, entry, self._geo_rules(provider, entry["id"]), borrowed=pid != provider)
        return None

    def _geo_rules(self, provider: str, model: str) -> tuple[GeoRule, ...]:
        return tuple(
            GeoRule(rule["geo"], *rule["factor"])
            for rule in self._geo
            if rule["provider"] == provider and re.search(rule["models"], model)
        )


def _spellings(name: str) -> Iterator[str]:
    """Yield a name and the same name without a compact or a dated suffix."""
    yield name
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    if dashed != name:
        yield dashed
    undated = _DATED.sub("", name)
    if undated != name:
        yield undated


def _matches(clause: list[Any], name: str) -> bool:
    """Evaluate compiled match logic on a lower-case name."""
    kind, *parts = clause
    if kind == "or":
        return any(_matches(part, name) for part in parts)
    if kind == "and":
        return all(_matches(part, name) for part in parts)
    text: str = parts[0]
    if kind == "equals":
        return name == text
    if kind == "starts_with":
        return name.startswith(text)
    if kind == "ends_with":
        return name.endswith(text)
    if kind == "contains":
        return text in name
    return re.search(text, name) is not None


def unix_seconds(at: date | datetime | float) -> float:
    """Turn a caller's moment into Unix seconds: a number is that already, a date is its noon, a naive time is UTC."""
    if isinstance(at, float | int):
        return at
    if not isinstance(at, datetime):
        at = datetime.combine(at, time(12))
    return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).timestamp()


@cache
def packaged_listing() -> Listing:
    """Read the packaged list, once a process."""
    return Listing(json.loads(_PRICES.read_text(encoding="utf-8")))
