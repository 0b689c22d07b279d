"""Compile genai-prices and our corrections into the integer price list that ships with tuppence.

    python tools/compile_prices.py            # write core/tuppence/data/prices.json
    python tools/compile_prices.py --check    # exit 1 when that file is not what genai-prices gives

Runs at build time only, so that no program that uses tuppence imports genai-prices. Prices become nano-USD
per million units (tokens or calls); a price that has no exact integer there stops the compilation.
"""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from price_corrections import Price, apply_corrections, nano

DATA = Path(__file__).resolve().parents[1] / "core" / "tuppence" / "data"

BUCKETS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "audio_cache_read",
    "output_mtok": "output",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "cache_image_read_mtok": "image_cache_read",
    "output_image_mtok": "image_output",
    "input_video_mtok": "video_input",
    "output_video_mtok": "video_output",
}
CALLS = {
    "web_searches_kcount": "call:web_search",
    "storage_searches_kcount": "call:file_search",
    "social_searches_kcount": "call:x_search",
    "code_executions_kcount": "call:code_execution",
}
NOT_TOKENS = {
    "audio_hours", "input_audio_hours", "output_audio_hours", "input_mchars", "input_gpixels",
    "requests_kcount", "input_document_kpages", "input_annotated_document_kpages", "input_text_messages_kcount",
    "output_reasoning_mtok", "output_citation_mtok",
}  # fmt: skip
"""Price units that no token usage tells. A model priced in these only is unpriced; `unpriceable` in the
corrections names the models that mix them with token prices."""
PROCESSING = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


def compiled_prices(model_price: Any) -> dict[str, Price]:
    """Turn one genai-prices price object into bucket -> nano-USD or [base, [above_tokens, nano-USD], ...]."""
    prices: dict[str, Price] = {}
    for key, value in model_price.__dict__.items():
        if value is None or key in NOT_TOKENS:
            continue
        if key not in BUCKETS and key not in CALLS:
            raise SystemExit(f"genai-prices has a new unit {key!r}; say in {__file__} which bucket it prices")
        units = 1 if key in BUCKETS else 1000
        if isinstance(value, Decimal):
            prices[BUCKETS.get(key) or CALLS[key]] = nano(value, units)
        else:
            steps = [[tier.start, nano(tier.price, units)] for tier in value.tiers]
            prices[BUCKETS.get(key) or CALLS[key]] = [nano(value.base, units), *steps]
    return prices


def compiled_when(constraint: Any) -> dict[str, Any]:
    """Turn a genai-prices constraint into `from` (a date) or `daily` (a UTC interval)."""
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"from": constraint.start_date.isoformat()}
    return {"daily": [f"{constraint.start_time:%H:%M}", f"{constraint.end_time:%H:%M}"]}


def compiled_match(clause: Any) -> list[Any]:
    """Turn match logic into nested lists: ["or", ...], ["and", ...] or [kind, text]."""
    for kind in ("or", "and"):
        parts = getattr(clause, f"{kind}_", None)
        if parts is not None:
            return [kind, *(compiled_match(part) for part in parts)]
    for kind in ("equals", "starts_with", "ends_with", "contains", "regex"):
        text = getattr(clause, kind, None)
        if text is not None:
            return [kind, text if kind == "regex" else text.lower()]
    raise SystemExit(f"genai-prices has a new match clause {clause!r}")


def compiled_model(model: Any) -> dict[str, Any]:
    """Compile one model: its dated standard prices and its dated overrides by kind of processing."""
    dated = model.prices if isinstance(model.prices, list) else None
    entries = [(p.constraint, p.prices) for p in dated] if dated is not None else [(None, model.prices)]
    variants: dict[str, list[Any]] = {}
    for variant in model.price_variants or ():
        ((key, value),) = variant.when.items()
        kind = PROCESSING.get((key, value))
        if kind is not None:
            # genai-prices takes the first active variant, the list here the last one.
            entry = {**compiled_when(variant.constraint), "prices": compiled_prices(variant.prices)}
            variants.setdefault(kind, []).insert(0, entry)
    return {
        "id": model.id,
        "match": compiled_match(model.match),
        "prices": [{**compiled_when(when), "prices": compiled_prices(price)} for when, price in entries],
        **({"variants": variants} if variants else {}),
    }


def compiled_provider(provider: Any) -> dict[str, Any]:
    """Compile one provider with how its name and its models' names are recognised."""
    return {
        "id": provider.id,
        **({"named": compiled_match(provider.provider_match)} if provider.provider_match else {}),
        **({"owns": compiled_match(provider.model_match)} if provider.model_match else {}),
        **({"falls_back": provider.fallback_model_providers} if provider.fallback_model_providers else {}),
        "models": [compiled_model(model) for model in provider.models],
    }


def compile_list() -> str:
    """Return the price list as JSON text, one model a line so that a diff reads like a price change."""
    from genai_prices.data import providers as source

    rules = json.loads((DATA / "price_corrections.json").read_text())
    providers = [compiled_provider(provider) for provider in source]
    apply_corrections(providers, rules)
    geo = [{k: rule[k] for k in ("provider", "models", "geo", "factor")} for rule in rules["geo"]]
    head = {
        "version": f"genai-prices-{version('genai-prices')}+{rules['revision']}",
        "unit": "nano-USD per million tokens or calls",
        "geo": geo,
    }
    lines = [json.dumps(head)[:-1] + ', "providers": [']
    for at, provider in enumerate(providers):
        models = provider.pop("models")
        lines.append(json.dumps(provider)[:-1] + ', "models": [')
        lines += [json.dumps(model) + ("," if model is not models[-1] else "") for model in models]
        lines.append("]}" + ("," if at < len(providers) - 1 else ""))
    return "\n".join([*lines, "]}"]) + "\n"


def main() -> int:
    """Write the price list, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    path, text = DATA / "prices.json", compile_list()
    if not check:
        path.write_text(text)
        print(f"wrote {path.name}: {len(text) // 1024} KiB")
        return 0
    if path.read_text() == text:
        return 0
    print(f"{path.name} is not what {version('genai-prices')} compiles to; run {Path(__file__).name}")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
