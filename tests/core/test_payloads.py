"""JSON payloads in fewer tokens: whatever the value, what comes back is what went in."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuppence.errors import ConfigError, RequestError
from tuppence.prune.audit import counter_for
from tuppence.prune.payloads import ENCODINGS, STANDARD, compact, decoded, encoded, parsed, same, shortest

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "no", "yes", "null", "true", "NaN", "1", "1.0", "007", "1e5", "0x1F", "2024-05-01", "12:30", "~", "-",
         "- a", "a: b", "a,b", "#W1", "*x", "[a]", "{a}", 'say "hi"', "it's", "two\nlines", "é", "日本", "a.b", "<<",
         "=", "\ud800", "\x85", "\ufeff", "1_000", "columns", "rows", "a\\nb", "٣", "\t", "x "]
    ),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS)
RECORDS = st.lists(WORDS, min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(names, SCALARS)).filter(bool), min_size=2, max_size=4
    )
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    uniform = st.lists(WORDS, min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, inner)), min_size=2, max_size=3)
    )
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4), uniform)


VALUES = st.recursive(st.one_of(SCALARS, RECORDS), containers, max_leaves=20)

SHAPES: dict[str, Any] = {
    "strings that look like something else": {
        "zip": "01234", "id": "42", "price": 42, "whole": 42.0, "flag": "true", "set": True, "none": None,
        "word": "null", "day": "2024-05-01", "at": "12:30", "empty": "", "norway": "no", "sci": "1e5",
    },
    "a map of records that repeat their key": {
        "variants": {"a1": {"id": "a1", "size": {"cm": 4, "in": 1.5}}, "b2": {"id": "b2", "size": {"cm": 5, "in": 2}}}
    },
    "a map of records under other keys": {"x": {"n": 1, "m": "one, two"}, "y": {"n": 2, "m": "three"}},
    "records that lack fields": [{"a": 1, "b": 2, "c": 3}, {"a": 4, "c": 5}, {"b": "", "c": None}],
    "records whose fields stand in another order": [{"a": 1, "b": 2}, {"b": 3, "a": 4}],
    "long text": {"body": 'He said, "no": twice.\n\n' * 40, "n": 1},
    "numbers": [[1, 2.5, -3], [0, -0.0, 1e300], list(range(200))],
    "heterogeneous": [1, "1", None, True, [], {}, {"a": []}, [[]], {"": {"": ""}}],
    "dotted names": [{"a.b": 1, "a": {"b": 2}}, {"a.b": 3, "a": {"b": 4}}],
    "columns already": {"columns": ["a"], "rows": [[1], [2]]},
    "deep": json.loads('{"a":[' * 60 + "1" + "]}" * 60),
    "scripts": {"名前": "日本語", "emoji": "👍🏽", "rtl": "שלום", "accent": "é"},
}  # fmt: skip


class TestEveryEncoding:
    @given(VALUES)
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_gives_back_every_value_that_it_claims(self, encoding: str, value: Any) -> None:
        """Types, order of keys and every character: nothing is lost, or the encoding does not apply."""
        text = encoded(value, encoding)
        if text is not None:
            assert json.dumps(decoded(text, encoding)) == json.dumps(value)

    @pytest.mark.parametrize("value", SHAPES.values(), ids=SHAPES)
    @pytest.mark.parametrize("encoding", ["json", "compact", "yaml", "outline"])
    def test_says_payloads_of_every_shape(self, encoding: str, value: Any) -> None:
        """These four are never at a loss for an object or a list that people send."""
        text = encoded(value, encoding)
        assert text is not None
        assert same(decoded(text, encoding), value)

    @given(VALUES)
    def test_of_json_itself_claims_every_value(self, value: Any) -> None:
        """There is always something to fall back on."""
        assert encoded(value, "json") == json.dumps(value)
        assert encoded(value, "compact") is not None

    @given(st.text())
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @example(text="a[b,c]:\n 1")
    @example(text="{*,a}:\n 1,2\n 1,3")
    @example(text='a:"\\x"')
    @example(text="-")
    @example(text="[a]:")
    def test_refuses_what_it_did_not_write_in_its_own_words(self, encoding: str, text: str) -> None:
        """No text makes a reader fail in another way than by saying that it cannot read it."""
        with contextlib.suppress(RequestError):
            compact(decoded(text, encoding))


class TestTheOutline:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"name": "T-Shirt", "zip": "92182", "n": 5}, 'name:T-Shirt\nzip:"92182"\nn:5'),
            ({"to": {"city": "Chicago", "at": "12:30"}}, "to:{city:Chicago,at:12:30}"),
            ({"legs": [{"from": "PHX", "usd": 1}, {"from": "JFK", "usd": 2}]}, "legs[from,usd]:\n PHX,1\n JFK,2"),
            (
                {"kinds": {"k1": {"id": "k1", "is": {"red": True}}, "k2": {"id": "k2", "is": {"red": False}}}},
                "kinds{*id,is.red}:\n k1,true\n k2,false",
            ),
            ([{"name": "one", "size": 1}, {"name": "two"}], "[name,size]:\n one,1\n two,"),
            ([[1, [2, [3, [4]]]], "a"], "-\n - 1\n -\n  - 2\n  - [3,[4]]\n- a"),
        ],
    )
    def test_reads_like_the_notation_that_is_documented(self, value: Any, text: str) -> None:
        """What a model sees, line by line."""
        assert encoded(value, "outline") == text

    def test_names_an_empty_cell_absent_and_an_empty_string_in_quotes(self) -> None:
        """Nothing, an empty string and null are three things."""
        value = [{"name": "a", "note": ""}, {"name": "b", "note": None}, {"name": "c"}]
        assert encoded(value, "outline") == '[name,note]:\n a,""\n b,null\n c,'


class TestColumns:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (
                [{"name": "Washer", "price": {"usd": 1.5}}, {"name": "Spanner", "price": {"usd": 2}}],
                '{"columns":["name","price.usd"],"rows":[["Washer",1.5],["Spanner",2]]}',
            ),
            (
                {"k-one": {"item_id": "k-one", "available": 1}, "k-two": {"item_id": "k-two", "available": 2}},
                '{"columns":["*item_id","available"],"rows":[["k-one",1],["k-two",2]]}',
            ),
            (
                {key: {"available": 1, "price in dollars": 3} for key in "abc"},
                '{"columns":["*","available","price in dollars"],"rows":[["a",1,3],["b",1,3],["c",1,3]]}',
            ),
        ],
    )
    def test_say_the_names_of_uniform_records_once(self, value: Any, text: str) -> None:
        """Lists and objects of records; the star marks the keys."""
        assert encoded(value, "columns") == text

    def test_in_yaml_are_a_line_a_row(self) -> None:
        """The same shape without most of the quotes."""
        value = {"legs": [{"origin": place, "usd": 1} for place in ("PHX", "JFK", "LAX")]}
        rows = "\n".join(f"  - [{place},1]" for place in ("PHX", "JFK", "LAX"))
        assert encoded(value, "yaml columns") == f"legs:\n columns: [origin,usd]\n rows:\n{rows}"

    @pytest.mark.parametrize(
        "value", [{"columns": [1, 2], "rows": [{"name": 1}, {"name": 2}]}, [{"a.name": 1}] * 9, [{"*name": 1}] * 9, [1]]
    )
    def test_are_not_used_where_they_could_be_misread(self, value: Any) -> None:
        """What looks like a table already, and names that hold a dot or a star."""
        assert encoded(value, "columns") is None


class TestCsv:
    def test_keeps_numbers_and_strings_of_digits_apart(self) -> None:
        """In quotes is text, bare is what it looks like."""
        value = [{"id": "7", "usd": 7, "at": {"day": "Mon"}}, {"id": "8", "usd": 0.5, "at": {"day": 'the "8th", a'}}]
        assert encoded(value, "csv") == 'id,usd,at.day\n"7",7,Mon\n"8",0.5,"the ""8th"", a"'

    @pytest.mark.parametrize("value", [{}, [], [1, 2], [{"a": 1}], [{"a": [1]}, {"a": [2]}]])
    def test_is_for_lists_of_flat_records(self, value: Any) -> None:
        """Anything else has no rows."""
        assert encoded(value, "csv") is None


class TestTheShortest:
    @given(VALUES, st.lists(st.sampled_from(ENCODINGS), unique=True))
    def test_is_never_longer_than_json_dumps_and_reads_back(self, value: Any, encodings: list[str]) -> None:
        """The spelling that everybody uses is always among the candidates."""
        found = shortest(value, encodings=encodings)
        assert found.encoding in {*encodings, "json"}
        assert found.tokens <= counter_for()(json.dumps(value))
        assert same(decoded(found.text, found.encoding), value)

    def test_is_chosen_by_count(self) -> None:
        """The counts of all that can say the value are there to be looked at, and the least of them won."""
        found = shortest([{"name": f"box {i}", "size": i} for i in range(9)], encodings=ENCODINGS)
        assert set(found.counts) == set(ENCODINGS) and found.encoding != "json"
        assert found.tokens == min(found.counts.values()) == counter_for()(found.text)
        assert found.audit.tokens_saved == found.counts["json"] - found.tokens > 0

    def test_keeps_to_formats_that_all_programs_know_unless_asked(self) -> None:
        """The outline is a notation of tuppence's own: it is opted into."""
        value = {"legs": [{"from": "PHX", "usd": i} for i in range(9)]}
        assert shortest(value).encoding in STANDARD
        assert shortest(value, encodings=ENCODINGS).encoding == "outline"

    def test_says_why_nothing_was_gained(self) -> None:
        """A payload that is short as it is stays, with the reason."""
        assert shortest("hello").audit.kept_because == "no other encoding is shorter"

    def test_of_an_unknown_encoding_is_refused(self) -> None:
        """A slip of the pen is found before any payload is written."""
        with pytest.raises(ConfigError, match="no encoding 'toml': take one of json, compact"):
            shortest(1, encodings=["toml"])

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes", {"a": [float("nan")]}])
    def test_of_what_is_no_json_value_is_refused(self, value: Any) -> None:
        """What JSON cannot say is not guessed at."""
        with pytest.raises(RequestError, match="no JSON value"):
            shortest(value)

    def test_of_objects_with_other_keys_is_that_of_what_json_dumps_writes(self) -> None:
        """Numbers as keys become strings, as they do in JSON; two keys that become one are refused."""
        assert same(decoded(shortest({1: "a"}).text, shortest({1: "a"}).encoding), {"1": "a"})
        with pytest.raises(RequestError, match="the key '1' twice"):
            shortest({1: "a", "1": "b"})


class TestReadingStrictly:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice"),
            ("[NaN]", "NaN is no JSON number"),
            ("[1e999]", "1e999 is larger than a float can be"),
            ('{"a": }', "is no JSON"),
            ("", "is no JSON"),
            ("[" * 100_000, "is no JSON"),
        ],
    )
    def test_refuses_what_would_not_come_back(self, text: str, why: str) -> None:
        """The second of two equal keys, and numbers that are none, are lost silently elsewhere."""
        with pytest.raises(RequestError, match=why):
            parsed(text)

    def test_tells_apart_what_python_calls_equal(self) -> None:
        """1 == 1.0 == True, but not in JSON."""
        assert not same(1, 1.0) and not same(1, True) and not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
        assert not same(0.0, -0.0) and not same("1", 1) and same((1,), [1])

    def test_compact_keeps_letters_and_escapes_what_nobody_sees(self) -> None:
        """An accent is one token, its escape five; what has no UTF-8 must stay escaped."""
        assert compact({"é": "\ud800\u2028"}) == '{"é":"\\ud800\\u2028"}'
