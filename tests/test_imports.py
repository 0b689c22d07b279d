"""Who may import whom, and what `import tuppence` may cost."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Loaded only when the part of tuppence that needs it is used.
NOT_AT_IMPORT = {
    "alembic",
    "anthropic",
    "bpe_openai",
    "faiss",
    "genai_prices",
    "httpx",
    "jsonschema",
    "langchain",
    "langchain_core",
    "langgraph",
    "llama_index",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "openai",
    "opentelemetry",
    "plotly",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "pydantic",
    "redis",
    "redisvl",
    "rich",
    "sqlalchemy",
    "tiktoken",
    "tokenizers",
    "typer",
    "usearch",
    "yaml",
}

# A command-line program or a serverless function pays this at every start.
IMPORT_LIMIT_MS = 100


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on the arguments, and return what it said."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lint_imports(**environment: str) -> subprocess.CompletedProcess[str]:
    """Hold the contracts of pyproject.toml against the packages found on the path."""
    command = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return run("-c", command, **environment)


def import_time_ms() -> float:
    """Return what `import tuppence` took in a fresh interpreter, with everything that it imports."""
    report = run("-X", "importtime", "-c", "import tuppence").stderr
    (line,) = [row for row in report.splitlines() if row.split("|")[-1].strip() == "tuppence"]
    return int(line.split("|")[1]) / 1000


def test_the_house_keeps_its_import_rules() -> None:
    """Every contract of pyproject.toml holds."""
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documented_floors_are_the_enforced_ones() -> None:
    """The tables of the architecture page name the rooms in the very order that the linter holds."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors,) = [rule for rule in settings["tool"]["importlinter"]["contracts"] if rule["id"] == "floors"]
    enforced = [room.strip(" ()") for layer in reversed(floors["layers"]) for room in layer.split("|")]

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == enforced


def test_a_broken_import_rule_is_noticed(tmp_path: Path) -> None:
    """Each contract can fail: a trade knows another, a floor looks up, a framework or a guest is let in."""
    faults = {
        "tuppence/routes/__init__.py": "import tuppence.checks",
        "tuppence/checks/__init__.py": "",
        "tuppence/errors.py": "import tuppence.flow",
        "tuppence/flow.py": "import langchain_core.messages",
        "tuppence/policy.py": "import langchain_tuppence",
        "tuppence/usage.py": "import llama_index.core",
        "tuppence/attic.py": "",
        "langchain_tuppence/__init__.py": "import llama_index_tuppence",
        "llama_index_tuppence/__init__.py": "",
        "tuppence/__init__.py": "",
    }
    for name, text in faults.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    done = lint_imports(PYTHONPATH=str(tmp_path))

    assert done.returncode != 0
    assert "0 kept, 4 broken" in done.stdout
    for complaint in (
        "tuppence.routes -> tuppence.checks",
        "tuppence.errors -> tuppence.flow",
        "tuppence.flow -> langchain_core",
        "tuppence.usage -> llama_index",
        "tuppence.policy -> langchain_tuppence",
        "langchain_tuppence -> llama_index_tuppence",
        "attic",
    ):
        assert complaint in done.stdout


def test_importing_the_core_loads_nothing_heavy() -> None:
    """No framework, no SDK, no numpy: what a program does not use, it does not pay for."""
    done = run("-c", "import json, sys, tuppence; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & NOT_AT_IMPORT == set()


def test_importing_the_core_is_quick() -> None:
    """The best of five runs counts: a busy machine makes some slow, only our own code makes all slow."""
    assert min(import_time_ms() for _ in range(5)) < IMPORT_LIMIT_MS
