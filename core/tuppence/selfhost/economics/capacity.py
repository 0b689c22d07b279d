"""How many servers it takes: work that arrives at the peak, over what one server may be kept busy with.

    work of a request = prompt tokens / prefill speed + answer tokens / decode speed      (seconds of one replica)
    replicas          = ceil(peak requests a second x work of a request / utilisation)

The first product is the offered load in Erlangs. `utilisation` is the part of it that each replica may carry: in an
M/M/1 queue the time in the system is service time / (1 - utilisation) (Kleinrock, "Queueing Systems" I, 1975, section
3.2), so at .7 a request takes 3.3 times as long as alone, at .9 ten times. A batching server waits less: measure yours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from tuppence.prices.amounts import Amount, amount, part
from tuppence.prices.spelling import count, percent
from tuppence.selfhost.errors import SelfHostError


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a model."""

    requests_per_month: Fraction
    peak_per_s: Fraction
    """Requests a second in the busiest stretch that must be served in time."""
    input_tokens: Fraction
    """Of one request, on average."""
    output_tokens: Fraction

    @classmethod
    def of(cls, *, requests_per_month: Amount, peak_per_s: Amount, input_tokens: Amount, output_tokens: Amount) -> Load:
        """Read the numbers; raises `ConfigError` for what is none."""
        return cls(
            amount("requests_per_month", requests_per_month), amount("peak_per_s", peak_per_s),
            amount("input_tokens", input_tokens), amount("output_tokens", output_tokens),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replica:
    """One server under load, as a benchmark or its meters show it."""

    prefill_per_s: Fraction
    """Prompt tokens a second over all requests that it serves at a time."""
    decode_per_s: Fraction
    """Answer tokens a second, likewise."""
    utilisation: Fraction
    """How busy it may be at the peak, above 0 and at most 1."""

    @classmethod
    def of(cls, *, prefill_per_s: Amount, decode_per_s: Amount, utilisation: Amount) -> Replica:
        """Read the numbers; raises `ConfigError`, and `SelfHostError` for a speed or utilisation of 0."""
        made = cls(
            amount("prefill_per_s", prefill_per_s),
            amount("decode_per_s", decode_per_s),
            part("utilisation", utilisation),
        )
        if not (made.prefill_per_s and made.decode_per_s and made.utilisation):
            raise SelfHostError(
                f"prefill {prefill_per_s}/s, decode {decode_per_s}/s, utilisation {utilisation}: none may be 0; "
                "measure the speeds under load, and begin with a utilisation of 0.7"
            )
        return made

    def work_s(self, load: Load) -> Fraction:
        """Return the seconds of this replica that one request takes."""
        return load.input_tokens / self.prefill_per_s + load.output_tokens / self.decode_per_s


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many replicas a load takes."""

    replicas: int
    work_s: Fraction
    most_per_s: Fraction
    """Requests a second that those replicas may serve."""
    formula: str


def capacity(load: Load, replica: Replica) -> Capacity:
    """Return the replicas that the peak takes, one at least: a server that nobody asks is paid all the same."""
    work = replica.work_s(load)
    erlangs = load.peak_per_s * work
    replicas = max(1, math.ceil(erlangs / replica.utilisation))
    formula = (
        f"ceil({count(load.peak_per_s)}/s x ({count(load.input_tokens)} / {count(replica.prefill_per_s)} + "
        f"{count(load.output_tokens)} / {count(replica.decode_per_s)}) s / {percent(replica.utilisation)})"
    )
    most = load.peak_per_s if not work else replicas * replica.utilisation / work
    return Capacity(replicas, work, most, formula)
