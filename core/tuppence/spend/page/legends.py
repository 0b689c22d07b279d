"""Legends beside the pictures: names and sums in the page's own text, with the pattern or dash that the picture has."""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.spend.page.markup import Html, element
from tuppence.spend.page.palette import DASHES, SERIES, SYMBOLS, layers
from tuppence.spend.page.sections import Split
from tuppence.spend.page.wording import dollars, percent

_SHAPES = {
    "": "", "/": "M-2 9L9-2M5 16L16 5", "\\": "M-2 5L9 16M5-2L16 9", ".": "M4 4h1M10 4h1M4 10h1M10 10h1",
    "x": "M-1-1L15 15M15-1L-1 15",
}  # fmt: skip
_MARKS = {
    "circle": "M8 7a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "diamond": "M11 3.5l3.5 3.5-3.5 3.5-3.5-3.5z",
    "square": "M8 4h6v6h-6z",
}
_STROKES = {"solid": None, "dash": "5 3", "dot": "2 3"}


def stack_legend(split: Split) -> Html:
    """Name the series of a stack in its order, each with its sum and share."""
    found = list(layers(split))
    whole = sum(layer.share.total for layer in found)
    items = (
        _item(
            _square(layer.colour, layer.pattern), layer.name,
            f"{dollars(layer.share.total)} · {percent(layer.share.total, whole)}",
        )
        for layer in found
    )  # fmt: skip
    return element("ul", *items, class_="legend")


def line_legend(names: Sequence[str]) -> Html:
    """Name lines in the order of their colours, dashes and symbols."""
    return element("ul", *(_item(_line(i), name, "") for i, name in enumerate(names)), class_="legend")


def _item(swatch: Html, name: str, amount: str) -> Html:
    parts = [swatch, element("span", name, class_="name", title=name)]
    if amount:
        parts.append(element("span", amount, class_="amount"))
    return element("li", *parts)


def _square(colour: str, shape: str) -> Html:
    box = element("rect", width=14, height=14, rx=3, fill=colour)
    lines = element("path", d=_SHAPES[shape], stroke="#ffffff", stroke_opacity="0.6", stroke_width="1.5", fill="none")
    return element("svg", box, lines, class_="swatch", viewBox="0 0 14 14", aria_hidden="true")


def _line(number: int) -> Html:
    colour, dashes = SERIES[number], _STROKES[DASHES[number]]
    line = element("path", d="M0 7h22", stroke=colour, stroke_width=2, stroke_dasharray=dashes, fill="none")
    mark = element("path", d=_MARKS[SYMBOLS[number]], fill=colour)
    return element("svg", line, mark, class_="swatch wide", viewBox="0 0 22 14", aria_hidden="true")
