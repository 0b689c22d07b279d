"""`vllm.LLM` in a process of its own answers a file of requests, each as it asked."""

import json
from pathlib import Path
from typing import Any

from tuppence.selfhost import Preset, answer_offline

CHOICE = ["qx-maize", "qx-barley"]
ASKED = [{"role": "user", "content": "Which grain is it?"}]
SCHEMA = {"type": "object", "properties": {"grain": {"enum": CHOICE}}, "required": ["grain"]}


def line(name: str, **body: Any) -> str:
    request = {"model": "small", "messages": ASKED, "max_tokens": 20, **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": request})


def test_every_line_is_answered_once_and_as_it_asked(
    vllm_python: Path, small_model: Path, preset: Preset, tmp_path: Path
) -> None:
    """A run is taken up where one was killed; a line that cannot be answered says why, and those beside it are."""
    form = {"type": "json_schema", "json_schema": {"name": "grain", "schema": SCHEMA}}
    requests, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text("\n".join([
        line("earlier"),
        line("plain", temperature=0, logprobs=True),
        line("schema", response_format=form, max_tokens=60, temperature=0),
        line("choice", structured_outputs={"choice": CHOICE}),
        line("long", messages=[{"role": "user", "content": "grain " * 4000}]),
        line("unknown", n=3),
    ]) + "\n")  # fmt: skip
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    earlier = {"custom_id": "earlier", "response": {"status_code": 200, "body": {"usage": usage}}}
    answers.write_text(json.dumps(earlier) + '\n{"custom_id": "plain", "resp')

    run = answer_offline(requests, answers, model=small_model, python=vllm_python, preset=preset)

    written = [json.loads(one) for one in answers.read_text().splitlines()]
    told = {one["custom_id"]: one["response"] for one in written}
    assert len(written) == len(told) == 6
    assert (run.answered, run.refused) == (4, 2)
    assert json.loads(said(told["schema"]))["grain"] in CHOICE
    assert said(told["choice"]) in CHOICE
    assert "maximum" in told["long"]["body"]["error"]["message"]
    assert "['n'] mean nothing to an offline run" in told["unknown"]["body"]["error"]["message"]
    plain = told["plain"]["body"]
    logprobs = plain["choices"][0]["logprobs"]["content"]
    assert len(logprobs) == plain["usage"]["completion_tokens"]
    assert all(one["logprob"] <= 0 for one in logprobs)
    assert run.usage.output_tokens == sum(
        one["body"]["usage"]["completion_tokens"] for one in told.values() if "usage" in one["body"]
    )
    assert run.seconds > 0


def said(response: Any) -> str:
    return response["body"]["choices"][0]["message"]["content"]
