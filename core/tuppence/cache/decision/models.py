"""The logistic models learned by `tools/train_cache_decision.py` and `tools/train_cache_votes.py`: from named features
to a probability.
"""

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
    data = files("tuppence") / "data"
    read = [json.loads((data / name).read_text("utf-8")) for name in ("cache_decision.json", "cache_votes.json")]
    return {name: model for models in read for name, model in models.items() if name != "about"}
