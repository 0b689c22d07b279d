"""When an edit of a conversation pays, to the pico-dollar: shorter prompts against a prefix that must be written again.

A provider that holds a prompt's beginning reads it at a fraction of the price. An edit inside of it makes every token
behind the edit new. This room counts both sides exactly, and must never guess a price: without one, nothing pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tuppence.errors import ConfigError
from tuppence.prices import PicoUSD, Rate, usd
from tuppence.usage import Usage

WriteBucket = Literal["input", "cache_write_5m", "cache_write_1h"]
LIFETIME_S = 300.0
"""How long a prefix is held after its last use: the shortest that Anthropic and OpenAI promise."""


@dataclass(frozen=True, slots=True)
class PromptPrice:
    """What a prompt's tokens cost at a model, and how long its provider holds a prefix."""

    rate: Rate
    writes: WriteBucket = "input"
    """The bucket in which what is written to the cache is billed: Anthropic has its own, OpenAI bills it as input."""
    caches: bool = True
    """False where the provider holds no prefix: every token is then input, every call."""
    lifetime_s: float = LIFETIME_S
    minimum_tokens: int = 0
    """Shorter prefixes are not held."""

    def __post_init__(self) -> None:
        if self.lifetime_s <= 0:
            raise ConfigError(f"lifetime_s is {self.lifetime_s}: give seconds above 0, or caches=False")
        if self.minimum_tokens < 0:
            raise ConfigError(f"minimum_tokens is {self.minimum_tokens}: it cannot be below 0")

    @property
    def marked(self) -> bool:
        """Say whether the provider holds what requests mark: past an edit it then reads only up to a mark before it."""
        return self.caches and self.writes != "input"

    def cost(self, tokens: int, held_tokens: int = 0) -> PicoUSD | None:
        """Return what a prompt of so many tokens costs when its first `held_tokens` are held; None without a price."""
        held = min(held_tokens, tokens) if self.holds(held_tokens) else 0
        new = tokens - held
        if not self.caches:
            return self.rate.cost(Usage(input=new))
        if self.writes == "input":
            return self.rate.cost(Usage(input=new, cache_read=held))
        if self.writes == "cache_write_5m":
            return self.rate.cost(Usage(cache_read=held, cache_write_5m=new))
        return self.rate.cost(Usage(cache_read=held, cache_write_1h=new))

    def holds(self, tokens: int) -> bool:
        """Say whether a prefix of so many tokens is held at all."""
        return self.caches and tokens >= max(1, self.minimum_tokens)


@dataclass(frozen=True, slots=True)
class Change:
    """One way to shorten a prompt, in tokens."""

    held_tokens: int
    """How much of the prompt as it would be sent otherwise is held now."""
    edit_at: int
    """How much of it is still read once the change is made: what stands before the first token that changes."""
    before: int
    """The whole prompt, unchanged."""
    after: int
    """The whole prompt, changed."""
    overhead_pico: PicoUSD = 0
    """What making the change costs: a summary, for example."""


@dataclass(frozen=True, slots=True)
class Net:
    """What a change is expected to bring, in pico-USD: below 0, it costs more than it saves."""

    now_pico: PicoUSD
    """Saved in this call; below 0 where the part behind the edit must be written again."""
    later_pico: Fraction
    """Saved in each further call."""
    further_calls: Fraction
    """How many further calls are expected before the prefix is forgotten."""
    overhead_pico: PicoUSD = 0

    @property
    def once_pico(self) -> PicoUSD:
        """What is paid at once for what is saved later; 0 where this call saves already."""
        return max(0, self.overhead_pico - self.now_pico)

    @property
    def pico(self) -> PicoUSD:
        """All of it, rounded down."""
        return (self.now_pico - self.overhead_pico) + int(self.later_pico * self.further_calls // 1)

    def pays(self, times: Fraction = Fraction(1)) -> bool:
        """Say whether what is saved later is more than `times` what is paid at once, and anything is saved at all."""
        return self.pico > 0 and self.later_pico * self.further_calls >= times * self.once_pico

    def __str__(self) -> str:
        calls = f"{float(self.further_calls):.1f} further calls expected"
        verdict = "saves" if self.pico > 0 else "would lose"
        total, now, each = usd(abs(self.pico)), usd(self.now_pico - self.overhead_pico), usd(int(self.later_pico))
        return f"{verdict} ${total:.6f} ({now:+.6f} now, {each:+.6f} in each call after it; {calls})"


def net_of(change: Change, price: PromptPrice, further_calls: Fraction) -> Net | None:
    """Return what a change brings over this call and `further_calls` more; None where a part has no price.

    Let H tokens be held, E <= H stand before the edit, R of those behind it go, and S of them stay. Unchanged, H is
    read; changed, E is read and S written anew. With i the input price, w a write and r a read over it:

        now   = i (R r - S (w - r))     each further call = i R r
        net   = i ((1 + n) R r - S (w - r)) - overhead

    so that a change pays where (1 + n) R r > S (w - r) + overhead / i, n further calls after this one. Tokens that go
    behind H were never held: they save w now, and r later. Without a prefix cache w = r = 1, and every cut pays.
    Each side is priced as a whole call, so steps in long-context prices are counted too.
    """
    kept_now = price.cost(change.before, change.held_tokens)
    cut_now = price.cost(change.after, min(change.edit_at, change.held_tokens))
    kept_later = price.cost(change.before, change.before)
    cut_later = price.cost(change.after, change.after)
    if kept_now is None or cut_now is None or kept_later is None or cut_later is None:
        return None
    return Net(kept_now - cut_now, Fraction(kept_later - cut_later), further_calls, change.overhead_pico)
