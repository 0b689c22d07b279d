"""Where alerts are told: a log, a webhook, a Slack channel. A channel that fails says so in the log, and nothing else
happens.

An address may itself be the secret, as Slack's are: messages hold its host and nothing more of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tuppence.errors import ConfigError
from tuppence.spend.alerts.alert import Alert
from tuppence.spend.alerts.shown import as_fields, sentence, slack_message

Channel = Callable[[Sequence[Alert]], bool]
"""Tells alerts and says whether they were told; never raises."""

_LOG = logging.getLogger("tuppence.alerts")
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOP_WAIT_S = 30.0


def log(alerts: Sequence[Alert]) -> bool:
    """Write each alert as a warning to the logger `tuppence.alerts`."""
    for one in alerts:
        _LOG.warning("%s", sentence(one))
    return True


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts alerts as JSON: one object with `alerts`, or, through `slack`, blocks that Slack shows."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent along, such as a key; never logged."""
    body: Callable[[Sequence[Alert]], dict[str, Any]] = lambda alerts: {"alerts": [as_fields(one) for one in alerts]}
    tries: int = 3
    timeout_s: float = 10.0
    wait_s: float = 1.0
    """Before the second try; twice as long before each further one, or what the receiver asks for."""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ConfigError("the webhook's address is none that can be posted to: give https://host/path")

    def __call__(self, alerts: Sequence[Alert]) -> bool:
        if not alerts:
            return True
        import httpx

        body = self.body(alerts)
        try:
            with httpx.Client(timeout=self.timeout_s, headers=dict(self.headers)) as client:
                return any(self._told(client, body, tried) for tried in range(self.tries))
        except _Refused as refused:
            why = str(refused)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            # Without its text, which may quote the address.
            why = type(error).__name__
        _LOG.error("%d alerts were not told to %s: %s", len(alerts), self._host, why)
        return False

    def _told(self, client: Any, body: dict[str, Any], tried: int) -> bool:
        """Post once; return False to try again, raise when there is no use or no try left."""
        import httpx

        last = tried + 1 >= self.tries
        wait = self.wait_s * 2**tried
        try:
            answer = client.post(self.url, json=body)
        except httpx.TransportError:
            if last:
                raise
        else:
            if answer.is_success:
                return True
            if last or answer.status_code not in _AGAIN:
                raise _Refused(f"it answered {answer.status_code}")
            asked = answer.headers.get("retry-after", "")
            wait = float(asked) if asked.isdigit() else wait
        time.sleep(min(wait, _TOP_WAIT_S))
        return False

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or "?"


class _Refused(Exception):
    """The receiver's answer was no."""


def slack(url: str) -> Webhook:
    """Tell alerts to an incoming webhook of Slack, or of what understands its messages."""
    return Webhook(url, body=slack_message)
