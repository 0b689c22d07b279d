"""What an embedding model is called, told by looking at a framework's or a library's object.

The name is part of every key that a vector is found by. In doubt it must rather tell two equal models apart, which
costs a second embedding, than give one name to two whose vectors differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tuppence.errors import ConfigError

_MODEL = ("model", "model_name", "model_id", "deployment_name", "deployment")
# LlamaIndex's default for a class that has no name.
_NO_NAMES = frozenset({"", "unknown"})
# What embedding classes of LangChain and LlamaIndex call the settings that change a vector.
_SHAPES = (
    "dimensions", "output_dimensionality", "embed_dim", "size", "truncate_dim", "seed", "mode", "task_type", "task",
    "input_type", "normalize", "pooling", "encode_kwargs", "query_encode_kwargs", "model_kwargs", "additional_kwargs",
    "embed_instruction", "query_instruction", "text_instruction", "revision", "backend",
)  # fmt: skip


def model_of(embeddings: object) -> str:
    """Return the model's own name, by which it is priced; "" where the object has none."""
    for attribute in _MODEL:
        name = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name.strip() not in _NO_NAMES:
            return name.strip()
    return ""


def name_of(embeddings: object, model: str = "") -> str:
    """Name class, model and the settings that change its vectors; `model` in place of what the object says.

    Raises `ConfigError` where neither says which model it is.
    """
    kind = type(embeddings)
    name = model.strip() or model_of(embeddings)
    if not name:
        raise ConfigError(f"{kind.__qualname__} does not say which model it is: give model='...', its name and version")
    settings = {key: value for key in _SHAPES if (value := getattr(embeddings, key, None)) not in (None, {}, "")}
    return f"{kind.__module__}.{kind.__qualname__}:{name}{_digest(settings) if settings else ''}"


def _digest(settings: Mapping[str, object]) -> str:
    """Stand for settings by a hash: a name is shown, and some settings hold keys."""
    # Of what is no plain value only the type counts: a `repr` may be an address, which changes with every start.
    told = json.dumps(settings, sort_keys=True, default=lambda value: str(getattr(value, "value", type(value))))
    return "#" + hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
