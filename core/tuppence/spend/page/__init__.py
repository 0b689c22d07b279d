"""One self-contained page on what a ledger holds: spend, savings, hits, latency, the dearest calls."""

from tuppence.spend.page.facts import read_facts
from tuppence.spend.page.sections import Added, AlertShown, BudgetShown, Facts, ForecastShown
from tuppence.spend.page.writing import replace_page, watch_page, write_page

__all__ = [
    "Added",
    "AlertShown",
    "BudgetShown",
    "Facts",
    "ForecastShown",
    "read_facts",
    "replace_page",
    "watch_page",
    "write_page",
]
