"""A configuration file as a `TuppenceLLM`: builds the native LlamaIndex models that the file names.

Which classes there are and how they are spelt is decided here; what the file means is `tuppence.config`'s to say.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from llama_index_tuppence.llm import TuppenceLLM
from llama_index_tuppence.tiers import tier
from tuppence.config import Config, TierSpec, load_config
from tuppence.errors import ConfigError
from tuppence.selfhost.fleet import http_clients
from tuppence.tiers import Tier

_CLASSES = {
    "openai": ("llama_index.llms.openai", "OpenAI", "llama-index-llms-openai"),
    "openai_compatible": ("llama_index.llms.openai_like", "OpenAILike", "llama-index-llms-openai-like"),
    "vllm": ("llama_index.llms.openai_like", "OpenAILike", "llama-index-llms-openai-like"),
    "anthropic": ("llama_index.llms.anthropic", "Anthropic", "llama-index-llms-anthropic"),
}
# The SDK refuses to be made without a key, and a server of one's own seldom asks for one.
_NO_KEY = "none"
# OpenAILike knows nothing of the model behind its address: without these it would speak the completions API, and
# believe in 3,900 tokens.
_UNKNOWN_CONTEXT_TOKENS = 128_000


def from_config(config: str | Path | Config, **changes: Any) -> TuppenceLLM:
    """Build a model from a file or a loaded `Config`; `changes` are `TuppenceLLM` arguments that go first.

    Raises `ConfigError` for anything wrong in the file, a class whose package is missing, or a key that is not set.
    """
    loaded = config if isinstance(config, Config) else load_config(config)
    tiers, judges = ({spec.tier.name: _tier(spec) for spec in specs} for specs in (loaded.tiers, loaded.judges))
    return TuppenceLLM(**{"tiers": tiers, "judges": judges, **loaded.options(), **changes})


def _tier(spec: TierSpec) -> Tier:
    core = spec.tier
    if core.answer is not None:
        return core
    return tier(
        native(spec), name=core.name, rate=core.rate, provider=core.provider, capabilities=core.capabilities,
        context_tokens=core.context_tokens, timeout_s=core.timeout_s, self_hosted=core.self_hosted,
        additions=core.additions, reference=core.reference, admission=core.admission,
        stands_in_for=core.stands_in_for,
    )  # fmt: skip


def native(spec: TierSpec) -> Any:
    """Make the LlamaIndex model of one tier."""
    module, name, package = _CLASSES[spec.kind]
    try:
        native_class: Any = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"{spec.where}: class {spec.kind} needs {package}, which is missing ({error}): pip install {package}"
        ) from error
    core = spec.tier
    given: dict[str, Any] = {"model": core.model, "timeout": core.timeout_s, "api_key": spec.api_key}
    given["base_url" if spec.kind == "anthropic" else "api_base"] = spec.base_url
    if spec.kind in ("vllm", "openai_compatible"):
        can = core.capabilities
        given |= {
            "api_key": given["api_key"] or _NO_KEY, "is_chat_model": True,
            "is_function_calling_model": can is None or "tools" in can,
            "context_window": core.context_tokens or _UNKNOWN_CONTEXT_TOKENS,
        }  # fmt: skip
    if spec.servers is not None:
        given["http_client"], given["async_http_client"] = http_clients(spec.servers)
    known = native_class.model_fields
    own = {key: value for key, value in spec.params.items() if key in known}
    other = {key: value for key, value in spec.params.items() if key not in known}
    if other:
        own["additional_kwargs"] = {**own.get("additional_kwargs", {}), **other}
    return native_class(**{key: value for key, value in given.items() if value is not None}, **own)
