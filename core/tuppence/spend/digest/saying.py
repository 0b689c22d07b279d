"""Drivers and money in words, shared by the digest and the alerts."""

from __future__ import annotations

from tuppence.prices import PicoUSD, usd
from tuppence.spend.digest.decomposition import Key

_WORDS = {
    "users": ("more users", "fewer users"),
    "chats": ("more chats a user", "fewer chats a user"),
    "turns": ("more calls a chat", "fewer calls a chat"),
    "calls": ("more calls", "fewer calls"),
    "mix": ("dearer kinds of calls", "cheaper kinds of calls"),
    "answer_cache": ("fewer answers from the cache", "more answers from the cache"),
    "attempts": ("more attempts a call", "fewer attempts a call"),
    "tiers": ("dearer tiers", "cheaper tiers"),
    "retries": ("more retries", "fewer retries"),
    "prompt": ("longer prompts", "shorter prompts"),
    "prefix_cache": ("fewer tokens from the prompt cache", "more tokens from the prompt cache"),
    "output": ("longer answers", "shorter answers"),
    "price": ("higher prices a token", "lower prices a token"),
}


def money(pico: PicoUSD) -> str:
    """Show an amount without its sign: cents, and where there are none, as many digits as it takes."""
    amount = abs(usd(pico))
    if amount >= 1000:
        return f"${amount:,.0f}"
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}" if amount >= 1e-4 else f"${amount:.2g}"


def driven(key: Key, pico: PicoUSD) -> str:
    """Say what a driver did: `+$40.00 longer prompts on /chat`."""
    driver, endpoint = key
    where = "" if endpoint is None else f" on {endpoint}"
    more, less = _WORDS[driver]
    if driver == "mix" and endpoint is not None:
        more, less = "a larger part of the calls", "a smaller part of the calls"
    return f"{'+' if pico > 0 else '-'}{money(pico)} {more if pico > 0 else less}{where}"
