"""Whole sentences by their characters: prose with its abbreviations, lists, code, tables, and any other text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuppence.prune.sentences import sentences


def cut(text: str) -> list[str]:
    return [span.of(text) for span in sentences(text)]


class TestProse:
    @pytest.mark.parametrize(
        "text",
        [
            "Dr. J. R. Smith met Mrs. Brown at St. Mary's.",
            "It costs $3.50 or approx. 4 dollars.",
            "He lives in the U.S. Virgin Islands.",
            "See fig. 3 and vol. 2 for details.",
            "Yahoo! is a company.",
            '"Are you sure?" he asked.',
            "Version 2.0.1 was released.",
            "1. First of all",
        ],
    )
    def test_these_are_one_sentence(self, text: str) -> None:
        """Full stops of abbreviations, initials and numbers end nothing; nor do marks that a small letter follows."""
        assert cut(text) == [text]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("He left. She stayed.", ["He left.", "She stayed."]),
            ("It was 5 p.m. The sun set.", ["It was 5 p.m.", "The sun set."]),
            ("He said no. The end... Really? Yes.", ["He said no.", "The end...", "Really?", "Yes."]),
            ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
            ("It sank.[1] Nobody knew.", ["It sank.[1]", "Nobody knew."]),
            ("i went home. then i slept.", ["i went home.", "then i slept."]),
            ("これは文です。次の文！", ["これは文です。", "次の文！"]),
            ("「はい。」と言った。終わり", ["「はい。」と言った。", "終わり"]),
            ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ],
    )
    def test_these_are_several(self, text: str, expected: list[str]) -> None:
        """Closing quotes and notes stay with their sentence, in any script."""
        assert cut(text) == expected


class TestLayout:
    def test_wrapped_lines_are_one_sentence(self) -> None:
        """A line break inside a sentence, as in mail and PDF text, ends nothing."""
        text = "The committee decided to postpone the whole matter until\nMonday, and\nnobody objected. Then it rose."
        assert cut(text) == [text.removesuffix(" Then it rose."), "Then it rose."]

    def test_headings_and_items_stand_alone(self) -> None:
        """A heading is no part of the paragraph below, an item none of its neighbour."""
        text = "# Results\nSales rose.\n\nSummary\nAll is well.\n- one\n- two\n1. three"
        assert cut(text) == ["# Results", "Sales rose.", "Summary", "All is well.", "- one", "- two", "1. three"]

    def test_code_is_never_cut(self) -> None:
        """A fenced block is one piece, blank lines and full stops included."""
        code = '```python\nx = "A. B"\n\nprint(x. Y)\n```'
        assert cut(f"Look. Here:\n{code}\nDone.") == ["Look.", "Here:", code, "Done."]

    def test_an_unclosed_fence_takes_the_rest(self) -> None:
        """A passage may be cut off inside a block."""
        assert cut("Look.\n```\na = 1. B\nc") == ["Look.", "```\na = 1. B\nc"]

    def test_rows_of_a_table_are_one_each(self) -> None:
        """The rule under a header belongs to it; full stops in cells end nothing."""
        assert cut("| a | b |\n|---|---|\n| 1. One. Two | 2 |\n| 3 | 4 |") == [
            "| a | b |\n|---|---|", "| 1. One. Two | 2 |", "| 3 | 4 |",
        ]  # fmt: skip


PIECES = st.sampled_from(
    ["Dr.", "A.", "the", "The", " ", "\n", "\n\n", "```", "| x |", "- ", "1. ", ".", "?!", "。", "」", '"', "\t",
     "\r\n", "\x0b", "\u2028", "…", "#", "e.g."]
)  # fmt: skip


class TestAnyText:
    @given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
    @example("\x1c.\x1c")
    def test_nothing_but_blanks_is_left_out(self, text: str) -> None:
        """Spans are in order, hold no blank ends, and with what lies between them give the text back."""
        at, told = 0, ""
        for span in sentences(text):
            assert at <= span.start < span.end <= len(text)
            assert not text[at : span.start].strip()
            assert span.of(text) == span.of(text).strip()
            told += text[at : span.start] + span.of(text)
            at = span.end
        assert not text[at:].strip()
        assert told + text[at:] == text
