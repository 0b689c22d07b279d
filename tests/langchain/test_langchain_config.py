"""A configuration file as a `ChatTuppence`: real LangChain classes, asked at the addresses that the file names."""

import pickle
import sys
from pathlib import Path

import pytest

from langchain_tuppence.config import from_config
from tuppence.errors import ConfigError
from tuppence.testing import ProviderServer

FILE = """
tiers:
  - {{name: small, class: openai_compatible, model: gpt-4o-mini, provider: openai, base_url: "{openai}",
     params: {{temperature: 0, max_tokens: 50, extra_body: {{top_k: 5}}}}, timeout_s: 20}}
  - {{name: large, class: anthropic, model: claude-haiku-4-5, base_url: "{anthropic}", api_key_env: TEAM_KEY}}
check: {check}
ledger: off
"""


def written(folder: Path, server: ProviderServer, *, check: str = "default") -> Path:
    file = folder / "tuppence.yaml"
    file.write_text(FILE.format(openai=server.base_url, anthropic=server.anthropic_url, check=check))
    return file


def test_the_tiers_of_a_file_are_asked_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, key, model and parameters reach the provider, those that LangChain has no field for too."""
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        model = from_config(written(tmp_path, server, check="{judged_by: large}"))
        model.invoke("hello")
        asked = server.served
    assert [one.model for one in asked][:2] == ["gpt-4o-mini", "claude-haiku-4-5"]
    sent = asked[0].request
    assert (sent["temperature"], sent["top_k"]) == (0, 5)
    assert 50 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    # Anthropic's SDK has sent keys in either header.
    headers = asked[1].headers
    assert "sk-team" in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer "))


def test_a_judge_of_a_file_is_asked_and_is_no_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is a native model of its own, of another provider than the tier that it judges."""
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        server.model("claude-sonnet-4-6", replies='{"score": 5, "reason": "right"}')
        file = written(tmp_path, server, check="{judged_by: judge}")
        judge = f'name: judge, class: anthropic, model: claude-sonnet-4-6, base_url: "{server.anthropic_url}"'
        file.write_text(f"{file.read_text()}judges:\n  - {{{judge}, api_key_env: TEAM_KEY}}\n")
        model = pickle.loads(pickle.dumps(from_config(file)))
        told = model.invoke("hello").response_metadata["tuppence"]
        asked = [one.model for one in server.served]
    assert asked == ["gpt-4o-mini", "claude-sonnet-4-6"]
    assert (told["tier"], told["attempts"]) == ("small", 2)
    assert [t.name for t in model.policy.tiers] == ["small", "large"]


def test_a_model_from_a_file_travels_to_another_process_without_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pickled names the variable that holds the key."""
    monkeypatch.setenv("TEAM_KEY", "sk-secret-of-the-team")
    with ProviderServer() as server:
        packed = pickle.dumps(from_config(written(tmp_path, server)))
        assert b"sk-secret" not in packed
        answer = pickle.loads(packed).invoke("hello")
    assert answer.response_metadata["tuppence"]["tier"] == "small"


def test_a_file_says_the_policy_and_arguments_go_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file serves several programs, each with its own exception."""
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    with ProviderServer() as server:
        file = written(tmp_path, server)
        assert from_config(file).policy.check == from_config(file, mode="observe").policy.check
        assert from_config(file, mode="observe").policy.mode == "observe"


def test_a_key_that_is_not_set_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the first call that escalates."""
    monkeypatch.delenv("TEAM_KEY", raising=False)
    with ProviderServer() as server, pytest.raises(ConfigError, match="takes its key from TEAM_KEY, which is not set"):
        from_config(written(tmp_path, server))


def test_a_missing_package_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's provider packages are the user's to install."""
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with ProviderServer() as server, pytest.raises(ConfigError, match="pip install langchain-anthropic"):
        from_config(written(tmp_path, server))
