"""What a shorter form of an answer saves, and what asking for it costs: both counted, told together."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.prices import PicoUSD, Rate
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class OutputSaving:
    """One answer as it was written, beside the same answer written out."""

    output_before: int
    """Tokens of the answer written out."""
    output_after: int
    """Tokens that the model wrote."""
    prompt_before: int = 0
    """Tokens of the prompt's part that had to change, as it would have been."""
    prompt_after: int = 0

    @property
    def output_tokens_saved(self) -> int:
        """Below 0 where the short form was longer."""
        return self.output_before - self.output_after

    @property
    def prompt_tokens_added(self) -> int:
        return self.prompt_after - self.prompt_before

    def net_pico(self, rate: Rate) -> PicoUSD | None:
        """Price both forms, the prompt as uncached input; None where a part has no price.

        Below 0 where numbering the prompt costs more than the answer saves. Where a provider's cache holds the prompt
        the added tokens cost less than this.
        """
        before = rate.cost(Usage(input=self.prompt_before, output=self.output_before))
        after = rate.cost(Usage(input=self.prompt_after, output=self.output_after))
        return None if before is None or after is None else before - after
