"""The half of an offline run that has the model: `vllm.LLM` in a process of its own, over a file of lines.

Run by the interpreter that has vLLM, as `python worker.py SPEC`; it imports vLLM and the standard library, and nothing
of tuppence. It answers some hundred lines at a time, so that memory does not grow with the file, and what it has
answered is on the disk when it is killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]
Asked = tuple[Line, Any, Any]
"""A line, how it is to be sampled, and its adapter."""
_AT_ONCE = 512
"""Enough to keep a GPU's batches full to the end; each waits for the slowest of its own only."""
_SAMPLED = {"temperature", "top_p", "top_k", "min_p", "seed", "stop", "frequency_penalty", "presence_penalty"}
"""Arguments that OpenAI and `SamplingParams` call the same."""
_READ = {
    *_SAMPLED, "model", "messages", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
    "response_format", "structured_outputs",
}  # fmt: skip


class Unanswerable(ValueError):
    """A line that asks for what is not done here."""


def work(spec: Mapping[str, Any]) -> None:
    """Answer every line of `requests` that `answers` has not."""
    from vllm.lora.request import LoRARequest
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from vllm import LLM, EngineArgs

    answers = Path(spec["answers"])
    done = answered(answers)
    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    options, _ = parser.parse_known_args(spec["flags"])  # flags of the server alone mean nothing here
    model = LLM(**{**vars(options), "model": spec["model"]})
    adapters = {
        name: LoRARequest(name, number, folder) for number, (name, folder) in enumerate(spec["adapters"].items(), 1)
    }
    with answers.open("a", encoding="utf-8") as out:
        for lines in chunks(line for line in lines_of(Path(spec["requests"])) if line["custom_id"] not in done):
            for line, answer in answers_of(model, adapters, lines):
                out.write(json.dumps(written(line, answer), ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())


def answered(path: Path) -> set[str]:
    """Return which lines have their answers; half a line, left by a kill, is cut off."""
    done: set[str] = set()
    if not path.exists():
        return done
    with path.open("rb+") as file:
        whole = 0
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            done.add(json.loads(raw)["custom_id"])
            whole += len(raw)
        file.truncate(whole)
    return done


def lines_of(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as lines:
        for number, raw in enumerate(lines, 1):
            try:
                line = json.loads(raw)
                line["custom_id"], line["body"]["messages"]
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"{path}, line {number} is no request of OpenAI's batch form: {error!r}") from error
            yield line


def chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    source = iter(lines)
    while chunk := list(islice(source, _AT_ONCE)):
        yield chunk


def answers_of(model: Any, adapters: Mapping[str, Any], lines: list[Line]) -> Iterator[tuple[Line, Any]]:
    """Yield each line with what vLLM made of it, or why it made nothing."""
    asked: list[Asked] = []
    for line in lines:
        try:
            asked.append((line, sampling(line["body"]), adapter_of(line["body"], adapters)))
        except ValueError as error:
            yield line, error
    try:
        together = chat(model, asked)
    except refusals():
        # One that vLLM refuses, such as a prompt that is too long, fails all beside it: let each stand for itself.
        together = [alone(model, one) for one in asked]
    yield from zip((line for line, _, _ in asked), together, strict=True)


def alone(model: Any, one: Asked) -> Any:
    try:
        return chat(model, [one])[0]
    except refusals() as error:
        return error


def refusals() -> tuple[type[Exception], ...]:
    """Return what vLLM raises for a request that it will not take; older versions know only the first."""
    from vllm import exceptions

    return ValueError, getattr(exceptions, "VLLMClientError", ValueError)


def chat(model: Any, asked: list[Asked]) -> list[Any]:
    if not asked:
        return []
    done: list[Any] = model.chat(
        [line["body"]["messages"] for line, _, _ in asked],
        [how for _, how, _ in asked],
        lora_request=[adapter for _, _, adapter in asked] if any(one for _, _, one in asked) else None,
        use_tqdm=False,
    )
    return done


def sampling(body: Mapping[str, Any]) -> Any:
    """Spell a request's arguments as vLLM's; raises `Unanswerable` for one that would be left out silently."""
    from vllm.sampling_params import StructuredOutputsParams

    from vllm import SamplingParams

    unknown = {name for name, value in body.items() if value is not None} - _READ
    if unknown:
        raise Unanswerable(f"{sorted(unknown)} mean nothing to an offline run: leave them out, or use run-batch")
    said = {name: body[name] for name in _SAMPLED if body.get(name) is not None}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if body.get("logprobs"):
        said["logprobs"] = body.get("top_logprobs") or 0
    if kept := constraint(body):
        said["structured_outputs"] = StructuredOutputsParams(**kept)
    return SamplingParams(max_tokens=limit, **said)


def constraint(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer must keep to, in vLLM's words; empty where it may be anything."""
    if body.get("structured_outputs"):
        return dict(body["structured_outputs"])
    form = body.get("response_format") or {"type": "text"}
    if form["type"] == "json_schema":
        return {"json": form["json_schema"]["schema"]}
    return {"json_object": True} if form["type"] == "json_object" else {}


def adapter_of(body: Mapping[str, Any], adapters: Mapping[str, Any]) -> Any:
    return adapters.get(body.get("model", ""))


def written(line: Line, answer: Any) -> dict[str, Any]:
    """Write an answer as OpenAI's batches are written, which every reader of those understands."""
    if isinstance(answer, Exception):
        told = {"error": {"message": str(answer), "type": "invalid_request_error"}}
        return {"custom_id": line["custom_id"], "response": {"status_code": 400, "body": told}, "error": None}
    (first,) = answer.outputs[:1]
    read, made = len(answer.prompt_token_ids), len(first.token_ids)
    usage = {
        "prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made,
        "prompt_tokens_details": {"cached_tokens": answer.num_cached_tokens or 0},
    }  # fmt: skip
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": first.text},
        "finish_reason": first.finish_reason,
        "logprobs": None if first.logprobs is None else {"content": confidence(first)},
    }
    body = {
        "id": f"chatcmpl-{line['custom_id']}", "object": "chat.completion", "created": int(time.time()),
        "model": line["body"].get("model", ""), "choices": [choice], "usage": usage,
    }  # fmt: skip
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


def confidence(output: Any) -> list[dict[str, Any]]:
    return [
        {"token": at[token].decoded_token, "logprob": at[token].logprob}
        for token, at in zip(output.token_ids, output.logprobs, strict=True)
    ]


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
