"""What a report draws: one generator, seeded with the report's id, and what has been drawn from lists before."""

from __future__ import annotations

import random
import re

from pruning_parts.reports.recipes import Recipe, choices, shared

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([^<>]+)>")
_RANGE = re.compile(r"(-?[\d,.]+?)\.\.(-?[\d,.]+)")


class Draws:
    """Fills sentences with wordings, values, and numbers written as their language writes them."""

    def __init__(self, recipe: Recipe, name: str) -> None:
        self.random = random.Random(name)
        self.language = recipe.head["language"]
        self._recipe = recipe
        self._values: dict[str, str] = {}
        self._left: dict[str, list[str]] = {}

    def one_of(self, name: str) -> str:
        """Draw from a line of the recipe's head, such as `titles`."""
        return self.filled(self.random.choice(choices(self._recipe.head[name])))

    def filled(self, text: str) -> str:
        """Choose wordings and fill slots, those within what was filled too."""
        while _CHOICE.search(text):
            text = _CHOICE.sub(lambda match: self.random.choice(match[1].split("|")), text)
        while _SLOT.search(text):
            text = _SLOT.sub(lambda match: self._value(match[1]), text)
        return text

    def next_of(self, name: str) -> str:
        """Draw from a list without putting back; it begins anew when it is used up."""
        if not self._left.get(name):
            known = self._recipe.lists.get(name) or shared(self.language).lists[name]
            self._left[name] = self.random.sample(known, len(known))
        return self._left[name].pop()

    def spare(self, pool: str) -> str:
        """Draw filling; empty when it is used up, for no report says the same twice."""
        return self.next_of(pool) if self._left.get(pool, True) else ""

    def count(self, spec: str) -> int:
        """Draw from `8..12`, or return the one number there is."""
        low, _, high = spec.partition("..")
        return self.random.randint(int(low), int(high or low))

    def _value(self, name: str) -> str:
        """Return a report-wide value, a number in a range, or the next of a list."""
        if name in self._values:
            return self._values[name]
        if spec := self._recipe.values.get(name):
            drawn = self._number(spec) if _RANGE.fullmatch(spec) else self._chosen(name, choices(spec))
            self._values[name] = drawn
            return drawn
        return self._number(name) if _RANGE.fullmatch(name) else self.next_of(name)

    def _chosen(self, name: str, options: list[str]) -> str:
        """Draw one of several; where the recipe ties it to another value, the one in the same place."""
        if tied := self._recipe.ties.get(name):
            return self.filled(options[choices(self._recipe.values[tied]).index(self._value(tied))])
        return self.filled(self.random.choice(options))

    def _number(self, spec: str) -> str:
        """Draw a number, written as the range's ends are: decimals, and separators where the upper end has them."""
        match = _RANGE.fullmatch(spec)
        assert match is not None, spec
        point, group = (".", ",") if self.language == "en" else (",", ".")
        low, high = (one.replace(group, "").replace(point, ".") for one in match.groups())
        decimals = len(low.partition(".")[2])
        number = self.random.randint(round(float(low) * 10**decimals), round(float(high) * 10**decimals))
        written = f"{number / 10**decimals:{',' if group in match[2] else ''}.{decimals}f}"
        return written if self.language == "en" else written.translate(str.maketrans(",.", ".,"))
