"""Addresses of servers, as they may be shown."""

from __future__ import annotations


def without_password(url: str) -> str:
    """Return an address without what may be a user and a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://...@{rest.rpartition('@')[2]}" if "@" in rest else url
