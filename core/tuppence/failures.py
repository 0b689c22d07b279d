"""What a provider's exception means for the call: may it be retried, elsewhere, or never. Knows no SDK by
import.

The OpenAI, Anthropic, Google and httpx families all carry `status_code` and response headers; their class names
tell the rest.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

from tuppence.effects import Failed, FailureKind
from tuppence.errors import UsageError
from tuppence.usage import Usage, read_usage

# LangGraph steers graphs by raising these: they are not failures and must reach the graph untouched.
_CONTROL_FLOW = frozenset({"GraphBubbleUp"})

_BY_STATUS: Mapping[int, FailureKind] = {
    400: "bad_request", 401: "auth", 403: "auth", 404: "bad_request", 408: "timeout", 409: "server",
    413: "context_length", 422: "bad_request", 425: "server", 429: "rate_limit", 503: "full", 529: "server",
}  # fmt: skip

_BY_NAME: tuple[tuple[str, FailureKind], ...] = (
    ("Timeout", "timeout"),
    ("ContextOverflow", "context_length"),
    ("RateLimit", "rate_limit"),
    ("Authentication", "auth"),
    ("PermissionDenied", "auth"),
    ("JSONDecode", "garbage"),
    ("ResponseValidation", "garbage"),
    ("OutputParser", "garbage"),
    ("Connect", "connection"),
    ("Connection", "connection"),
    ("RemoteProtocol", "connection"),
    ("ReadError", "connection"),
    ("InternalServer", "server"),
    ("Overloaded", "server"),
)


# Raised before a request was on its way.
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ConnectionRefused", "gaierror")
_PASSES = "_tuppence_passes"


def is_control_flow(error: BaseException) -> bool:
    """Say whether `error` steers a framework, or was let through, and must pass untouched."""
    return hasattr(error, _PASSES) or any(cls.__name__ in _CONTROL_FLOW for cls in type(error).__mro__)


def let_through(error: BaseException) -> None:
    """Mark an exception that is no failure of a tier: it ends the call as it is, without retry or fail-over."""
    setattr(error, _PASSES, True)


def failed(error: BaseException, *, latency_ms: float = 0.0) -> Failed:
    """Describe a provider's exception as an outcome."""
    kind = _kind(error)
    begun = kind in ("timeout", "connection", "garbage", "unknown") and not _never_sent(error)
    return Failed(
        error, kind, retry_after_s=_retry_after_s(error), latency_ms=latency_ms, begun=begun, usage=usage_told(error)
    )


def usage_told(error: BaseException) -> Usage | None:
    """Read what a failed call used where its exception carries the provider's answer, else None.

    The OpenAI SDK raises one where an answer that it was to parse was cut off by `max_tokens`: that answer is billed.
    """
    completion = getattr(error, "completion", None)
    if getattr(completion, "usage", None) is None:
        return None
    try:
        return read_usage("chat", completion)
    except UsageError:
        return None


def _never_sent(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if any(part in type(cause).__name__ for part in _NOT_SENT):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _kind(error: BaseException) -> FailureKind:
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        if status in (400, 413) and _says_too_long(error):
            return "context_length"
        return _BY_STATUS.get(status) or ("server" if status >= 500 else "bad_request")
    names = [cls.__name__ for cls in type(error).__mro__]
    for part, kind in _BY_NAME:
        if any(part in name for name in names):
            return kind
    if isinstance(error, TypeError) and "argument" in str(error):
        # A parameter that this SDK's method does not know: the same call fails the same way for ever.
        return "bad_request"
    if isinstance(error, TypeError | AttributeError | KeyError | IndexError):
        # What SDKs and frameworks raise when a 200 carries something that is not a completion.
        return "garbage"
    return "unknown"


def _says_too_long(error: BaseException) -> bool:
    text = str(error).lower()
    return "context_length" in text or "context length" in text or "prompt is too long" in text


def _retry_after_s(error: BaseException) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < 1e6 else None
