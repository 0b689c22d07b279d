"""The benchmark of one's own servers: its second computation of the price is right, and independent of ours."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .own_servers import page

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"selfhost_{name}", BENCHMARKS / "selfhost_parts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_second_price_is_worked_out_from_the_text_alone() -> None:
    """Worked by hand: $2.50 for an hour, a quarter of the time read 6 million tokens, the rest wrote a million."""
    raw = loaded("raw")
    first = raw.Page(at=1_000.0, text=page(prompt=5, computed=4, generated=3, prefill_s=2, decode_s=1))
    text = page(prompt=9_000_005, computed=6_000_004, generated=1_000_003, prefill_s=1_002, decode_s=3_001)
    found = raw.prices(first, raw.Page(at=4_600.0, text=text), 2.5)
    assert found.machine_usd == pytest.approx(2.5)
    assert found.blended == pytest.approx(0.25)
    assert found.input == pytest.approx(2.5 / 4 / 6)
    assert found.output == pytest.approx(2.5 * 3 / 4)
    assert "tuppence" not in {line.split()[1].split(".")[0] for line in imports(raw)}


def imports(module: ModuleType) -> list[str]:
    assert module.__file__ is not None
    return [line for line in Path(module.__file__).read_text().splitlines() if line.startswith(("import ", "from "))]
