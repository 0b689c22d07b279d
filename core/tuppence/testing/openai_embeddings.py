"""OpenAI's embeddings, spelt as their reference documents it, of vectors that can be worked out again by
hand.

A text's vector counts its words into hashed dimensions, so that texts with words in common lie close; it must
never be taken for a model's.
"""

from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from tuppence.testing.generation import Rejected
from tuppence.testing.script import tokens_of

DEFAULT_DIMENSIONS = 256


def embedding(text: str, *, dimensions: int = DEFAULT_DIMENSIONS) -> list[float]:
    """Count a text's words, lower-cased, into dimensions by their CRC-32, to unit length."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        vector[zlib.crc32(word.encode()) % dimensions] += 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector]


def embeddings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer `POST /v1/embeddings`: a text, texts, or token ids, each taken for a word."""
    given = request.get("input")
    if not given:
        raise Rejected("Missing required parameter: 'input'.", code="missing_required_parameter")
    single = isinstance(given, str) or isinstance(given[0], int)
    inputs = [given] if single else given
    texts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in inputs]
    dimensions = request.get("dimensions") or DEFAULT_DIMENSIONS
    packed = request.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = embedding(text, dimensions=dimensions)
        data.append({"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector})
    tokens = sum(len(tokens_of(one)) if isinstance(one, str) else len(one) for one in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
