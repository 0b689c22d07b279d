"""The whole page in one file: style, pictures, plotly.js and all, so that nothing is ever fetched.

The content policy forbids the network and runs the two scripts of this package only, named by their hashes: should a
label ever slip through the escaping, it still could not run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from tuppence.errors import TuppenceError
from tuppence.spend.page import blocks
from tuppence.spend.page.markup import Html, data, element
from tuppence.spend.page.sections import Added, Facts


def page(facts: Facts, added: Added | None = None, *, reload_s: int | None = None) -> str:
    """Lay the page out as HTML. Sections that nobody gives facts for are left out.

    With `reload_s` the page loads itself anew after so many seconds. Raises `TuppenceError` where plotly is not
    installed.
    """
    made = blocks.Blocks(facts)
    sections = list(_sections(made, added or Added())) if facts.tiers else [blocks.empty()]
    main = element("main", *sections, id="main")
    scripts = (
        element("script", data(made.charts), type="application/json", id="charts"),
        *(element("script", script) for script in _scripts()),
    )
    skip = element("a", "Skip to the figures", href="#main", class_="skip")
    body = element("body", skip, blocks.header(facts, reload_s), main, blocks.footer(), *scripts)
    root = element("html", _head(reload_s), body, lang="en", data_reload=reload_s)
    return f"<!doctype html>\n{root}\n"


def _sections(made: blocks.Blocks, added: Added) -> Iterator[Html]:
    savings = made.facts.savings
    yield made.figures()
    if added.alerts is not None:
        yield blocks.alerts(added.alerts)
    yield made.gaps()
    if made.facts.pico_usd:
        yield made.spend()
    if savings is not None and savings.compared:
        yield made.savings(savings)
    if added.forecast is not None:
        yield made.forecast(added.forecast)
    if added.budgets:
        yield blocks.budgets(added.budgets)
    yield made.attempts()
    yield made.tiers()
    if made.facts.dearest:
        yield made.dearest()


def _head(reload_s: int | None) -> Html:
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in _scripts())
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", "Spend report"),
        element("link", rel="icon", href="data:,"),
        element("style", _own("page.css")),
    ]
    if reload_s is not None:
        # The script reloads and keeps the place; this is for browsers that run none.
        parts.append(element("noscript", element("meta", http_equiv="refresh", content=str(reload_s))))
    return element("head", *parts)


@cache
def _scripts() -> tuple[Html, Html]:
    try:
        library = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise TuppenceError("the page needs plotly, which is not installed: pip install 'tuppence[report]'") from error
    return Html(library), _own("page.js")


@cache
def _own(name: str) -> Html:
    return Html(files("tuppence.spend.page").joinpath(name).read_text(encoding="utf-8"))


@cache
def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
