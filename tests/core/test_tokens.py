"""Token counts: exact where the vocabulary is public and at hand, otherwise an estimate that says so."""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.tokens import count_tokens, estimate_tokens, vocabulary_of

VOCABULARIES = [
    ("gpt-4o", "o200k_base"),
    ("openai/gpt-4o-mini-2024-07-18", "o200k_base"),
    ("gpt-5.4-nano", "o200k_base"),
    ("o3", "o200k_base"),
    ("o4-mini-2025-04-16", "o200k_base"),
    ("gpt-oss-120b", "o200k_base"),
    ("ft:gpt-4o-mini:acme::id", "o200k_base"),
    ("gpt-4-turbo", "cl100k_base"),
    ("gpt-3.5-turbo-0613", "cl100k_base"),
    ("text-embedding-3-small", "cl100k_base"),
    ("claude-sonnet-4-6", None),
    ("gemini-2.5-pro", None),
    ("o365-assistant", None),
]


@pytest.mark.parametrize(("model", "vocabulary"), VOCABULARIES)
def test_vocabulary_by_family(model: str, vocabulary: str | None) -> None:
    """Families as tiktoken maps them; anything else has no public vocabulary."""
    assert vocabulary_of(model) == vocabulary


def test_public_vocabularies_are_counted() -> None:
    """Known counts of the two vocabularies, for a text that they cut differently."""
    pytest.importorskip("bpe_openai")
    assert count_tokens("hello world", "gpt-4o").tokens == 2
    text = "Это предложение на русском языке для проверки токенизатора."
    new, old = count_tokens(text, "gpt-4o"), count_tokens(text, "gpt-4")
    assert (new.tokens, new.exact) == (12, True)
    assert old.exact
    assert old.tokens > new.tokens


def test_unknown_vocabularies_are_estimated() -> None:
    """An estimate is flagged, for a budget must know."""
    count = count_tokens("hello world", "claude-sonnet-4-6")
    assert not count.exact
    assert count.tokens == 4


def test_very_long_texts_are_counted_in_pieces() -> None:
    """The encoder refuses a megabyte; cut between words the count stays the same."""
    pytest.importorskip("bpe_openai")
    sentence = "Some words, and more. "
    whole = count_tokens(sentence * 60_000, "gpt-4o")
    assert whole.exact
    assert whole.tokens == pytest.approx(60_000 * count_tokens(sentence, "gpt-4o").tokens, rel=0.2)
    assert not count_tokens("a" * 2_000_000, "gpt-4o").exact


@given(st.text())
def test_estimates_are_sane(text: str) -> None:
    """Never negative, zero only for nothing, and never more than a token a byte."""
    tokens = estimate_tokens(text, "mistral-small")
    assert (tokens == 0) == (text == "")
    assert tokens <= max(1, len(text.encode("utf-8", "replace")))


@given(st.text(), st.text())
def test_estimates_grow_with_the_text(a: str, b: str) -> None:
    """More text is never estimated at fewer tokens."""
    assert estimate_tokens(a + b, "m") >= max(estimate_tokens(a, "m"), estimate_tokens(b, "m"))


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog, and then it does so again, to nobody's surprise. " * 5,
        json.dumps([{"order_id": f"#W{n}", "status": "delivered", "price": 193.38} for n in range(50)]),
        inspect.getsource(textwrap),
        "这是一个用于测试分词器的中文句子，我们想知道它有多少个标记。" * 5,
    ],
)
def test_estimates_err_on_the_high_side(text: str) -> None:
    """A budget that counts on the estimate must not be overrun by ordinary text."""
    pytest.importorskip("bpe_openai")
    exact = count_tokens(text, "gpt-4o")
    assert exact.exact
    assert exact.tokens <= estimate_tokens(text) <= 2 * exact.tokens


def test_counting_never_opens_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken downloads its vocabularies by default; here nothing may."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a token count opened a connection")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert count_tokens("hello", "gpt-4").tokens >= 1
    assert count_tokens("hello", "some-new-model").tokens >= 1


def test_import_loads_no_tokenizer() -> None:
    """Vocabularies take a tenth of a second and tens of megabytes: only a count may load them."""
    code = "import sys, tuppence.tokens; print({'bpe_openai', 'tiktoken', 'llama_index'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
