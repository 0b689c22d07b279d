"""A prompt without what says nothing: what goes, what stays because it may be meant, and what the audit names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.prune.audit import counter_for
from tuppence.prune.prompts import tidied

RULE = (
    "You must answer in English and cite each of the sources that you used, for every claim that you make, "
    "always and without any exception at all."
)
LINES = st.one_of(
    st.text(alphabet="ab \t\r.:#-|`~{}[]<>/", max_size=12),
    st.sampled_from(
        ["", " ", "    code", "```", "```python", "~~~", "# Head", RULE, "a  ", '{"a": [1, 2]}', "<x>", "</x>"]
    ),
)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)


class TestWhitespace:
    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("First line. \nSecond.\t\n", "First line.\nSecond.\n"),
            ("One   \n\n \n\t\n\nTwo", "One\n\nTwo"),
            ("\n \n\nOne\n \n\n", "One\n"),
            ("One\r\n\r\n \r\n \r\nTwo \r\n", "One\r\n\r\nTwo\r\n"),
        ],
    )
    def test_at_the_ends_of_lines_and_in_runs_of_empty_lines_goes(self, text: str, left: str) -> None:
        """Line ends stay as they are, and so does whether the text ends with one."""
        assert tidied(text).text == left

    @pytest.mark.parametrize(
        "text",
        [
            "A line of verse  \nand the next one",
            "```python\ndef f():  \n\n\n    return 1   \n```",
            "def f():\n    a = 1   \n\n\n    return a",
            "text: |\n  one \n   \n\n  two",
            "all:\n\tmake it  \n\n\n\tand that",
            "| a    | b |\n|------|---|\n| 1    | 2 |",
            "Two  blanks within   a line",
            "~~~\n\n\n\n~~~",
            "```\nnever closed \n\n\n  ",
        ],
    )
    def test_that_may_be_meant_stays(self, text: str) -> None:
        """Hard line breaks, fences, code by its indentation, YAML and Makefiles, tables."""
        assert tidied(text).text == text


class TestARepeatedParagraph:
    def test_goes_and_is_named_with_its_text(self) -> None:
        """Who reads the audit sees which one, and can put it back."""
        found = tidied(f"# Rules\n\n{RULE}\n\nBe kind.\n\n{RULE}\n\nThe end.")
        assert found.text == f"# Rules\n\n{RULE}\n\nBe kind.\n\nThe end."
        [cut] = found.audit.cuts
        assert (cut.kind, cut.why, cut.text.strip()) == ("repeat", "stands before, word for word", RULE)
        assert cut.tokens == found.audit.tokens_saved > 20

    def test_goes_where_only_its_layout_differs(self) -> None:
        """Trailing blanks do not make it another paragraph."""
        assert tidied(f"{RULE}  \nYes.\n\nNo.\n\n{RULE}  \nYes. \n").text == f"{RULE}  \nYes.\n\nNo.\n"

    def test_goes_with_its_heading_where_a_whole_section_stands_twice(self) -> None:
        """No heading is left over nothing."""
        assert tidied(f"# Rules\n\n{RULE}\n\n# Tone\n\nKind.\n\n# Rules\n\n{RULE}\n").text == (
            f"# Rules\n\n{RULE}\n\n# Tone\n\nKind.\n"
        )

    @pytest.mark.parametrize(
        "text",
        [
            f"# One\n\n{RULE}\n\n# Two\n\n{RULE}",
            f"{RULE}\n\nThe text to translate is:\n\n{RULE}",
            f"User: {RULE}\n\nyes\n\nUser: {RULE}\n\nno",
            f"<example>\n\n{RULE}\n\n</example>\n<example>\n\n{RULE}\n\n</example>",
            f"<example>\n\n{RULE}\n\n</example>\n\n{RULE}",
            f"```\n{RULE}\n\n{RULE}\n```",
            f"{RULE}\n\n```\ncode\n```\n{RULE}",
            f"{RULE}\n\n  {RULE}",
            f"{RULE}\n\n{RULE} Or not.",
            f"{RULE[:-1]}:\n\n- one\n\n{RULE[:-1]}:\n\n- two",
            "Answer yes or no.\n\nIs it?\n\nAnswer yes or no.",
        ],
    )
    def test_stays_where_it_may_mean_something_else(self, text: str) -> None:
        """Another heading, an example's turn, a text to work on, a fence, a refrain, another wording."""
        assert tidied(text).text == text


class TestAnyText:
    @given(TEXTS | st.text())
    def test_is_never_longer_and_the_same_the_second_time(self, text: str) -> None:
        """Bytes stay stable, tokens never rise, and what was not empty stays so."""
        found = tidied(text)
        assert found.audit.tokens_after == counter_for()(found.text) <= found.audit.tokens_before == counter_for()(text)
        assert tidied(found.text).text == found.text
        assert bool(found.text.strip()) == bool(text.strip())

    @given(TEXTS)
    def test_keeps_every_different_word_in_its_order(self, text: str) -> None:
        """Only whole repeated blocks and whitespace go: what is left is a subsequence, with all the words."""
        before, after = re.sub(r"\s", "", text), re.sub(r"\s", "", tidied(text).text)
        rest = iter(before)
        assert all(letter in rest for letter in after)
        assert set(re.findall(r"\w+", text)) == set(re.findall(r"\w+", tidied(text).text))

    def test_with_nothing_to_gain_comes_back_untouched_with_the_reason(self) -> None:
        """A tidy prompt is not changed for the sake of it."""
        found = tidied("Be brief.")
        assert (found.text, found.audit.kept_because) == ("Be brief.", "nothing to leave out")

    @pytest.mark.parametrize(
        "text", [" " * 200_000, "a" + " " * 200_000 + "b", "\n" * 200_000, "x " * 50_000, "<" * 99_999]
    )
    def test_of_any_size_takes_no_more_than_its_reading(self, text: str) -> None:
        """Nothing in it is quadratic: this would take minutes."""
        assert tidied(text).text.split() == text.split()
