"""A configuration file as a `ChatTuppence`: builds the native LangChain models that the file names.

Which classes there are and how they are spelt is decided here; what the file means is `tuppence.config`'s to say.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from langchain_tuppence.chat import ChatTuppence
from langchain_tuppence.tiers import tier
from tuppence.config import Config, TierSpec, load_config
from tuppence.errors import ConfigError
from tuppence.selfhost.fleet import http_clients
from tuppence.selfhost.servers import Servers
from tuppence.tiers import Tier

_CLASSES = {
    "openai": ("langchain_openai", "ChatOpenAI", "langchain-openai"),
    "openai_compatible": ("langchain_openai", "ChatOpenAI", "langchain-openai"),
    "vllm": ("langchain_openai", "ChatOpenAI", "langchain-openai"),
    "anthropic": ("langchain_anthropic", "ChatAnthropic", "langchain-anthropic"),
}
# The SDK refuses to be made without a key, and a server of one's own seldom asks for one.
_NO_KEY = "none"


def from_config(config: str | Path | Config, **changes: Any) -> ChatTuppence:
    """Build a model from a file or a loaded `Config`; `changes` are `ChatTuppence` arguments that go first.

    Raises `ConfigError` for anything wrong in the file, a class whose package is missing, or a key that is not set.
    """
    loaded = config if isinstance(config, Config) else load_config(config)
    tiers, judges = ({spec.tier.name: _tier(spec) for spec in specs} for specs in (loaded.tiers, loaded.judges))
    return ChatTuppence(**{"tiers": tiers, "judges": judges, **loaded.options(), **changes})


def _tier(spec: TierSpec) -> Any:
    core: Tier = spec.tier
    if core.answer is not None:
        return core
    key_env = None if spec.api_key is None else spec.api_key_env
    make = partial(
        native, spec.kind, core.model, where=spec.where, base_url=spec.base_url, api_key_env=key_env,
        timeout_s=core.timeout_s, params=dict(spec.params), servers=spec.servers,
    )  # fmt: skip
    return tier(
        make, name=core.name, rate=core.rate, timeout_s=core.timeout_s, additions=core.additions,
        self_hosted=core.self_hosted, capabilities=core.capabilities, reference=core.reference,
        admission=core.admission, stands_in_for=core.stands_in_for,
    )  # fmt: skip


def native(
    kind: str, model: str, *, where: str, base_url: str | None, api_key_env: str | None, timeout_s: float | None,
    params: Mapping[str, Any], servers: Servers | None = None,
) -> Any:  # fmt: skip
    """Make one chat model. Picklable with its arguments, which hold the name of the key's variable and no key."""
    module, name, package = _CLASSES[kind]
    try:
        native_class: Any = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"{where}: class {kind} needs {package}, which is missing ({error}): pip install {package}"
        ) from error
    given: dict[str, Any] = {"model": model, "base_url": base_url, "timeout": timeout_s}
    if api_key_env is not None:
        given["api_key"] = os.environ[api_key_env]
    elif kind in ("vllm", "openai_compatible"):
        given["api_key"] = _NO_KEY
    if servers is not None:
        given["http_client"], given["http_async_client"] = http_clients(servers)
    known = {alias or field for field, info in native_class.model_fields.items() for alias in (info.alias, field)}
    own = {key: value for key, value in params.items() if key in known}
    other = {key: value for key, value in params.items() if key not in known}
    if other:
        own["model_kwargs"] = {**own.get("model_kwargs", {}), **other}
    return native_class(**{key: value for key, value in given.items() if value is not None}, **own)
