"""The native side of a tier: the user's own chat model, ready to be asked thousands of times.

Bindings are peeled off once, the SDK's own retries are switched off (the flow counts and bounds them), and tools are
bound once for each set of tools. A handle never answers on its own, and its pickle holds neither clients nor secrets.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, load
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.config import merge_configs

from langchain_tuppence.warned import beta_allowed
from tuppence.errors import ConfigError

# A model remembers as many sets of tools as an application has agents; past that, binding again is right.
_MAX_BINDINGS = 64
_CLIENT_FIELDS = ("root_client", "root_async_client", "client", "async_client")
_CACHED_CLIENTS = ("_client", "_async_client")
_HTTP_CLIENTS = ("http_client", "http_async_client")
_CONFIG_KEYS = ("tags", "metadata", "callbacks", "run_name", "max_concurrency")
_ENDPOINTS = ("openai_api_base", "anthropic_api_url", "base_url", "endpoint", "azure_endpoint")


class Handle:
    """One tier's native model."""

    __slots__ = ("_bindings", "config", "factory", "kwargs", "model", "name")

    def __init__(self, name: str, source: Any, *, output_version: str | None = None) -> None:
        self.name = name
        self.factory: Callable[[], Any] | None = None
        if not isinstance(source, Runnable) and callable(source):
            self.factory = source
            source = source()
        model, self.kwargs, self.config = peel(name, source)
        self.model = prepared(model, output_version=output_version)
        self._bindings: dict[Any, tuple[Any, dict[str, Any]]] = {}

    # -- what it is

    @property
    def model_name(self) -> str:
        """Name by which the provider bills it, as far as LangChain knows."""
        named = self.kwargs.get("model") or self._ls().get("ls_model_name")
        if not named:
            named = next((v for n in ("model_name", "model", "model_id") if (v := getattr(self.model, n, None))), "")
        return str(named)

    @property
    def provider(self) -> str | None:
        return self._ls().get("ls_provider")

    @property
    def profile(self) -> Mapping[str, Any] | None:
        """What LangChain knows of its abilities; None where it knows nothing."""
        return getattr(self.model, "profile", None) or None

    def setting(self, name: str) -> Any:
        """Return a sampling or length setting of the bound arguments, else of the model object."""
        value = self.kwargs.get(name)
        return getattr(self.model, name, None) if value is None else value

    def digest(self) -> str:
        """Hash what of this model can change an answer: its parameters, bound arguments and endpoint."""
        described: list[Any] = [type(self.model).__qualname__, dict(self.model._identifying_params), self.kwargs]
        described += [getattr(self.model, name, None) for name in _ENDPOINTS]
        return hashlib.blake2b(repr(described).encode(), digest_size=6).hexdigest()

    def _ls(self) -> Mapping[str, Any]:
        ls: Mapping[str, Any] = self.model._get_ls_params()
        return ls

    # -- asking it

    def child_config(self, config: RunnableConfig) -> RunnableConfig:
        """Add the tags, metadata and callbacks of the user's own `with_config`."""
        return merge_configs(self.config, config) if self.config else config

    def with_tools(self, tools: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that this model's own `bind_tools` makes of `tools`; remembered by their identity."""
        key = (id(tools), repr(options))
        found = self._bindings.get(key)
        if found is None or found[0] is not tools:
            if len(self._bindings) >= _MAX_BINDINGS:
                self._bindings.pop(next(iter(self._bindings)))
            found = self._bindings[key] = (tools, self._bound(tools, options))
        return found[1]

    def _bound(self, tools: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        known = inspect.signature(type(self.model).bind_tools).parameters
        choice = options.get("tool_choice")
        passed = {n: v for n, v in options.items() if n == "tool_choice" or n in known}
        if choice == "none" and "parallel_tool_calls" not in known:
            # Without that word in its vocabulary a model that may not call tools is one that has none.
            return {}
        bound = self.model.bind_tools(tools, **passed)
        _, kwargs, _ = peel(self.name, bound)
        return kwargs

    def over(self, model: BaseChatModel) -> Handle:
        """Return a handle on `model`: this one's, over other connections."""
        other = object.__new__(Handle)
        other.name, other.kwargs, other.config, other.factory = self.name, self.kwargs, self.config, self.factory
        other.model, other._bindings = model, {}
        return other

    # -- moving to another process

    def __deepcopy__(self, _memo: dict[int, Any]) -> Handle:
        return self

    def __getstate__(self) -> dict[str, Any]:
        config = {k: v for k, v in self.config.items() if k != "callbacks"}
        model = None if self.factory is not None else self._portable()
        return {"name": self.name, "kwargs": self.kwargs, "config": config, "factory": self.factory, "model": model}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.name, self.kwargs, self.config = state["name"], state["kwargs"], state["config"]
        self.factory, self._bindings = state["factory"], {}
        if self.factory is not None:
            self.model = prepared(peel(self.name, self.factory())[0])
            return
        form, model = state["model"]
        self.model = prepared(revived(model) if form == "langchain" else model)

    def _portable(self) -> tuple[str, Any]:
        if not self.model.is_lc_serializable():
            return "pickle", self.model
        custom = [n for n in _HTTP_CLIENTS if getattr(self.model, n, None) is not None]
        if custom:
            raise ConfigError(
                f"tier {self.name!r} cannot be pickled: its model holds {custom}, which lives in this process; "
                "give the tier a function without arguments that makes the model"
            )
        return "langchain", dumpd(self.model)


def revived(dumped: Any) -> Any:
    """Make a model of what `dumpd` made of it; keys come from the environment of this process."""
    with beta_allowed():
        if "allowed_objects" not in inspect.signature(load).parameters:
            # langchain-core before 1.2 revives whatever LangChain integrations it knows.
            return load(dumped)
        return load(dumped, allowed_objects="all", secrets_from_env=True)


def peel(name: str, source: Any) -> tuple[BaseChatModel, dict[str, Any], RunnableConfig]:
    """Take the bindings off a model: outer arguments win over inner ones, as LangChain applies them."""
    kwargs: dict[str, Any] = {}
    config: RunnableConfig = {}
    while isinstance(source, RunnableBinding):
        kwargs = {**source.kwargs, **kwargs}
        config = merge_configs(source.config, config) if source.config else config
        if source.config_factories:
            raise ConfigError(f"tier {name!r} has listeners (with_listeners): put them on ChatTuppence instead")
        source = source.bound
    if not isinstance(source, BaseChatModel):
        raise ConfigError(
            f"tier {name!r} is a {type(source).__name__}: a tier is a chat model, or one with bound arguments; "
            "put chains, retries and fallbacks around ChatTuppence, which retries and falls back itself"
        )
    return source, kwargs, _told(config)


def _told(config: RunnableConfig) -> RunnableConfig:
    """Keep of a binding's config what says something."""
    return cast("RunnableConfig", {k: v for k, v in config.items() if v and k in _CONFIG_KEYS})


def prepared(model: BaseChatModel, *, output_version: str | None = None) -> BaseChatModel:
    """Return the model with its SDK's retries off, its streams reporting usage, on the same connections.

    The client is rebuilt: `model_copy(update={"max_retries": 0})` alone leaves the built client at its old count.
    """
    fields = type(model).model_fields
    update: dict[str, Any] = {}
    if "max_retries" in fields:
        update["max_retries"] = 0
    if "stream_usage" in fields and getattr(model, "stream_usage", False) is None:
        # ChatOpenAI leaves usage out of streams from other servers unless told.
        update["stream_usage"] = True
    if output_version is not None and getattr(model, "output_version", output_version) != output_version:
        update["output_version"] = output_version
    if not update:
        return model
    for field in _CLIENT_FIELDS:
        rebuilt = _without_retries(getattr(model, field, None))
        if rebuilt is not None:
            update[field] = rebuilt
    copy = model.model_copy(update=update)
    for cached in _CACHED_CLIENTS:
        copy.__dict__.pop(cached, None)
    return copy


def _without_retries(client: Any) -> Any:
    """Rebuild an SDK's client, or the resource of one (`client.chat.completions`); None for anything else."""
    if callable(getattr(client, "with_options", None)):
        return client.with_options(max_retries=0)
    inner: Any = getattr(client, "_client", None)
    if callable(getattr(inner, "with_options", None)):
        return type(client)(inner.with_options(max_retries=0))
    return None
