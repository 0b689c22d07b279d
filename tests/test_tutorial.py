"""The tutorial shows what its reader will see."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
RUNNER = Path(__file__).with_name("offline.py")
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 180

# What no two runs share: how long answers took (the columns p50 and p95 stand between a price and a count), and when.
WAITS = re.compile(r"(?<=\.\d{6}) +[\d,]+ +[\d,]+(?= +\d)")
MOMENTS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def plain(text: str) -> str:
    """Take out waits, moments, rules and the width of the window."""
    return " ".join(MOMENTS.sub("-", WAITS.sub(" - - ", text)).replace("─", "").split())


def test_the_outputs_on_the_page_are_real_and_in_their_order(tmp_path: Path) -> None:
    """Whatever stands in a box of output was printed by the snippets before it."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(PAGE)],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed, at = plain(done.stdout), 0
    outputs = [plain(block) for block in OUTPUT.findall(PAGE.read_text(encoding="utf-8"))]
    assert len(outputs) > 3
    for output in outputs:
        assert output, "an empty box of output"
        assert output in printed[at:]
        at = printed.index(output, at) + len(output)


def test_a_figure_that_is_not_real_is_found() -> None:
    """Waits may differ, and nothing else."""
    real = " small    77.8%  75.1% to 80.3%        0.000008            0.000011      26      52       0  *"
    assert plain(real) == plain(real.replace("26 ", "31 ").replace("  52", "1,052"))
    assert plain(real) != plain(real.replace("77.8", "77.9"))
    assert plain(real) != plain(real.replace("0  *", "1  *"))
