"""Alerts: what costs more than usual, by more than noise, and what changed most."""

from tuppence.spend.alerts.alert import Alert
from tuppence.spend.alerts.channels import Channel, Webhook, log, slack
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.shown import as_fields, sentence, slack_message
from tuppence.spend.alerts.watch import Checked, check, checked

__all__ = [
    "Alert", "AlertRules", "Channel", "Checked", "Webhook", "as_fields", "check", "checked", "log", "sentence", "slack",
    "slack_message",
]  # fmt: skip
