"""How sure does the model say it is? Models are too sure: calibrate the threshold on your own traffic first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request
from tuppence.signals import read_json


@dataclass(frozen=True, slots=True)
class SelfConfidence(Composable):
    """Scores what the answer's JSON says of itself; 0 where it says nothing that can be read."""

    field: str
    out_of: float

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        text = reply.tool_calls[0].arguments if reply.tool_calls else reply.text
        try:
            answer = read_json(text)
        except ValueError as error:
            return Verdict(0.0, f"no confidence to read: the answer is not JSON ({error})")
        if not isinstance(answer, Mapping) or self.field not in answer:
            return Verdict(
                0.0, f"no confidence to read: the answer has no field {self.field!r}; ask for it in the prompt"
            )
        value = answer[self.field]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= self.out_of:
            return Verdict(0.0, f"{self.field!r} is {value!r}: a number from 0 to {self.out_of:g} was expected")
        return Verdict(value / self.out_of, f"the model gives itself {value:g} of {self.out_of:g}")


def self_confidence(field: str = "confidence", *, out_of: float = 1.0) -> SelfConfidence:
    """Score answers by the number that their JSON object has in `field`, from 0 to `out_of`."""
    if not out_of > 0:
        raise ConfigError(f"out_of is {out_of}: it is the highest confidence, such as 1, 10 or 100")
    return SelfConfidence(field, out_of)
