"""The logistic models that `tools/train_cache_decision.py` learned: from named features to a probability."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["probability"]


def probability(model: str, features: Mapping[str, float]) -> float:
    weights: Mapping[str, float] = _models()[model]["weights"]
    score = _models()[model]["intercept"] + sum(weights[name] * value for name, value in features.items())
    return float(1.0 / (1.0 + math.exp(-score)))


@cache
def _models() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("tuppence") / "data" / "cache_decision.json").read_text("utf-8"))
    return found
