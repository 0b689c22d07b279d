"""When one's own machines pay: how many it takes, what each way costs, and from which volume on."""

from tuppence.selfhost.economics.break_even import BreakEven, Payback, Running, break_even, payback
from tuppence.selfhost.economics.capacity import Capacity, Load, Replica, capacity
from tuppence.selfhost.economics.options import MONTH_HOURS, Option, by_request, by_token, owned, rented
from tuppence.selfhost.economics.sensitivity import Swing, swings

__all__ = [
    "MONTH_HOURS",
    "BreakEven",
    "Capacity",
    "Load",
    "Option",
    "Payback",
    "Replica",
    "Running",
    "Swing",
    "break_even",
    "by_request",
    "by_token",
    "capacity",
    "owned",
    "payback",
    "rented",
    "swings",
]
