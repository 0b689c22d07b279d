"""The page says what the ledger says, holds nothing but itself, and lets no label break out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("plotly")
from sqlalchemy import create_engine, insert

from tuppence.errors import LedgerError, TuppenceError
from tuppence.spend.ledger.schema import bring_up
from tuppence.spend.ledger.tables import attempts, days
from tuppence.spend.page import Added, AlertShown, BudgetShown, Facts, ForecastShown, read_facts, write_page
from tuppence.spend.page.document import page

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from report_page_parts.plain_sql import plain_figures, shown_figures  # noqa: E402
from report_page_parts.traffic import write_ledger  # noqa: E402

DAY_US = 86_400_000_000
START_US = 1_761_955_200_000_000  # 2025-11-01
DOLLAR = 10**12
HOSTILE = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "'; alert(1)//",
    "<b>bold</b>", "%{y}<extra>", "&lt;", "\u202eevil", "a\x00b", "{{7*7}}", "<!--", "]]>", "x" * 500, "🙂", "",
)  # fmt: skip

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a ledger of the given rows."""

    def written(*rows: dict[str, Any], rolled_up: tuple[dict[str, Any], ...] = ()) -> Path:
        path = tmp_path / "ledger.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            bring_up(connection, 0)
            for row in rows:
                connection.execute(insert(attempts).values(**row))
            for row in rolled_up:
                zeros = {c.name: 0 for c in days.columns if not c.nullable and c.name != "id"}
                connection.execute(insert(days).values(**zeros | row))
        engine.dispose()
        return path

    return written


def attempt(call: str, **more: Any) -> dict[str, Any]:
    """One attempt, accepted, that cost a dollar."""
    zeros = {c.name: 0 for c in attempts.columns if not c.nullable and c.name != "id"}
    usual = {
        "call_id": call, "n": 1, "started_us": START_US, "latency_ms": 100.0, "tier": "large", "model": "m",
        "cause": "draft", "outcome": "accepted", "status": "exact", "pico_usd": DOLLAR, "baseline_pico": 2 * DOLLAR,
        "baseline": "large", "policy_version": "p",
    }  # fmt: skip
    return zeros | usual | more


class Outline(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def drawn(html: str) -> dict[str, Any]:
    """The pictures, as the page's script reads them."""
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)
    assert found
    charts: dict[str, Any] = json.loads(found[1])
    return charts


def words(html: str) -> str:
    """The text of the page, scripts and styles left out."""
    return re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traffic") / "made.db"
    write_ledger(path, 4_000, start_us=START_US, days=20, users=30)
    return path


def test_every_figure_is_what_plain_sql_says(traffic: Path) -> None:
    """To the pico-dollar and the row, by another way to the same table."""
    facts = read_facts(traffic)
    said, shown = plain_figures(traffic), shown_figures(facts)
    for name, figures in said.items():
        assert shown[name] == figures, name
    assert len(facts.axis.starts_us) == 20
    assert sum(moment.calls for moment in facts.moments) == facts.calls == 4_000
    saved = facts.savings
    assert saved is not None
    assert saved.full_pico + sum(step.pico_usd for step in saved.steps) == saved.compared_pico
    assert saved.compared_pico + saved.not_compared_pico == facts.pico_usd


def test_every_picture_is_one_that_plotly_knows(traffic: Path) -> None:
    """plotly's own classes, too slow to be used at run time, take each of them: no property is misspelt."""
    from plotly.graph_objects import Figure

    charts = drawn(page(read_facts(traffic), everything(read_facts(traffic))))
    assert set(charts) == {
        "spend-tier", "spend-user", "spend-endpoint", "savings-chart", "attempts-chart", "hits-chart", "latency-chart",
        "forecast-chart",
    }  # fmt: skip
    for chart in charts.values():
        Figure(data=chart["data"], layout=chart["layout"])


def everything(facts: Facts) -> Added:
    """What other rooms may add."""
    last = facts.axis.starts_us[-1]
    ahead = tuple(last + DAY_US * day for day in range(1, 8))
    low, expected, high = ((pico,) * len(ahead) for pico in (DOLLAR // 2, DOLLAR, 2 * DOLLAR))
    return Added(
        ForecastShown("all calls", ahead, expected, low, high, 0.8, "About $7."),
        (
            AlertShown(last, "spike", "/chat", "Twice as dear."),
            AlertShown(last, "drop", "all calls", "Was less.", over=True),
        ),
        (
            BudgetShown("month", "everything", 61 * DOLLAR, 0, 60 * DOLLAR),
            BudgetShown("day", "ann", DOLLAR, DOLLAR, 60 * DOLLAR, soft=True),
        ),
    )


def test_nothing_can_be_fetched_and_no_other_script_can_run(traffic: Path) -> None:
    """No address is named, and the content policy forbids the network, eval, and scripts that are not these two."""
    html = page(read_facts(traffic))
    outline = Outline(html)
    policy = next(m["content"] for m in outline.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert [script.get("src") for script in outline.all("script")] == [None] * 3
    assert [link["href"] for link in outline.all("link")] == ["data:,"]
    named = [value for _, attributes in outline.elements for key, value in attributes.items() if key in ("src", "href")]
    assert set(named) == {"data:,", "#main"}


def test_labels_cannot_break_out(write: Write) -> None:
    """Whatever a tag, a tier, a call id or a rule is called, the page has the same elements and says the label."""
    tame = write(*(
        attempt(f"c{i}", tier=f"t{i}", user=f"u{i}", endpoint=f"e{i}", started_us=START_US + i)
        for i in range(len(HOSTILE))
    ))  # fmt: skip
    usual = Outline(page(read_facts(tame), everything(read_facts(tame))))
    tame.unlink()
    path = write(*(
        attempt(f"{label}{i}", tier=f"{label} ", user=label, endpoint=label, started_us=START_US + i, model=label)
        for i, label in enumerate(HOSTILE)
    ))  # fmt: skip
    facts = read_facts(path)
    html = page(facts, everything(facts))
    outline = Outline(html)
    assert [name for name, _ in outline.elements] == [name for name, _ in usual.elements]
    assert not any(key.startswith("on") for _, attributes in outline.elements for key in attributes)
    said = "".join(outline.words)
    assert "<img src=x onerror=alert(1)>" in said
    assert "\\u202eevil" in said
    assert "\x00" not in html
    assert "\u202e" not in html
    for name in ("spend-user", "spend-endpoint", "latency-chart"):
        for trace in drawn(html)[name]["data"]:
            assert not re.search(r"<(?!br>|extra>|/extra>)", trace.get("name", "") + "".join(map(str, trace["y"])))


def test_an_empty_ledger_has_a_page_that_says_so(write: Write) -> None:
    html = page(read_facts(write()))
    assert "No calls yet" in words(html)
    assert drawn(html) == {}


def test_one_call(write: Write) -> None:
    facts = read_facts(write(attempt("only", user="ann")))
    html = words(page(facts))
    assert (facts.calls, facts.pico_usd, facts.axis.step) == (1, DOLLAR, "hour")
    assert "$1.0000" in html
    assert "50.0% of the baseline" in html
    assert "What these figures leave out" not in html


def test_nobody_waits_for_a_batch(write: Write) -> None:
    """Nor is it slow: its hours are no latency of its tier."""
    live = (attempt(f"live{i}", latency_ms=100.0 + i) for i in range(3))
    (tier,) = read_facts(write(*live, attempt("job", latency_ms=3_600_000.0, processing="batch"))).tiers
    assert (tier.attempts, tier.p50_ms, tier.p95_ms) == (4, 101.0, 102.0)


def test_what_is_unpriced_is_never_shown_as_free(write: Write) -> None:
    """Nor is a saving claimed of it."""
    path = write(attempt("a", pico_usd=None, status="unpriced"), attempt("b", pico_usd=None, status="unpriced"))
    html = words(page(read_facts(path)))
    assert "2 attempts have no known price and are missing from the cost: they are not zero." in html
    assert "no call can be compared" in html
    assert "Where the saving comes from" not in html
    assert "$0" not in html


def test_a_negative_saving_is_shown(write: Write) -> None:
    path = write(attempt("a", baseline_pico=DOLLAR // 2))
    html = page(read_facts(path))
    assert re.search(r"Cost more\s+\$0.5000\s+100.0% above the baseline", words(html))
    steps = drawn(html)["savings-chart"]["data"][0]
    assert any("+$0.5000" in name for name in steps["y"])


def test_many_users_are_added_up_beyond_the_dearest(write: Write) -> None:
    """Thirty users are eight and the rest; nine are nine."""
    rows = [attempt(f"c{i}", user=f"u{i:02}", pico_usd=(i + 1) * DOLLAR) for i in range(30)]
    users = read_facts(write(*rows)).splits[1]
    assert [share.label for share in users.shares] == [f"u{i}" for i in range(29, 21, -1)]
    assert users.rest is not None
    assert users.rest.total == sum(range(1, 23)) * DOLLAR
    assert users.members == 30


def test_a_missing_tag_is_not_an_empty_one(write: Write) -> None:
    users = read_facts(write(attempt("a"), attempt("b", user="", pico_usd=2 * DOLLAR))).splits[1]
    assert [(share.label, share.total) for share in users.shares] == [("", 2 * DOLLAR), (None, DOLLAR)]


def test_it_is_about_the_calls_that_were_asked_for(write: Write) -> None:
    from datetime import UTC, datetime

    path = write(*(attempt(f"c{i}", user=f"u{i % 2}", started_us=START_US + i * DAY_US) for i in range(10)))
    since = datetime(2025, 11, 3, tzinfo=UTC)
    facts = read_facts(path, since=since, until=datetime(2025, 11, 7, tzinfo=UTC), where={"user": "u1"})
    assert facts.calls == 2
    assert {call.call_id for call in facts.dearest} == {"c3", "c5"}
    assert "user u1" in words(page(facts))


def test_rolled_up_days_are_part_of_it(write: Write) -> None:
    """Their sums are in the pictures and the tables, beside the days that still have rows."""
    day = {
        "day_us": START_US, "tier": "small", "outcome": "accepted", "cause": "draft", "status": "exact", "user": "ann",
        "calls": 7, "attempts": 8, "pico_usd": 3 * DOLLAR, "unpriced": 1, "input": 100, "cache_read": 50,
    }  # fmt: skip
    path = write(attempt("a", started_us=START_US + 5 * DAY_US), rolled_up=(day,))
    facts = read_facts(path)
    assert (facts.calls, facts.attempts, facts.pico_usd, facts.unpriced) == (8, 9, 4 * DOLLAR, 1)
    assert facts.axis.step == "day"
    assert facts.axis.starts_us[0] == START_US
    assert [share.label for share in facts.splits[1].shares] == ["ann", None]
    small = next(line for line in facts.tiers if line.tier == "small")
    assert (small.input_tokens, small.cached_tokens, small.p50_ms) == (150, 50, None)
    page(facts)


@pytest.mark.parametrize(
    ("span_days", "step", "columns"),
    [(2, "hour", 49), (3, "hour", 73), (4, "day", 5), (120, "day", 121), (121, "week", 19)],
)
def test_time_is_cut_so_that_it_reads_well(write: Write, span_days: int, step: str, columns: int) -> None:
    path = write(attempt("a"), attempt("b", started_us=START_US + span_days * DAY_US))
    axis = read_facts(path).axis
    assert (axis.step, len(axis.starts_us)) == (step, columns)


def test_amounts_beyond_int64_are_added_up(write: Write) -> None:
    most = 2**63 - 1
    facts = read_facts(write(*(attempt(f"c{i}", pico_usd=most, user="ann") for i in range(3))))
    assert facts.pico_usd == 3 * most
    assert facts.splits[1].shares[0].total == 3 * most
    page(facts)


def test_every_picture_has_its_figures_in_a_table_and_every_section_a_heading(traffic: Path) -> None:
    """For readers who see no pictures and use no mouse."""
    html = page(read_facts(traffic), everything(read_facts(traffic)))
    outline = Outline(html)
    pictures = [a for a in outline.all("div") if a.get("class") == "chart"]
    assert len(pictures) == len(drawn(html)) == 8
    assert all(one["role"] == "img" and one["aria-label"] for one in pictures)
    ids = {attributes.get("id") for _, attributes in outline.elements}
    assert all(section["aria-labelledby"] in ids for section in outline.all("section"))
    assert [len(outline.all(name)) for name in ("main", "header", "footer", "h1")] == [1, 1, 1, 1]
    for section in re.findall(r"<section.*?</section>", html, re.DOTALL):
        if 'class="chart"' in section:
            assert "<table" in section
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        assert "<caption>" in table
        assert 'scope="col"' in table
    assert outline.all("html")[0]["lang"] == "en"


def test_no_folder_and_no_password_is_told(write: Write, tmp_path: Path) -> None:
    from tuppence.spend.page.facts import name_of

    assert str(tmp_path) not in page(read_facts(write(attempt("a"))))
    assert name_of("postgresql://ann:secret@db.example/spend") == "db.example/spend"


def test_no_ledger_no_page(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        write_page(tmp_path / "none.db", tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_without_plotly_it_says_what_to_install(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuppence.spend.page import document

    monkeypatch.setitem(sys.modules, "plotly", None)
    document._scripts.cache_clear()
    with pytest.raises(TuppenceError, match=r"pip install 'tuppence\[report\]'"):
        page(read_facts(write(attempt("a"))))
