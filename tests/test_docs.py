"""Every python snippet of the documentation and every example runs, offline and without a key."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tuppence.testing import ProviderServer

ROOT = Path(__file__).parent.parent
RUNNER = Path(__file__).with_name("offline.py")
SNIPPET = re.compile(r"^ *```python\b", re.MULTILINE)
LOCAL_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")

ALL_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
PAGES_WITH_CODE = [page for page in ALL_PAGES if SNIPPET.search(page.read_text(encoding="utf-8"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

# Long enough for importing both frameworks on a busy machine, short enough to name a hung example.
SECONDS = 180


@pytest.fixture(scope="module")
def provider() -> Iterator[Mapping[str, str]]:
    """Stand in for the providers: the environment that leads each SDK and framework to a scripted server."""
    with ProviderServer() as server:
        yield {
            "OPENAI_API_KEY": "not-a-key",
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_BASE": server.base_url,
            "ANTHROPIC_API_KEY": "not-a-key",
            "ANTHROPIC_BASE_URL": server.anthropic_url,
            "ANTHROPIC_API_URL": server.anthropic_url,
        }


def run_offline(path: Path, workdir: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a page or an example as a program of its own, in a folder of its own."""
    return subprocess.run(
        [sys.executable, str(RUNNER), str(path)],
        cwd=workdir,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=name_of)
def test_the_snippets_of_a_page_run_in_their_order(page: Path, tmp_path: Path, provider: Mapping[str, str]) -> None:
    """A page is a program: what a reader copies from top to bottom works."""
    done = run_offline(page, tmp_path, provider)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_runs(example: Path, tmp_path: Path, provider: Mapping[str, str]) -> None:
    """An example works as it stands, from any folder, and shows something."""
    done = run_offline(example, tmp_path, provider)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), f"{name_of(example)} printed nothing"


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_a_page_links_only_to_files_that_exist(page: Path) -> None:
    """No link inside the repository leads nowhere."""
    targets = LOCAL_LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_a_broken_snippet_is_found_and_its_line_on_the_page_named(tmp_path: Path) -> None:
    """The check above can fail, and says where."""
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n```\n\n    ```python\n    assert x == 2\n    ```\n")
    done = run_offline(page, tmp_path, {})
    assert done.returncode != 0
    assert f'{page}", line 8' in done.stderr


def test_a_snippet_that_calls_out_is_refused(tmp_path: Path) -> None:
    """A page that would need the network fails here, wherever the tests run."""
    page = tmp_path / "page.md"
    page.write_text("```python\nimport socket\nsocket.create_connection(('192.0.2.1', 443))\n```\n")
    done = run_offline(page, tmp_path, {})
    assert done.returncode != 0
    assert "asked for '192.0.2.1'" in done.stderr


SDKS = """
```python
import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

asked = [{"role": "user", "content": "Say hello"}]
print(openai.OpenAI().chat.completions.create(model="gpt-4.1-mini", messages=asked).model)
print(anthropic.Anthropic().messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=asked).model)
ChatOpenAI(model="gpt-4.1-mini").invoke("Say hello")
ChatAnthropic(model="claude-sonnet-4-6").invoke("Say hello")
OpenAI(model="gpt-4.1-mini").complete("Say hello")
```
"""


def test_a_snippet_that_asks_a_provider_gets_a_scripted_answer(tmp_path: Path, provider: Mapping[str, str]) -> None:
    """A page shows the objects that a reader has, with no address in them, and still runs here."""
    page = tmp_path / "page.md"
    page.write_text(SDKS)
    done = run_offline(page, tmp_path, provider)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["gpt-4.1-mini", "claude-sonnet-4-6"]
