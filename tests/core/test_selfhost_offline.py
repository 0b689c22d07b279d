"""A file of requests is answered by a process of its own; what is wrong with it is said, what was answered stays.

The process itself needs vLLM: tests/vllm runs it.
"""

import json
import sys
from pathlib import Path

import pytest

from tuppence.selfhost import Preset, SelfHostError, answer_offline
from tuppence.selfhost.offline import worker

LINE = {"custom_id": "1", "body": {"messages": [{"role": "user", "content": "Hello"}]}}


def test_a_run_that_cannot_be_says_why(tmp_path: Path) -> None:
    """No such file; an interpreter without vLLM, whose last words are quoted, and which leaves no answers behind."""
    with pytest.raises(SelfHostError, match="there is no file"):
        answer_offline(tmp_path / "nowhere", tmp_path / "out", model="org/model")
    requests = tmp_path / "in.jsonl"
    requests.write_text(json.dumps(LINE) + "\n")
    with pytest.raises(SelfHostError, match=r"(?s)ended with status 1\. .*No module named 'vllm'"):
        answer_offline(requests, tmp_path / "out", model="org/model", python=sys.executable, preset=Preset.cpu())
    assert not (tmp_path / "out").exists()


def test_what_was_answered_is_known_and_half_a_line_is_cut_off(tmp_path: Path) -> None:
    """A run that was killed while it wrote is taken up behind its last whole answer."""
    answers = tmp_path / "out.jsonl"
    assert worker.answered(answers) == set()
    whole = "".join(json.dumps({"custom_id": name, "response": {}}) + "\n" for name in ("a", "b"))
    answers.write_text(whole + '{"custom_id": "c", "resp')
    assert worker.answered(answers) == {"a", "b"}
    assert answers.read_text() == whole


@pytest.mark.parametrize("line", ["not json", "[]", "{}", '{"custom_id": "1"}', '{"custom_id": "1", "body": {}}'])
def test_a_line_that_is_no_request_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    requests = tmp_path / "in.jsonl"
    requests.write_text(json.dumps(LINE) + "\n" + line + "\n")
    with pytest.raises(SystemExit, match=r"in\.jsonl, line 2 is no request"):
        list(worker.lines_of(requests))
