"""JSON within a text, made compact where it stands: everything else stays byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.prune.audit import counter_for
from tuppence.prune.payloads import compact_in_text, compacted

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["```", "```json\n", "\n```\n", "~~~\n", "`", "{", "[", "}", "]", '"', "\n\n", "[1, 2]", "{ }"]),
    VALUES.map(lambda value: json.dumps(value, indent=2)),
    VALUES.map(json.dumps),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


class TestTextWithJson:
    @pytest.mark.parametrize(
        ("text", "shorter"),
        [
            ('{"a": [1, 2],\n "b": "x, y"}', '{"a":[1,2],"b":"x, y"}'),
            (" [1, 2, 3]\n", " [1,2,3]\n"),
            ('Result: {"a": 1, "b": [2, 3]} (done)', 'Result: {"a":1,"b":[2,3]} (done)'),
            ('Rows: [{"a": 1}, {"a": 2}].', 'Rows: [{"a":1},{"a":2}].'),
            ('{"a": 1}\n{"a": 2}\n', '{"a":1}\n{"a":2}\n'),
            ('See:\n```json\n{\n  "a": 1\n}\n```\nend  ', 'See:\n```json\n{"a":1}\n```\nend  '),
            ('```\n{ "a": 1 }\n```', '```\n{"a":1}\n```'),
            ('{{"answer": "yes"}}', '{{"answer":"yes"}}'),
            ('{"price": 1.10, "price": 1e2, "name": "caf\\u00e9"}', '{"price":1.10,"price":1e2,"name":"café"}'),
        ],
    )
    def test_has_it_compact(self, text: str, shorter: str) -> None:
        """A whole message, a block, an object in a sentence; numbers keep their digits, double keys stay."""
        assert compact_in_text(text) == shorter

    @pytest.mark.parametrize(
        "text",
        [
            "Figures [1, 2] and [[3, 4], [5]] are in the text.",
            '```python\nrows = {"a": 1, "b": 2}\n```',
            'Write `{"a": 1, "b": 2}` exactly so.',
            '{"a": 1, "b": NaN}',
            "{'a': 1, 'b': 2}",
            '{"a": 1, // why\n "b": 2}',
            '{"a": 1, "b": ',
            '{"a":1}',
            "{ name }, [ ], { }",
            "",
        ],
    )
    def test_keeps_what_is_no_json_or_is_code(self, text: str) -> None:
        """References in prose, code, templates and broken objects are not touched."""
        assert compact_in_text(text) == text

    @given(TEXTS)
    def test_is_never_longer_and_the_same_the_second_time(self, text: str) -> None:
        """A conversation's bytes stay stable, and no text is an exception."""
        once = compact_in_text(text)
        count = counter_for()
        assert count(once) <= count(text)
        assert compact_in_text(once) == once

    @given(st.dictionaries(st.text(), VALUES, min_size=1), st.text(alphabet="abc .,:;\n"), st.text(alphabet="abc .\n"))
    def test_keeps_the_words_around_it_and_its_value(self, value: dict[str, Any], before: str, after: str) -> None:
        """What stands before and after is there to the byte."""
        found = compact_in_text(f"{before}{json.dumps(value, indent=2)}{after}")
        assert found.startswith(before) and found.endswith(after)
        assert json.dumps(json.loads(found[len(before) : len(found) - len(after)])) == json.dumps(value)

    @pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, "[1," * 100_000, '[{"a": 1}, ' * 50_000])
    def test_that_only_begins_like_json_is_given_up_in_time(self, text: str) -> None:
        """What would take a quadratic time is left as it is."""
        assert compact_in_text(text) == text


class TestJsonText:
    @given(VALUES, st.sampled_from([None, 0, 1, 4]))
    def test_is_compact_and_stands_for_the_same(self, value: Any, indent: int | None) -> None:
        """However it was laid out."""
        text = compacted(json.dumps(value, indent=indent))
        assert json.dumps(json.loads(text)) == json.dumps(value)
        assert len(text) <= len(json.dumps(value, indent=indent))

    @given(st.text())
    def test_that_is_none_comes_back_as_it_was(self, text: str) -> None:
        """Whatever is no JSON is nobody's to change."""
        try:
            json.loads(text, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            assert compacted(text) == text
