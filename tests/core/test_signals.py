"""What a text shows without asking anybody."""

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.signals import (
    complexity,
    count_words,
    cut_off,
    has_code,
    has_table,
    names,
    numbers,
    read_json,
    sequence_probability,
    words,
)

HOSTILE = [
    "|" * 200_000,
    "a|" * 100_000,
    ("x" * 40 + ",") * 20_000,
    "{" * 200_000,
    "[" * 200_000,
    "-" * 200_000,
    "$" * 200_000,
    "1 + " * 50_000,
    "1,111," * 40_000,
    "A " * 100_000,
    "select " * 40_000,
    "<a " * 60_000,
    "```" * 60_000,
    "\t" * 200_000,
    "模" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
@pytest.mark.parametrize("signal", [complexity, count_words, cut_off, has_code, has_table, names, numbers, words])
def test_no_text_makes_a_signal_slow(signal: object, text: str) -> None:
    """Two hundred thousand characters of a near miss take well under a second: no pattern backtracks without end."""
    assert callable(signal)
    started = time.thread_time()
    signal(text)
    assert time.thread_time() - started < 10.0


@given(st.text())
def test_signals_take_any_text(text: str) -> None:
    """No text raises, and a score is a score."""
    for signal in (count_words, cut_off, has_code, has_table, names, numbers, words):
        signal(text)
    found = complexity(text)
    assert 0.0 <= found.score <= 1.0
    assert all(0.0 <= value <= 1.0 for _, value in found.features)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("one two  three\n", 3), ("我们需要分析数据", 4), ("hello 世界", 2), ("don't stop", 2)],
)
def test_words_are_counted(text: str, expected: int) -> None:
    """By spaces; of a script without spaces, two characters are a word."""
    assert count_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The CAT sat.", ["the", "cat", "sat"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne cafe\u0301", ["fine", "café"]),
        ("量子力学", ["量子", "子力", "力学"]),
        ("使用GPT模型", ["使用", "gpt", "模型"]),
        ("猫", ["猫"]),
        ("42 + 7", []),
    ],
)
def test_words_are_comparable(text: str, expected: list[str]) -> None:
    """Case, ligatures and composed accents make no difference; Chinese is compared by pairs of characters."""
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.50", ["1234.5"]),
        ("1.234,5", ["1234.5"]),
        ("1\u202f234,5 and 1\u00a0234.5", ["1234.5", "1234.5"]),
        ("3.14", ["3.14"]),
        ("0.50 0,5 -0.0 0", ["0.5", "0.5", "0", "0"]),
        ("007", ["7"]),
        ("1.2.3", ["1.2.3"]),
        ("-5 \u22125 10-20 COVID-19", ["-5", "-5", "10", "20", "19"]),
        ("２０２４", ["2024"]),
        ("12/05/2024", ["12", "5", "2024"]),
        ("none", []),
    ],
)
def test_numbers_are_written_alike(text: str, expected: list[str]) -> None:
    """Separators of several countries, full-width digits and trailing zeros make no difference; a sign does."""
    assert numbers(text) == expected


def test_names_are_capitals_inside_a_sentence() -> None:
    """The first word of a sentence or a list item is capitalised anyway."""
    text = "Yesterday Ann Lee met the mayor of Łódź. The mayor works for NASA.\n- Apples\n- Pears. USA"
    assert names(text) == ["ann", "lee", "łódź", "nasa", "usa"]


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "a | b\n:-- | --:\n1 | 2",
        "x\ty\n1\t2\n3\t4",
        "name,age,city\nann,31,paris\nbob,25,rome",
        "<TABLE><tr><td>1</td></tr></table>",
    ],
)
def test_tables_are_seen(text: str) -> None:
    """Markdown, tabs, commas and HTML."""
    assert has_table(text)


@pytest.mark.parametrize(
    "text",
    ["", "a or b | c", "One, two, three.\nFour, five, six.\nSeven, eight, nine.", "---\ntitle\n---", "x | y\nx | y"],
)
def test_prose_is_no_table(text: str) -> None:
    """Enumerations in sentences, rules and single bars are not tables."""
    assert not has_table(text)


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n```",
        "def f(x):\n    return x",
        "for (;;) {",
        "SELECT a FROM b",
        "#include <x>",
        "Traceback (most recent",
    ],
)
def test_code_is_seen(text: str) -> None:
    """Fences and the usual openings of lines."""
    assert has_code(text)


@pytest.mark.parametrize("text", ["", "Please select a gift from the list.", "I import goods.", "A class of its own"])
def test_prose_is_no_code(text: str) -> None:
    """Words that are also keywords are not enough."""
    assert not has_code(text)


def test_harder_questions_score_higher() -> None:
    """A greeting scores nothing, a fact little, a proof under constraints much: the order is what routing needs."""
    ladder = [
        "Hi!",
        "What is the capital of Peru, and how many people live there these days?",
        "Explain why quicksort is O(n log n) on average, and compare it with mergesort.",
        (
            "Prove step by step that \\sum_{k=1}^n k = n(n+1)/2 + 0. It must use induction, without calculus. "
            "1) Why does it hold for n = 1?\n2) Derive n+1.\n3) Compare with Gauss.\n```python\ndef f(n): ...\n```"
        ),
    ]
    scores = [complexity(text).score for text in ladder]
    assert scores[0] == 0.0
    assert scores == sorted(scores)
    assert scores[1] < 0.3 < scores[2] < 0.7 < scores[3]


def test_complexity_says_why() -> None:
    """The features that count are named, the largest first."""
    found = complexity("Explain and compare:\n```\nx\n```")
    assert found.reason.startswith(("code 1.00", "reasoning 1.00"))
    assert "reasoning 1.00" in found.reason
    assert complexity("Hi").reason == "nothing that asks for more"


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("```python\nprint(1)", "code block"),
        ('{"a": [1, 2', "JSON"),
        ('{"a": "unfinished str', "JSON"),
        ("There are three reasons:", "':'"),
        ("first, second,", "','"),
        ("It depends on the", "'the'"),
        ("Es war einmal der", "'der'"),
    ],
)
def test_a_cut_off_text_shows(text: str, sign: str) -> None:
    """Each sign is named."""
    assert sign in (cut_off(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Done.",
        "positive",
        '{"a": 1}',
        "```\nx\n```\n",
        "What is it for",
        "{not json} at all",
        "[1] See above.",
        "a",
    ],
)
def test_a_whole_text_shows_no_sign(text: str) -> None:
    """Labels without a full stop, citations and braces in prose are whole."""
    assert cut_off(text) is None


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.lists(st.booleans()))))
def test_json_that_lost_its_end_is_cut_off(value: dict[str, object]) -> None:
    """Whatever the object, without its last brace it is seen to be cut, and with it is not."""
    text = json.dumps(value)
    assert cut_off(text) is None
    assert cut_off(text[:-1]) is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": 1}', {"a": 1}), ("```json\n[1]\n```", [1]), (" ```\n{}\n```\n", {}), ("3", 3), ("```json\n{}```", {})],
)
def test_json_is_read(text: str, value: object) -> None:
    """As it stands, or in one fence."""
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text", ["", "no", 'Sure! {"a": 1}', '{"a": 1} {"b": 2}', "NaN", '{"a": Infinity}', "[" * 100_000, "9" * 5000]
)
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    """Text around it, constants that JSON has not, and nesting without end."""
    with pytest.raises(ValueError):
        read_json(text)


def test_sequence_probability_is_the_geometric_mean() -> None:
    """Two tokens of one half and one eighth are as sure as one of a quarter."""
    assert sequence_probability([math.log(1 / 2), math.log(1 / 8)]) == pytest.approx(1 / 4)
    assert sequence_probability([0.0]) == 1.0
    assert sequence_probability([]) == 0.0
    assert sequence_probability([-9999.0]) == 0.0
    assert sequence_probability([-1e308, -1e308]) == 0.0
    assert sequence_probability([-math.inf, 0.0]) == 0.0
    assert sequence_probability([0.0, math.nan]) == 0.0


@given(st.lists(st.one_of(st.floats(max_value=0.001), st.just(math.nan)), max_size=50))
def test_sequence_probability_is_a_probability(logprobs: list[float]) -> None:
    """Rounding above zero, infinities and NaN stay in [0, 1]."""
    assert 0.0 <= sequence_probability(logprobs) <= 1.0
