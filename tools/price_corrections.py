"""Apply `price_corrections.json` to a compiled price list: what genai-prices lacks, or has wrong.

Each kind of correction is one function below. A correction that no longer applies (its model is gone, the
list has caught up) stops the compilation instead of being skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

NANO = 10**9
Price = int | list[Any]


def nano(price: Decimal | Fraction, units: int = 1) -> int:
    """Turn USD per `units` millions into nano-USD per million, exactly but for a repeating decimal."""
    exact = Fraction(price) * NANO * units
    whole = round(exact)
    # genai-prices holds a few derived numbers, such as 0.18000000000000002 and 0.0833333333333333.
    if abs(exact - whole) > whole * Fraction(1, 10**8):
        raise SystemExit(f"{price} USD has no exact nano-USD integer; store it in a finer unit")
    return whole


def chosen(providers: list[Any], rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the models a correction is for: ids, a pattern, or those that list the processing kind."""
    models = next(p["models"] for p in providers if p["id"] == rule["provider"])
    wanted = rule["models"]
    found = [
        model
        for model in models
        if (model["id"] in wanted if isinstance(wanted, list)
            else rule["processing"] in model.get("variants", {}) if wanted == "listed"
            else re.search(wanted, model["id"]))
    ]  # fmt: skip
    if not found:
        raise SystemExit(f"no model of {rule['provider']} answers to {wanted!r}: {rule['source']}")
    yield from found


def apply_corrections(providers: list[Any], rules: dict[str, Any]) -> None:
    """Merge the corrections into the compiled providers, in place."""
    for rule in rules["aliases"]:
        add_alias(providers, rule)
    for rule in rules["models"]:
        prices = {bucket: nano(Decimal(usd)) for bucket, usd in rule["usd_per_million"].items()}
        models = next(p["models"] for p in providers if p["id"] == rule["provider"])
        models.insert(0, {"id": rule["id"], "match": ["equals", rule["id"]], "prices": [{"prices": prices}]})
    for rule in rules["prices"]:
        added: dict[str, Price] = {bucket: nano(Decimal(usd)) for bucket, usd in rule["usd_per_million"].items()}
        for model in chosen(providers, rule):
            add_prices(model, added, rule.get("from"), rule.get("until"))
    for rule in rules["calls"]:
        for model in chosen(providers, rule):
            for entry in model["prices"]:
                entry["prices"].setdefault(f"call:{rule['call']}", nano(Decimal(rule["usd_per_thousand"]), 1000))
    for rule in rules["modality_fallback"]:
        for model in chosen(providers, rule):
            fall_back(model, rule["buckets"])
    for rule in rules["processing"]:
        for model in chosen(providers, rule):
            add_processing(model, rule)
    for rule in rules["long_context_unlisted"]:
        for model in next(p["models"] for p in providers if p["id"] == rule["provider"]):
            cap_long_context(model)
    for rule in rules["unpriceable"]:
        for model in chosen(providers, rule):
            model["unpriceable"] = rule["why"]


def add_alias(providers: list[Any], rule: dict[str, Any]) -> None:
    """Give an alias that moved its own dated entry: the model it was, then the model it became."""
    models = next(p["models"] for p in providers if p["id"] == rule["provider"])
    was = next(m for m in models if answers(m["match"], rule["alias"]))
    now = next(m for m in models if m["id"] == rule["model"])
    later = [{**entry, "from": max(entry.get("from", ""), rule["from"])} for entry in now["prices"]]
    alias = {"id": rule["alias"], "match": ["equals", rule["alias"]], "prices": [*was["prices"], *later]}
    if "variants" in now:
        alias["variants"] = now["variants"]
    models.insert(0, alias)


def answers(match: list[Any], name: str) -> bool:
    """Say whether a clause names `name` by equality."""
    kind, *parts = match
    return parts[0] == name if kind == "equals" else kind == "or" and any(answers(part, name) for part in parts)


def add_prices(model: dict[str, Any], added: dict[str, Price], since: str | None, until: str | None) -> None:
    """Add bucket prices, from a date on or in the prices before one where it is given."""
    if since is None:
        for entry in model["prices"]:
            if until is None or entry.get("from", "") < until:
                entry["prices"].update(added)
        return
    latest = model["prices"][-1]
    if latest.get("from", "") > since:
        raise SystemExit(f"{model['id']} has a price from {latest['from']}; date the correction after it")
    model["prices"].append({"from": since, "prices": latest["prices"] | added})


def fall_back(model: dict[str, Any], buckets: dict[str, str]) -> None:
    """Price audio like text where a model lists no audio price, in the standard prices and the variants
    alike."""
    if any("audio_input" in entry["prices"] for entry in model["prices"]):
        return
    for entries in (model["prices"], *model.get("variants", {}).values()):
        for entry in entries:
            for bucket, source in buckets.items():
                if source in entry["prices"]:
                    entry["prices"][bucket] = entry["prices"][source]


def add_processing(model: dict[str, Any], rule: dict[str, Any]) -> None:
    """Add a documented discount or surcharge for the time before, or in place of, listed prices."""
    variants = model.setdefault("variants", {})
    kind, since = rule["processing"], rule["from"]
    if "like" in rule:
        source = variants.get(rule["like"], [])
        variants[kind] = [{**entry, "from": max(since, entry.get("from", ""))} for entry in source]
        return
    listed = variants.get(kind, [])
    if listed and not rule.get("until_listed"):
        raise SystemExit(f"{model['id']} now lists its {kind} price; drop the correction from {rule['source']}")
    if listed and "from" not in listed[0]:
        return
    if rule.get("as_listed"):
        listed[0]["from"] = since
        return
    entry: dict[str, Any] = {"from": since, "factor": rule["factor"]}
    if listed:
        standard = standing(model["prices"], listed[0]["from"])
        entry["only"] = sorted(b for b in listed[0]["prices"] if b in standard)
        inexact = [b for b in entry["only"] if scaled(standard[b], rule["factor"]) != listed[0]["prices"][b]]
        if inexact:
            entry["not"] = sorted(inexact)
    variants[kind] = [entry, *listed]


def standing(entries: list[dict[str, Any]], day: str) -> dict[str, Price]:
    """Return the standard prices in force on a day."""
    prices: dict[str, Price] = [e for e in entries if e.get("from", "") <= day and "daily" not in e][-1]["prices"]
    return prices


def scaled(price: Price, factor: list[int]) -> Price:
    """Multiply a price and its steps by a fraction, exactly."""
    if isinstance(price, list):
        return [scaled(price[0], factor), *([start, scaled(step, factor)] for start, step in price[1:])]
    product, rest = divmod(price * factor[0], factor[1])
    if rest:
        raise SystemExit(f"{price} times {factor} is not a whole nano-USD")
    return product


def cap_long_context(model: dict[str, Any]) -> None:
    """Note the prompt size above which a processing kind has no list price."""
    steps = [e["prices"]["input"][1][0] for e in model["prices"] if isinstance(e["prices"].get("input"), list)]
    for entries in model.get("variants", {}).values():
        for entry in entries:
            if steps and isinstance(entry.get("prices", {}).get("input"), int):
                entry["max_input"] = min(steps)
