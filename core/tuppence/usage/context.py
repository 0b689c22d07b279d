"""What a payload does not say about its call: processing, place, tools billed by the call, GPU time.

A caller passes these as `context`, a plain mapping; the accepted keys are listed at each reader, many
spellings for one meaning, because traces and exports name them differently. A value that no reader knows
makes the usage `unlisted`, so that it is never billed at the standard price by accident.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from tuppence.errors import UsageError
from tuppence.usage.buckets import Processing
from tuppence.usage.fields import count, field, has

_PROCESSING: dict[str, Processing] = {
    "standard": "standard",
    "default": "standard",
    "auto": "standard",
    "on_demand": "standard",
    "normal": "standard",
    "paid": "standard",
    "unspecified": "standard",
    "sync": "standard",
    "realtime": "standard",
    "standard_only": "standard",
    "batch": "batch",
    "batches": "batch",
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
    "fast": "fast",
}
_TIER_KEYS = ("service_tier", "serviceTier", "traffic_type", "trafficType")
_FLAGS = ("batch", "fast", "flex", "priority")
_ANYWHERE = frozenset({"global", "default", "unspecified", "none", "not_available", "any", ""})
_BOUND_ENDPOINTS = frozenset({"regional", "multi_region"})
_NOT_A_TOOL = re.compile(r"_(requests?|calls?|queries|query|count|uses?)$")
_TOOLS = {
    "web_searches": "web_search",
    "websearch": "web_search",
    "search": "web_search",
    "searches": "web_search",
    "num_search": "web_search",
    "num_web_search": "web_search",
    "google_search": "web_search",
    "grounding": "web_search",
    "grounded_prompts": "web_search",
    "grounded_prompt": "web_search",
    "web_search_grounding": "web_search",
    "web_search_20250305": "web_search",
    "web_search_preview_2025_03_11": "web_search_preview",
    "file_searches": "file_search",
    "code_interpreter_sessions": "code_interpreter",
    "code_executions": "code_execution",
    "google_maps": "maps",
}
_TOOL_KEYS = frozenset({
    "web_search", "web_searches", "web_search_requests", "web_search_calls", "web_search_queries",
    "num_web_searches", "web_search_preview", "web_search_preview_calls", "search_queries", "grounded_prompts",
    "google_search", "google_search_queries", "grounding", "file_search", "file_search_calls", "code_interpreter",
    "code_execution", "code_execution_requests", "web_fetch_requests",
})  # fmt: skip
_TOOL_GROUPS = ("calls", "tool_calls", "tools", "server_tool_use", "tool_usage", "server_tools")
_FREE_TOOLS = frozenset({"web_fetch"})
"""Tools without a per-call fee: https://platform.claude.com/docs/en/about-claude/pricing#web-fetch-tool"""


def processing_named(value: Any) -> Processing:
    """Translate a provider's service tier, traffic type or speed; an unknown name is `unlisted`."""
    name = str(getattr(value, "value", value)).lower().replace("-", "_")
    return _PROCESSING.get(name.removeprefix("service_tier_").removeprefix("traffic_type_"), "unlisted")


def read_processing(payloads: Iterable[Any], context: Mapping[str, Any]) -> Processing:
    """Decide how the call ran: batch and fast from either side, else the response's tier, else the asked one.

    Context keys: `processing`, `service_tier`, `serviceTier`, `tier`, `traffic_type`, `trafficType`, `speed`
    with a name, or `batch`, `flex`, `priority`, `fast` set to true. A response says `default` inside a batch
    job (OpenAI), so batch wins; and a priority request that was served as `default` is billed as such, so the
    response is next.
    """
    saying = [p for p in payloads if field(p, *_TIER_KEYS, "speed") is not None]
    if not saying and not context:
        return "standard"
    told = [processing_named(v) for p in saying if (v := field(p, *_TIER_KEYS)) is not None]
    speeds = [processing_named(v) for p in saying if (v := field(p, "speed")) is not None]
    asked: list[Processing] = []
    if context:
        keys = ("processing", *_TIER_KEYS, "tier", "speed")
        asked = [processing_named(v) for key in keys if (v := field(context, key))]
        asked += [processing_named(flag) for flag in _FLAGS if _is_true(field(context, flag))]
    for decisive in ("batch", "fast"):
        if decisive in (*told, *asked, *speeds):
            return processing_named(decisive)
    return next((name for name in (*(told or asked), *speeds) if name != "standard"), "standard")


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def keeps_for_an_hour(context: Mapping[str, Any]) -> bool:
    """Say whether cache writes were to last an hour: `cache_ttl`, `cache_write_ttl` or `ttl` is `1h`."""
    return bool(context) and str(field(context, "cache_ttl", "cache_write_ttl", "ttl")).lower() in (
        "1h",
        "1hour",
        "60m",
        "3600",
    )


def read_geo(payload: Any, context: Mapping[str, Any]) -> str | None:
    """Return where the call was bound to run, lower case, or None when it was not.

    Context keys: `geo`, `inference_geo`, `region`, `data_residency`, `residency`, `location`. `global` and
    Anthropic's `not_available` (models without geographic control) mean not bound; `data_residency: true`
    gives `regional`.
    """
    told = field(payload, "inference_geo")
    if told is None and not context:
        return None
    value = told if told is not None else field(
        context, "geo", "inference_geo", "data_residency", "residency", "region", "location"
    )  # fmt: skip
    if value is True or str(field(context, "endpoint")).lower().replace("-", "_") in _BOUND_ENDPOINTS:
        return "regional"
    if value is None or value is False or str(value).lower() in _ANYWHERE:
        return None
    return str(value).lower()


def tool_named(name: str) -> str:
    """Give a per-call tool its one name: `web_search_requests` and `google_search` are `web_search`."""
    bare = _NOT_A_TOOL.sub("", name.lower().strip().replace("-", "_"))
    return _TOOLS.get(bare, bare)


def read_calls(payload: Any, shown: Iterable[str], context: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Collect tools billed by the call; where payload and context tell of the same tool, the larger count
    holds.

    `shown` are tools that the response lists. Context keys: `web_search`, `web_search_requests`,
    `web_search_calls` and their like with a number; or `calls`, `tool_calls`, `tools`, `server_tool_use` with
    a mapping name -> count or a list of `{name or type, count or n}`.
    """
    told = field(payload, "server_tool_use")
    if told is None and not shown and not context:
        return ()
    best = Counter(dict(_tools_in(told))) | Counter(tool_named(name) for name in shown)
    asked: Counter[str] = Counter()
    for key, value in context.items():
        if key in _TOOL_GROUPS:
            asked.update(dict(_tools_in(value)))
        elif key in _TOOL_KEYS and (value is True or isinstance(value, int | float)):
            asked[tool_named(key)] += 1 if value is True else count(context, key)
    best |= asked
    return tuple(sorted((name, qty) for name, qty in best.items() if qty and name not in _FREE_TOOLS))


def _tools_in(group: Any) -> Iterable[tuple[str, int]]:
    """Read a mapping, a list, or an SDK object of tool counts."""
    if group is None or isinstance(group, str | int | float):
        return ()
    if isinstance(group, list | tuple):
        found: Counter[str] = Counter()
        for tool in group:
            if isinstance(tool, str):
                found[tool_named(tool)] += 1
            elif (name := field(tool, "name", "type", "tool", "kind")) is not None:
                found[tool_named(str(name))] += count(tool, "count", "n", "qty", "calls", "requests") or 1
        return found.items()
    if not isinstance(group, Mapping):
        dump = getattr(group, "model_dump", None)
        group = dump() if dump else vars(group)
    named: Counter[str] = Counter()
    for name, value in group.items():
        if isinstance(value, Mapping):
            named[tool_named(str(name))] += count(value, "count", "n", "qty", "calls", "requests")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            named[tool_named(str(name))] += count(group, name)
    return named.items()


def read_gpu_ms(source: Mapping[str, Any]) -> int:
    """Return GPU time in milliseconds, summed over GPUs; 0 where the source does not tell it.

    Keys: `gpu_ms`, `gpu_seconds`, `gpu_hours` are summed over GPUs already; `duration_ms`, `wall_ms`,
    `seconds`, `duration_s`, `wall_s`, `elapsed_s`, `hours` and their like are times on the wall and are
    multiplied by `gpus` (also `gpu_count`, `num_gpus`), which may be a fraction of one.
    """
    if not source:
        return 0
    gpus = _decimal(field(source, "gpus", "gpu_count", "num_gpus", "n_gpus"), "gpus", default=1)
    for names, ms, on_the_wall in _TIMES:
        if has(source, *names):
            value = _decimal(field(source, *names), names[0], default=0) * ms * (gpus if on_the_wall else 1)
            return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))
    return 0


_TIMES: tuple[tuple[tuple[str, ...], int, bool], ...] = (
    (("gpu_ms", "gpu_milliseconds"), 1, False),
    (("gpu_seconds", "gpu_s", "gpu_time_s"), 1000, False),
    (("gpu_minutes",), 60_000, False),
    (("gpu_hours", "gpu_h"), 3_600_000, False),
    (("duration_ms", "wall_ms", "elapsed_ms", "compute_ms"), 1, True),
    (("seconds", "duration_s", "duration_seconds", "wall_s", "wall_seconds", "elapsed_s", "elapsed_seconds",
      "compute_s", "compute_seconds", "busy_s", "busy_seconds", "runtime_s", "runtime_seconds"), 1000, True),
    (("hours", "wall_hours"), 3_600_000, True),
)  # fmt: skip


def _decimal(value: Any, name: str, *, default: int) -> Decimal:
    """Parse a non-negative number exactly; floats through their shortest text."""
    if value is None:
        return Decimal(default)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise UsageError(f"{name} is {value!r}, which is not an amount; expected a number of 0 or more")
    return number
