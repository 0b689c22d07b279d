"""What a token of one's own really costs: the price of the GPU's hours, idle ones too, over the tokens served in them.

    price of an output token = cost x decode time  / (prefill time + decode time) / output tokens
    price of an input token  = cost x prefill time / (prefill time + decode time) / prompt tokens that were computed

Cost is GPUs x hours x price of an hour, for all the time from the first reading to the last. Times are those that
requests spent in each phase, added up over requests, as vLLM measures them: the share of the machine that each phase
held. Prompt tokens found in the prefix cache were not computed and held nothing, so their price is 0, and the sum over
all calls is the cost of the machine. What is not measured is never made up: it takes a ratio that somebody states,
or is unpriced.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from tuppence.prices import Line, PicoUSD, TokenRate
from tuppence.prices.money import nano_per_million, rounded
from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.readings import ReadingLog, Served
from tuppence.usage import Usage

_HOUR_US = 3_600_000_000
_WEEK_S = 7 * 86_400.0
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Amortised:
    """What the tokens of one tier's servers came to over a window."""

    served: tuple[Served, ...]
    """By server, one or more."""
    nano_usd_per_hour: int
    """Price of one GPU's hour."""
    gpus: int = 1
    """GPUs of each server."""
    output_per_input: Fraction | None = None
    """How many input tokens an output token is worth; None: as the time that both took says."""

    @property
    def gpu_hours(self) -> Fraction:
        return Fraction(self._gpu_us, _HOUR_US)

    @property
    def pico_usd(self) -> PicoUSD:
        """What the GPUs cost, whatever they did."""
        return rounded(self._gpu_us * self.nano_usd_per_hour * 1000, _HOUR_US)

    @property
    def prompt_tokens(self) -> int:
        return sum(one.prompt_tokens for one in self.served)

    @property
    def generated_tokens(self) -> int:
        return sum(one.generated_tokens for one in self.served)

    @property
    def computed_tokens(self) -> int | None:
        """Prompt tokens that were computed; None where a server does not tell them from cached ones."""
        computed = [one.computed_tokens for one in self.served]
        return None if None in computed else sum(filter(None, computed))

    @property
    def usd_per_million(self) -> Decimal:
        """Dollars for a million tokens of any kind, read or written; raises `SelfHostError` where none were served."""
        tokens = self.prompt_tokens + self.generated_tokens
        if not tokens:
            raise SelfHostError(_NOTHING)
        return Decimal(rounded(self._gpu_us * self.nano_usd_per_hour * 1_000_000, _HOUR_US * tokens)).scaleb(-9)

    def rate(self) -> TokenRate:
        """Return the price as a rate, for servers that tell each caller how much of a prompt was cached
        (`--enable-prompt-tokens-details`). Raises `SelfHostError` where nothing was served, or nothing says how to
        divide the cost.
        """
        computed = self.computed_tokens
        if computed is None:
            return self.rate_for_whole_prompts()
        read, written = self._divided(computed)
        return self._rate(read, written, cached=0)

    def rate_for_whole_prompts(self) -> TokenRate:
        """Return the price where callers are not told what was cached: one for all prompt tokens. Raises likewise."""
        read, written = self._divided(self.prompt_tokens)
        return self._rate(read, written, cached=read)

    @property
    def version(self) -> str:
        """Name server and window, for the ledger."""
        whose = ",".join(one.server.partition("://")[2] for one in self.served)
        return f"selfhost/{whose}/{_iso(self.since)}--{_iso(self.until)}"

    @property
    def since(self) -> float:
        return min(one.since for one in self.served)

    @property
    def until(self) -> float:
        return max(one.until for one in self.served)

    @property
    def _gpu_us(self) -> int:
        return self.gpus * sum(round(one.seconds * 1e6) for one in self.served)

    def _rate(self, read: int, written: int, *, cached: int) -> TokenRate:
        return TokenRate(self.version, {"standard": {"input": read, "cache_read": cached, "output": written}})

    def _divided(self, prompt: int) -> tuple[int, int]:
        """Divide the cost over so many prompt tokens and those generated: nano-USD for a million of each."""
        generated = self.generated_tokens
        if not prompt and not generated:
            raise SelfHostError(_NOTHING)
        cost = Fraction(self._gpu_us * self.nano_usd_per_hour, _HOUR_US)
        reading = self._reading_share(prompt)
        return _per_million(cost * reading, prompt), _per_million(cost * (1 - reading), generated)

    def _reading_share(self, prompt: int) -> Fraction:
        """Say which part of the cost was for reading prompts."""
        generated = self.generated_tokens
        if not prompt or not generated:
            return Fraction(bool(prompt))
        if self.output_per_input is not None:
            return prompt / (prompt + self.output_per_input * generated)
        read = [one.prefill_s for one in self.served]
        written = [one.decode_s for one in self.served]
        if None in read or None in written or not sum(filter(None, read)) + sum(filter(None, written)):
            raise SelfHostError(
                f"{', '.join(one.server for one in self.served)}: the metrics do not say how long prompts were read "
                "and answers written, so nothing says what an output token is worth in input tokens: state it, "
                "output_per_input='4' or --output-per-input 4"
            )
        prefill, decode = (sum(map(Fraction, filter(None, times)), Fraction(0)) for times in (read, written))
        return prefill / (prefill + decode)


_NOTHING = "no token was served in this time, so that none has a price: widen the window, or send the server some calls"


def _per_million(nano: Fraction, tokens: int) -> int:
    return rounded(nano.numerator * 1_000_000, nano.denominator * tokens) if tokens else 0


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def amortised(
    served: Served | Sequence[Served], gpu_hour: Decimal | str | int, *, gpus: int = 1,
    output_per_input: Decimal | str | int | None = None,
) -> Amortised:  # fmt: skip
    """Work out what tokens came to, at `gpu_hour` US dollars for one GPU's hour and `gpus` of them a server.

    Raises `PriceError` for a price that is none, and `SelfHostError` for numbers that make no sense.
    """
    several = (served,) if isinstance(served, Served) else tuple(served)
    if not several or gpus < 1:
        raise SelfHostError(f"{len(several)} servers with {gpus} GPUs each: give at least one server and one GPU")
    ratio = None if output_per_input is None else Fraction(Decimal(output_per_input))
    if ratio is not None and ratio <= 0:
        raise SelfHostError(
            f"output_per_input is {output_per_input}: an output token is worth more than 0 input tokens"
        )
    return Amortised(several, nano_per_million(gpu_hour, "gpu_hour"), gpus, ratio)


class MeteredRate:
    """The amortised price as of any moment: that of the readings in the window before it.

    Looked up anew once a minute; every call in between has the same. Without readings calls are unpriced, and say why.
    """

    def __init__(
        self, place: ReadingLog, servers: Sequence[str], gpu_hour: Decimal | str | int, *, gpus: int = 1,
        window_s: float = _WEEK_S, output_per_input: Decimal | str | int | None = None,
    ) -> None:  # fmt: skip
        """`window_s`: how much time the price is taken over; a week holds nights and week-ends in their proportion."""
        if window_s <= 0:
            raise SelfHostError(f"window_s is {window_s}: give seconds above 0, such as {_WEEK_S:g} for a week")
        nano_per_million(gpu_hour, "gpu_hour")
        self._log = place
        self._servers = tuple(servers)
        self._given = {"gpu_hour": gpu_hour, "gpus": gpus, "output_per_input": output_per_input}
        self._window_s = window_s
        self._held: tuple[int, TokenRate] | None = None
        """Which minute, and its price. One tuple, swapped whole: threads read it without a lock."""

    def __repr__(self) -> str:
        return f"MeteredRate({', '.join(self._servers)})"

    @property
    def version(self) -> str:
        return self.at(time.time()).version

    def at(self, moment: float) -> TokenRate:
        """Return the price in force at a moment (Unix seconds)."""
        minute, held = math.floor(moment / _MINUTE_S), self._held
        if held is not None and held[0] == minute:
            return held[1]
        rate = self._looked_up(minute * _MINUTE_S)
        self._held = minute, rate
        return rate

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the cost as of now, or None where there is no price yet."""
        return self.at(time.time()).cost(usage)

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        return self.at(time.time()).lines(usage)

    def why_unpriced(self, usage: Usage) -> str | None:
        return self.at(time.time()).why_unpriced(usage)

    def _looked_up(self, moment: float) -> TokenRate:
        """Work the price out; what keeps it from being known makes calls unpriced and fails none."""
        try:
            found = [self._log.served(one, since=moment - self._window_s, until=moment) for one in self._servers]
            served = [one for one in found if one is not None]
            if not served:
                raise SelfHostError(f"there are no two readings of {', '.join(self._servers)} yet: is a Meter running?")
            return amortised(served, **self._given).rate()  # type: ignore[arg-type]
        except SelfHostError as error:
            return TokenRate("selfhost", {"standard": {}}, unpriceable=str(error))
