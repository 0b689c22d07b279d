"""A budget as a user states it: how much, for how long, for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

from tuppence.context import checked_tags
from tuppence.errors import BudgetError, ConfigError, PriceError, RequestError
from tuppence.prices import PicoUSD, pico_usd
from tuppence.request import Tags

Per = Literal["call", "session", "day", "month"]
_PERS = get_args(Per)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Most that calls may cost: `Budget(usd="50", per="month", each="user")`.

    Raises `ConfigError` for what cannot be a budget.
    """

    usd: Decimal | str | int
    """US dollars, above 0."""
    per: Per
    """`session` goes by the tag `session`; days and months by the clock of the `Budgets` that it is in."""
    each: str | None = None
    """The tag whose every value has a budget of its own: each user, each tenant, each endpoint."""
    where: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Only calls with all of these tags count."""
    soft: bool = False
    """Calls that find no room go to the cheapest tier alone, where a hard budget stops them."""
    name: str = ""
    """What messages and counters call it. A budget that is renamed starts at nothing; another amount does not."""
    limit: PicoUSD = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", _limit(self.usd))
        object.__setattr__(self, "usd", Decimal(self.usd))
        object.__setattr__(self, "where", _where(self.where))
        if self.per not in _PERS:
            raise ConfigError(f"a budget is per {self.per!r}: give one of {', '.join(_PERS)}")
        if self.each is not None and not _is_name(self.each):
            raise ConfigError(f"a budget is for each {self.each!r}: name one tag, such as 'user'")
        if self.name and not _is_name(self.name):
            raise ConfigError(f"a budget is called {self.name!r}: give its name as text, such as {str(self.name)!r}")
        if self.per == "call" and self.each:
            raise ConfigError(
                f"a budget per call is for each {self.each!r}: every call has it for itself, so leave `each` out, or "
                "choose the calls by `where`"
            )
        if not self.name:
            object.__setattr__(self, "name", self._made_up_name())

    def applies(self, tags: Tags) -> bool:
        """Say whether a call with these tags counts."""
        return all(tags.get(name) == value for name, value in self.where.items())

    def of(self, tags: Tags) -> tuple[str, ...]:
        """Return the tag values that choose the counter; raises `BudgetError` where the call has no such tag."""
        if not self.split_by:
            return ()
        values = tuple(tags.get(name, "") for name in self.split_by)
        if "" in values:
            missing = self.split_by[values.index("")]
            raise BudgetError(
                f"the budget {self.name!r} goes by the tag {missing!r}, and this call has none: set it around the "
                f"call, with tuppence.tags({missing}=...), or restrict the budget by `where`"
            )
        return values

    @property
    def split_by(self) -> tuple[str, ...]:
        """The tags whose values have counters of their own."""
        session = ("session",) if self.per == "session" else ()
        return session + ((self.each,) if self.each and self.each not in session else ())

    def _made_up_name(self) -> str:
        # Without the amount: one that is changed in the middle of a month keeps what was spent.
        words = ["soft"] if self.soft else []
        words.append(self.per)
        if self.each:
            words.append(f"for each {self.each}")
        if self.where:
            words.append("where " + ", ".join(f"{name}={self.where[name]}" for name in sorted(self.where)))
        return " ".join(words)


def _is_name(given: object) -> bool:
    return isinstance(given, str) and given != ""


def _where(tags: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(tags, Mapping):
        raise ConfigError(f"a budget counts calls where {tags!r}: give tags and values, such as {{'tenant': 'acme'}}")
    try:
        where = checked_tags(tags)
    except RequestError as error:
        raise ConfigError(f"a budget counts calls where {dict(tags)!r}: {error}") from error
    for name, value in where.items():
        if not name or not value:
            raise ConfigError(
                f"a budget counts calls where {name!r} is {value!r}, which no call has: give a tag and value"
            )
    return where


def _limit(amount: Decimal | str | int) -> PicoUSD:
    try:
        limit = pico_usd(amount)
    except PriceError:
        limit = 0
    if limit <= 0:
        raise ConfigError(
            f"a budget of {amount!r} US dollars: give an amount above 0, as text or Decimal, such as '25' or '0.50'"
        )
    return limit
