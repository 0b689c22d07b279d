"""A configuration file as a `TuppenceLLM`: real LlamaIndex classes, asked at the addresses that the file names."""

import sys
from pathlib import Path

import pytest

from llama_index_tuppence.config import from_config
from tuppence.errors import ConfigError
from tuppence.testing import ProviderServer

FILE = """
tiers:
  - {{name: own, class: vllm, model: my-model, base_url: "{url}", price: {{input: "0.10", output: "0.20"}},
     context_tokens: 8192, params: {{temperature: 0.3, max_tokens: 50, extra_body: {{top_k: 5}}}}}}
  - {{name: large, class: openai, model: gpt-4o, base_url: "{url}", api_key_env: TEAM_KEY}}
check: {check}
ledger: off
"""


def written(folder: Path, server: ProviderServer, *, check: str = "default") -> Path:
    file = folder / "tuppence.yaml"
    file.write_text(FILE.format(url=server.base_url, check=check))
    return file


def test_the_tiers_of_a_file_are_asked_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chat model with its context; the judge is the large tier's own native model."""
    pytest.importorskip("llama_index.llms.openai_like")
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        llm = from_config(written(tmp_path, server, check="{judged_by: large}"))
        llm.complete("hello")
        asked = server.served
    assert [one.model for one in asked][:2] == ["my-model", "gpt-4o"]
    sent = asked[0].request
    assert (asked[0].api, sent["temperature"], sent["max_tokens"], sent["top_k"]) == ("chat", 0.3, 50, 5)
    assert asked[1].headers["authorization"] == "Bearer sk-team"
    assert llm.metadata.context_window == 8192


def test_a_judge_of_a_file_is_asked_and_is_no_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is a native model of its own, with its own settings."""
    pytest.importorskip("llama_index.llms.openai_like")
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        server.model("gpt-4.1", replies='{"score": 5, "reason": "right"}')
        file = written(tmp_path, server, check="{judged_by: judge}")
        judge = f'{{name: judge, class: openai, model: gpt-4.1, base_url: "{server.base_url}", api_key_env: TEAM_KEY}}'
        file.write_text(f"{file.read_text()}judges: [{judge}]\n")
        llm = from_config(file)
        said = llm.complete("hello").additional_kwargs["tuppence"]
        asked = [one.model for one in server.served]
    assert asked == ["my-model", "gpt-4.1"]
    assert (said["tier"], said["attempts"], llm.tiers) == ("own", 2, ("own", "large"))


def test_a_file_says_the_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's own model costs what the file says."""
    pytest.importorskip("llama_index.llms.openai_like")
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        answer = from_config(written(tmp_path, server)).complete("hello").additional_kwargs["tuppence"]
        (served,) = server.served
    assert served.usage is not None
    used = served.usage
    assert answer["usd"] == f"{(used['prompt_tokens'] * 10 + used['completion_tokens'] * 20) / 10**8:.12f}"


def test_a_missing_package_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LlamaIndex's provider packages are the user's to install."""
    monkeypatch.setitem(sys.modules, "llama_index.llms.openai_like", None)
    with ProviderServer() as server, pytest.raises(ConfigError, match="pip install llama-index-llms-openai-like"):
        from_config(written(tmp_path, server))
