"""Price usage payloads and compare with what they cost, to the pico-dollar.

    python benchmarks/billing.py                        # our own vectors
    python benchmarks/billing.py --vectors FILE.jsonl   # any file of the same form

A vector is `{id, provider, api, model, priced_at, context, usage, usd, pico_usd, lines, source}`: the payload
as the provider sent it, and the amount worked out by hand from the provider's price page. `context` says what
the payload does not: see `tuppence.usage.context` for its keys, and below for prices of one's own. An amount
of null means that the call must stay unpriced. The last line of output is one JSON object; the exit status is
1 unless all are exact.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tuppence.errors import TuppenceError, UsageError
from tuppence.prices import PriceBook, Rate, gpu_hour_rate
from tuppence.usage import Usage, read_usage

OWN_VECTORS = Path(__file__).parent / "data" / "billing_vectors.jsonl"
_OWN_PRICES = ("prices", "override", "overrides", "price_override", "custom_prices", "custom_pricing", "pricing")
_GPU_PRICE = re.compile(r"gpu_hour$|(?=.*hour|.*_hr?$|.*_per_h)(?=.*usd|.*price|.*cost|.*rate|.*hourly)")
_UNIT_WORDS = re.compile(r"_?(usd|price|cost|per_million|per_mtok|mtok|tokens?|per)(?=_|$)")
_BUCKETS = {
    "prompt": "input",
    "completion": "output",
    "cached": "cache_read",
    "cached_input": "cache_read",
    "cache_read_input": "cache_read",
    "cache_write": "cache_write_5m",
    "cache_creation": "cache_write_5m",
    "cache_creation_input": "cache_write_5m",
    "input_audio": "audio_input",
    "output_audio": "audio_output",
}


def usage_of(vector: Mapping[str, Any]) -> Usage:
    """Read a vector's payload; an api that is only a product's name is read by the payload's fields."""
    context = context_of(vector)
    try:
        return read_usage(vector.get("api") or "raw", vector["usage"], context)
    except UsageError as error:
        if "unknown usage api" not in str(error):
            raise
        return read_usage("raw", vector["usage"], context)


def context_of(vector: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what is told beside the tokens: `context`, groups within it, and GPU figures among the usage."""
    context = vector.get("context") or {}
    flat = {name: value for name, value in vector["usage"].items() if "gpu" in name}
    for group in ("gpu", "compute", "hardware", "options", "request"):
        if isinstance(inner := context.get(group), Mapping):
            flat |= {"gpus" if name == "count" else name: value for name, value in inner.items()}
    return flat | dict(context)


def rate_of(vector: Mapping[str, Any], book: PriceBook) -> Rate | None:
    """Take the prices a vector brings along (GPU-hour or by bucket), else the listed ones of its day."""
    context = context_of(vector)
    for key, price in context.items():
        if _GPU_PRICE.match(key.lower()) and not isinstance(price, Mapping):
            return gpu_hour_rate(str(price))
    own = next((context[key] for key in _OWN_PRICES if isinstance(context.get(key), Mapping)), None)
    if own is not None:
        nested = [price for price in own.values() if isinstance(price, Mapping) and "input" in price]
        prices = {bucket_named(name): price for name, price in (nested or [own])[0].items()}
        book = book.with_overrides({vector["model"]: prices})
    day = vector.get("priced_at")
    at = None if day is None else date.fromisoformat(day) if len(day) == 10 else datetime.fromisoformat(day)
    provider = vector.get("provider")
    return book.rate(vector["model"], provider=provider, at=at) or book.rate(vector["model"], at=at)


def bucket_named(name: str) -> str:
    """Give a price its bucket: `input_usd_per_mtok` is `input`."""
    bare = _UNIT_WORDS.sub("", name.lower()).strip("_")
    return _BUCKETS.get(bare, bare)


def mistakes(vectors: list[Mapping[str, Any]], book: PriceBook) -> Iterator[tuple[str, str]]:
    """Yield the id of each vector that is not exact, and what is wrong."""
    for vector in vectors:
        want = None if vector["pico_usd"] is None else int(vector["pico_usd"])
        try:
            usage, rate = usage_of(vector), rate_of(vector, book)
        except TuppenceError as error:
            yield vector["id"], str(error)
            continue
        if rate is None:
            if want is not None:
                yield vector["id"], f"no price for {vector['model']!r}"
            continue
        got = rate.cost(usage)
        if got != want:
            detail = rate.why_unpriced(usage) or "; ".join(map(str, rate.lines(usage)))
            yield vector["id"], f"{got} pico-USD, not {want}: {detail}"


def main() -> int:
    """Run the vectors and print the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, default=OWN_VECTORS, help="a .jsonl file")
    lines = parser.parse_args().vectors.read_text(encoding="utf-8").splitlines()
    vectors = [json.loads(line) for line in lines if line.strip()]
    wrong = list(mistakes(vectors, PriceBook.default()))
    for name, reason in wrong:
        print(f"{name}: {reason}")
    verdict = {"vectors": len(vectors), "exact": len(vectors) - len(wrong), "wrong": [name for name, _ in wrong]}
    print(json.dumps(verdict))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
