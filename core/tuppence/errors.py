"""The error tree: one root, a few branches, so that a caller can catch as widely or as narrowly as it needs.

A message names the cause, the offending value and the fix. Provider exceptions are never wrapped: code that
catches `openai.RateLimitError` today keeps working; tuppence only adds notes to them.
"""

from __future__ import annotations


class TuppenceError(Exception):
    """Root of everything that tuppence raises on its own account."""


class ConfigError(TuppenceError, ValueError):
    """A policy or configuration that cannot work: unknown key, missing price, threshold out of range."""


class RequestError(TuppenceError, ValueError):
    """A request that no tier could answer as it stands: no messages, wrong types, unknown tier."""


class PriceError(TuppenceError, ValueError):
    """A price that is not one: negative, not a number, or for an unknown unit."""


class UsageError(TuppenceError, ValueError):
    """A provider payload that does not say what was used."""


class ScopeError(TuppenceError):
    """A guard kept the request back: a tenant scope is missing, or no tier may see this data class."""


class CallFailed(TuppenceError):
    """No tier answered, and no provider exception says why (all declined, were skipped or are resting)."""


class SpendLimitReached(TuppenceError):
    """The call's spending limit is used up and no draft is there to return."""


class BudgetExceeded(SpendLimitReached):
    """A budget has no room for the call: nobody was asked."""


class BudgetError(TuppenceError):
    """A budget that cannot be checked: its counters cannot be reached, or the call lacks the tag that it goes by."""


class LedgerError(TuppenceError):
    """The ledger cannot be opened, read or written; the message says where its rows are now."""


class CacheError(TuppenceError):
    """A cache store that cannot be opened. Failures after opening are recorded, never raised."""
