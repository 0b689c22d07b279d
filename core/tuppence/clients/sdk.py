"""What the OpenAI and Anthropic SDKs have in common, told by looking at their objects.

Both are generated alike: every method ends in `client.post(path, cast_to=..., body=..., options=...)`. Neither is
imported here, so that `import tuppence` costs nothing and any version that keeps this form will do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from tuppence.errors import ConfigError, TuppenceError

Family = Literal["openai", "anthropic"]

_FAMILIES: Mapping[str, Family] = {"openai._base_client": "openai", "anthropic._base_client": "anthropic"}
_PROVIDERS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
_UNSET = ("NotGiven", "Omit")
_RAW_RESPONSE_HEADER = "x-stainless-raw-response"
_HELPER_HEADERS = "x-stainless-"


class NotAnAnswer(TuppenceError, TypeError):
    """A provider answered 200 with something that is not what was asked for."""


def family_of(client: Any) -> Family:
    """Say whose SDK a client is of; raises `ConfigError` for anything else."""
    for cls in type(client).__mro__:
        if (family := _FAMILIES.get(cls.__module__)) is not None:
            return family
    raise ConfigError(
        f"got {client!r} ({type(client).__name__}): give a client of the OpenAI or the Anthropic SDK, "
        "such as openai.OpenAI() or anthropic.AsyncAnthropic()"
    )


def is_async(client: Any) -> bool:
    return any(cls.__name__ == "AsyncAPIClient" for cls in type(client).__mro__)


def provider_of(client: Any) -> str | None:
    """Name the provider that a client talks to, as far as its address tells."""
    return _PROVIDERS.get(urlsplit(str(client.base_url)).hostname or "")


def twin_of(client: Any, post: Callable[..., Any]) -> Any:
    """Copy a client on the same connections, whose methods send what they send by `post`."""
    twin = copy.copy(client)
    twin.post = post
    for name, value in vars(client).items():
        # Resources (`chat`, `messages` ...) hold on to the client that made them.
        if getattr(value, "_client", None) is client:
            setattr(twin, name, type(value)(twin))
    return twin


def wants_raw(headers: Mapping[str, Any] | None) -> bool:
    """Say whether a request was made by `with_raw_response` or `with_streaming_response`."""
    return any(name.lower() == _RAW_RESPONSE_HEADER for name in headers or ())


def own_headers(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Keep the headers that the caller gave, without those by which the SDK's helpers name themselves."""
    return {
        name.lower(): str(value)
        for name, value in (headers or {}).items()
        if not name.lower().startswith(_HELPER_HEADERS) and type(value).__name__ not in _UNSET
    }


def plain(value: Any) -> Any:
    """Copy what a caller gave as plain data: models become dicts, iterables lists, and what is unset is left out.

    Leaves (files, paths, dates) stay as they are; the SDK knows how to send them.
    """
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items() if type(item).__name__ not in _UNSET}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    if hasattr(type(value), "model_dump"):
        # The SDKs' own rule for answers that are sent back as history.
        excluded = getattr(value, "__api_exclude__", None)
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False)
    if hasattr(value, "__iter__") and not hasattr(value, "read"):
        return [plain(item) for item in value]
    return value


def dumped(native: Any) -> dict[str, Any]:
    """Return the JSON that an SDK object was made of."""
    data: dict[str, Any] = native.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    return data


def built(kind: Any, data: Mapping[str, Any]) -> Any:
    """Make an SDK object of its JSON as the SDK does, without validation; of a union by the data's `type`."""
    cls = kind if isinstance(kind, type) else _variants(kind)[data["type"]]
    return cls.model_construct(**data)  # type: ignore[attr-defined]


@lru_cache(maxsize=32)
def _variants(kind: Any) -> Mapping[str, type]:
    kind = getattr(kind, "__value__", kind)
    if get_origin(kind) is Annotated:
        return _variants(get_args(kind)[0])
    if not isinstance(kind, type):
        return {name: cls for part in get_args(kind) for name, cls in _variants(part).items()}
    names = get_args(kind.model_fields["type"].annotation)  # type: ignore[attr-defined]
    return dict.fromkeys(names, kind)


def chunk_type(stream_cls: Any) -> Any:
    """Return what a stream of this class yields: `ChatCompletionChunk` for `Stream[ChatCompletionChunk]`."""
    return get_args(stream_cls)[0]
