"""Conversations of another shape than tau-bench's, drawn at random: a shop's back office, with parallel calls, lists
wrapped in objects, logs in plain text, and users who now and then come back to a row that nobody had mentioned.

    cd benchmarks; python -m pruning_parts.history_made_up 60

Shares are plain guesses, set before anything was measured on them; they are no traffic of anybody's.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from typing import Any

from tuppence.request import Message, ToolCall

SYSTEM = "You are a shop's back office. Look things up before you answer, and quote ids and amounts exactly. " * 12
_FIRST, _LAST = ("Ada", "Bo", "Cem", "Dina", "Egon", "Fay"), ("Moss", "Novak", "Okoye", "Petit", "Quist", "Rao")
_CITIES = ("Oslo", "Lyon", "Graz", "Porto", "Gent")
_COMES_BACK = 0.05
"""Share of turns in which a user asks for a row that nothing took up."""


def made_up(conversations: int, *, seed: int = 0) -> Iterator[tuple[Message, ...]]:
    """Yield conversations of 2 to 9 turns."""
    draw = random.Random(seed)
    for number in range(conversations):
        yield tuple(_Desk(draw, number).messages())


class _Desk:
    """One conversation under way."""

    def __init__(self, draw: random.Random, number: int) -> None:
        self.draw = draw
        self.number = number
        self.calls = 0
        self.seen: list[dict[str, Any]] = []

    def messages(self) -> Iterator[Message]:
        yield Message("system", SYSTEM)
        for _ in range(self.draw.randint(2, 9)):
            yield from self.draw.choice((self._orders, self._orders, self._stock, self._log))()
        yield Message("user", "Thanks, that is all.")
        yield Message("assistant", "You are welcome.")

    def _orders(self) -> Iterator[Message]:
        """List a customer's orders; look into two of them at once, and change one."""
        name = f"{self.draw.choice(_FIRST)} {self.draw.choice(_LAST)}"
        rows = [self._order(name) for _ in range(self.draw.randint(3, 14))]
        yield Message("user", f"What did {name} order?")
        yield from self._called([("find_orders", {"customer": name}, {"results": rows, "total": len(rows)})])
        shown = rows[: self.draw.randint(1, 4)]
        yield Message(
            "assistant", "\n".join(f"- {row['order_id']}: {row['total']} EUR, {row['state']}" for row in shown)
        )
        one, other = self.draw.choice(rows), self.draw.choice(rows)
        yield Message("user", f"Compare {one['order_id']} with {other['order_id']}.")
        looks = [("get_order", {"id": row["order_id"]}, self._details(row)) for row in (one, other)]
        yield from self._called(looks)
        yield Message(
            "assistant", f"{one['order_id']} was {one['total']} EUR, {other['order_id']} {other['total']} EUR."
        )
        if self.draw.random() < 0.5:
            yield Message("user", f"Cancel {one['order_id']}.")
            done = {**self._details(one), "state": "cancelled", "refund": one["total"]}
            yield from self._called([("cancel_order", {"id": one["order_id"]}, done)])
            yield Message("assistant", f"{one['order_id']} is cancelled; {one['total']} EUR go back to {name}.")
        self.seen += rows
        yield from self._back()

    def _stock(self) -> Iterator[Message]:
        """Look through a table of stock."""
        rows = [
            {"sku": f"S-{self.draw.randint(1000, 9999)}", "shelf": f"A{self.draw.randint(1, 60)}",
             "left": self.draw.randint(0, 400), "price": self.draw.randint(100, 9999) / 100}
            for _ in range(self.draw.randint(8, 30))
        ]  # fmt: skip
        yield Message("user", "What is running low?")
        yield from self._called([("list_stock", {"sort": "left"}, rows)])
        least = min(rows, key=lambda row: row["left"])
        yield Message("assistant", f"{least['sku']} on shelf {least['shelf']}: {least['left']} left.")
        yield Message("user", f"Order more of {least['sku']}.")
        amount = self.draw.randint(10, 99)
        order = {"purchase_id": f"P{self.draw.randint(10000, 99999)}", "sku": least["sku"], "amount": amount}
        yield from self._called([("purchase", {"sku": least["sku"], "amount": amount}, order)])
        yield Message("assistant", f"{order['purchase_id']}: {amount} of {least['sku']} at {least['price']} EUR.")

    def _log(self) -> Iterator[Message]:
        """Read a log in plain text."""
        day = self.draw.randint(1, 28)
        lines = [
            f"2024-05-{day:02} {hour:02}:{self.draw.randint(0, 59):02} job J{self.draw.randint(100, 999)} "
            f"{self.draw.choice(('done', 'failed', 'retried'))} after {self.draw.randint(1, 900)} s"
            for hour in range(24)
        ]
        yield Message("user", f"What happened on 2024-05-{day:02}?")
        yield from self._called([("read_log", {"day": f"2024-05-{day:02}"}, "\n".join(lines))])
        yield Message("assistant", f"Two of them: {self.draw.choice(lines)}; {self.draw.choice(lines)}.")

    def _back(self) -> Iterator[Message]:
        if self.draw.random() >= _COMES_BACK:
            return
        row = self.draw.choice(self.seen)
        yield Message("user", "And the one that went to " + row["city"] + " before?")
        yield Message("assistant", f"That is {row['order_id']}, {row['total']} EUR.")

    def _order(self, name: str) -> dict[str, Any]:
        return {
            "order_id": f"W{self.draw.randint(100000, 999999)}", "customer": name, "city": self.draw.choice(_CITIES),
            "state": self.draw.choice(("open", "sent", "returned")), "total": self.draw.randint(500, 90000) / 100,
        }  # fmt: skip

    def _details(self, row: dict[str, Any]) -> dict[str, Any]:
        lines = [{"sku": f"S-{int(row['order_id'][1:]) % 9000 + n}", "amount": n + 1} for n in range(3)]
        return {**row, "lines": lines, "paid_with": f"card_{row['order_id'][1:]}77", "note": None}

    def _called(self, calls: list[tuple[str, Any, Any]]) -> Iterator[Message]:
        made = []
        for name, arguments, _ in calls:
            self.calls += 1
            made.append(ToolCall(f"call_{self.number}_{self.calls}", name, json.dumps(arguments)))
        yield Message("assistant", "", tuple(made))
        for call, (_, _, result) in zip(made, calls, strict=True):
            text = result if isinstance(result, str) else json.dumps(result)
            yield Message("tool", text, extra={"tool_call_id": call.id, "name": call.name})


if __name__ == "__main__":
    from pruning_parts.history import figures_of

    print(json.dumps({"history": figures_of(list(made_up(int(sys.argv[1]))))}))
