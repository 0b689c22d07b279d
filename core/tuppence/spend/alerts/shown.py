"""Alerts for people, in lines and in Slack's blocks, and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuppence.prices import usd
from tuppence.spend.alerts.alert import Alert

# What Slack takes of one message: https://docs.slack.dev/reference/block-kit/blocks
_MOST_BLOCKS = 50
_LONGEST_TEXT = 2900


def sentence(one: Alert) -> str:
    """Say all of it in one line."""
    return f"{one.said}. Look at: {one.look_at}"


def as_fields(one: Alert) -> dict[str, Any]:
    """Spell it for JSON; money is text, so that no reader rounds it."""
    return {
        "rule": one.rule,
        "scope": one.scope,
        "since": one.since.isoformat(),
        "at": one.at.isoformat(),
        "said": one.said,
        "value": one.value,
        "usual": one.usual,
        "extra_usd": f"{one.extra_usd:f}",
        "drivers": [
            {"driver": driver, "endpoint": endpoint, "usd": f"{usd(pico):f}"}
            for (driver, endpoint), pico in sorted(one.drivers.items(), key=lambda item: -abs(item[1]))
        ],
        "look_at": one.look_at,
    }


def slack_message(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Lay alerts out in blocks; `text` is what a notification shows."""
    title = f"{len(alerts)} alert{'s' if len(alerts) != 1 else ''} about spending"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title}}]
    for one in alerts[: (_MOST_BLOCKS - 1) // 2]:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _escaped(one.said)}})
        blocks.append(
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(f"Look at: {one.look_at}")}]}
        )
    return {"text": _escaped(f"{title}: {alerts[0].said}" if alerts else title), "blocks": blocks}


def _escaped(text: str) -> str:
    """Keep a label from being read as a link or a mention."""
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
