"""The page in a real browser: it draws, complains of nothing, fetches nothing, and is read in every light and width."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("plotly")
pytest.importorskip("PIL")
from PIL import Image

from tuppence.spend.page import read_facts
from tuppence.spend.page.document import page

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from report_page_parts.browser import CHROMIUM, Browser, browser  # noqa: E402
from report_page_parts.traffic import write_ledger  # noqa: E402

START_US = 1_761_955_200_000_000  # 2025-11-01
SURFACE = {False: (250, 248, 245), True: (20, 18, 16)}
"""The page's ground in light and in dark."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_ledger(folder / "made.db", 3_000, start_us=START_US, days=20, users=30)
    path = folder / "page.html"
    path.write_text(page(read_facts(folder / "made.db")), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: install one")
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def colours(png: bytes) -> dict[tuple[int, ...], int]:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    found = picture.getcolors(picture.width * picture.height)
    assert found is not None
    return {colour: pixels for pixels, colour in found}  # type: ignore[misc]


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_drawn_in_every_light_and_width(tab: Browser, shown: Path, dark: bool, width: int) -> None:
    """Nothing is wider than the window, every picture has marks, and the page is not blank."""
    tab.open(shown, width=width, height=900, dark=dark)
    found = colours(tab.picture())
    assert max(found, key=lambda colour: found[colour] if colour in SURFACE.values() else 0) == SURFACE[dark]
    assert len(found) > 500
    assert found[184, 98, 44] > 1_000
    assert tab.value("document.documentElement.scrollWidth") == width
    seen = "[...document.querySelectorAll('.chart')].filter(c => c.offsetWidth)"
    marks = f"{seen}.map(c => c.querySelectorAll('path').length)"
    assert min(tab.value(marks)) > 10
    assert tab.complaints == []
    assert tab.requests == []


def test_its_text_can_be_told_from_its_ground(tab: Browser, shown: Path) -> None:
    """Contrast of 4.5 and more for every text (WCAG 2.2, 1.4.3), in light and in dark."""
    for dark in (False, True):
        tab.open(shown, width=1280, height=900, dark=dark)
        assert tab.value(CONTRAST) >= 4.5


CONTRAST = """
(() => {
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (colour) => {
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        const parts = [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
        }
    };
    const texts = document.querySelectorAll("h1, h2, h3, p, dt, dd, li, summary, button, td, th, caption, code, a");
    return Math.min(...[...texts].filter((e) => e.offsetWidth && !e.closest(".skip")).map((e) => {
        const pair = [light(getComputedStyle(e).color), light(ground(e))];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    }));
})()
"""


def test_the_theme_is_chosen_by_hand_and_kept(tab: Browser, shown: Path) -> None:
    tab.open(shown, width=1280, height=900)
    tab.value("document.getElementById('theme').click()")
    assert SURFACE[True] in colours(tab.picture())
    tab.open(shown, width=1280, height=900)
    assert SURFACE[True] in colours(tab.picture())
    tab.value("document.getElementById('theme').click()")
    assert SURFACE[False] in colours(tab.picture())


def test_tabs_are_reached_by_keys(tab: Browser, shown: Path) -> None:
    """The arrows move between them, and what they show is drawn."""
    tab.open(shown, width=1280, height=900)
    tab.value("document.querySelector('[role=tab][aria-selected=true]').focus()")
    tab.press("ArrowRight")
    assert tab.value("document.activeElement.textContent") == "By user"
    assert tab.value("document.querySelectorAll('#spend-user .point').length") > 20
    assert tab.value("document.getElementById('panel-tier').hidden")
    tab.press("ArrowLeft")
    assert tab.value("document.activeElement.textContent") == "By tier"


def test_it_prints_light_and_whole(tab: Browser, shown: Path) -> None:
    """From a dark screen too: a few pages, no megabytes of bitmaps, and the screen is as it was."""
    tab.open(shown, width=1280, height=900, dark=True)
    widths = "[...document.querySelectorAll('#spend-tier .main-svg')].map(s => s.getBoundingClientRect().width)"
    before = tab.value(widths)
    paper = tab.paper()
    assert paper.startswith(b"%PDF")
    assert 20_000 < len(paper) < 1_500_000
    assert 3 <= paper.count(b"/Type /Page\n") + sum(piece.count(b"/Type /Page\n") for piece in streams(paper)) <= 12
    tab.wait_drawn()
    assert tab.value(widths) == before


def streams(pdf: bytes) -> Iterator[bytes]:
    """What is compressed in a PDF."""
    for piece in pdf.split(b"stream\r\n" if b"stream\r\n" in pdf else b"stream\n")[1:]:
        try:
            yield zlib.decompressobj().decompress(piece)
        except zlib.error:
            continue


def test_a_page_that_loads_itself_anew_keeps_its_place(tab: Browser, shown: Path, tmp_path: Path) -> None:
    """How far it was scrolled, which tab was chosen, what was opened."""
    facts = read_facts(shown.with_name("made.db"))
    watched = tmp_path / "watched.html"
    watched.write_text(page(facts, reload_s=2), encoding="utf-8")
    tab.open(watched, width=1280, height=600)
    tab.value("document.querySelectorAll('[role=tab]')[2].click()")
    tab.value("document.querySelectorAll('details')[3].open = true")
    tab.value("scrollTo(0, 900); window.before = true")
    tab.reloaded()
    assert tab.value("window.before === undefined")
    assert tab.value("scrollY") == 900
    assert tab.value("document.querySelector('[role=tab][aria-selected=true]').textContent") == "By endpoint"
    assert tab.value("document.querySelectorAll('details')[3].open")
    assert tab.complaints == []
    assert tab.requests == []


def test_without_scripts_its_figures_are_still_read(tab: Browser, shown: Path) -> None:
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.load(shown)
        assert tab.ask("DOM.getDocument")
        found = tab.ask("DOM.performSearch", query="//table//td")
        assert found["resultCount"] > 100
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_the_benchmark_finds_nothing_wrong() -> None:
    """On a small ledger: every figure is plain SQL's, the browser complains of nothing and is asked for nothing."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: install one")
    command = [sys.executable, str(BENCHMARKS / "report_page.py"), "--rows", "2000", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["equal_to_sql"], found["different"]
    assert found["console_errors"] == found["requests"] == 0
    assert found["rows"] >= 1_900
