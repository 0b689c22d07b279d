"""What is done to a prompt only by request: abbreviations that can be undone, and fillers that nothing leans on."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prune.audit import counter_for
from tuppence.prune.prompts import abbreviated, without_fillers
from tuppence.prune.prompts.constraints import constraints_of

LONG = "International Customer Relationship Management Platform"
WORDS = st.sampled_from(
    [
        "please", "Please", "kindly", "please note that", "Please note that", "in order to", "In order to",
        "make use of", "due to the fact that", "it", "is", "to", "must", "not", "only", "don't", "the", "answer",
        "Alice", "5", "GB",
        "“no”", '"please', 'now"', "`please", "x`", "{please", "it}", "https://a.b/please", "snake_case",
        ".", ". ", ",", "- ", "\n", "\n\n",
    ]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=16).map(" ".join) | st.text()


class TestAbbreviations:
    def test_come_with_a_legend_and_can_be_undone(self) -> None:
        """The model is told what a short form stands for; an answer that uses it can be spelt out."""
        text = f"The {LONG} is new. " * 6
        found = abbreviated(text, {LONG: "ICRM"})
        assert found.text == f"Abbreviations: ICRM = {LONG}.\n\n" + "The ICRM is new. " * 6
        assert found.expanded() == text
        assert found.expanded("Ask the ICRM team.") == f"Ask the {LONG} team."
        assert found.audit.tokens_saved == counter_for()(text) - counter_for()(found.text) > 0

    def test_that_do_not_pay_for_their_legend_are_not_used(self) -> None:
        """Said once, a long name is cheaper than its explanation."""
        found = abbreviated(f"The {LONG} is new.", {LONG: "ICRM"})
        assert (found.text, found.legend) == (f"The {LONG} is new.", "")
        assert "does not pay" in found.audit.kept_because

    def test_never_take_a_word_that_the_text_uses(self) -> None:
        """What ICRM means here is not known."""
        text = f"The {LONG} is no ICRM. " * 6
        found = abbreviated(text, {LONG: "ICRM"})
        assert found.text == text
        assert "'ICRM' stands in the text already" in found.audit.kept_because

    def test_leave_code_and_parts_of_words_alone(self) -> None:
        """A name within a fence or a longer word is another one."""
        found = abbreviated(f"{LONG}s. ```\n{LONG}\n```\n" + f"\n```\n{LONG}\n```\n" + f"{LONG}. " * 9, {LONG: "ICRM"})
        assert found.text.count(LONG) >= 2 and f"```\n{LONG}\n```" in found.text and f"{LONG}s" in found.text

    @given(
        st.lists(
            st.sampled_from(["alpha beta", "alpha beta gamma", "Ab", "A", ". ", "\n", "```\n", "α", "x"]), max_size=30
        ),
        st.dictionaries(
            st.sampled_from(["alpha beta", "alpha beta gamma", "alpha"]),
            st.sampled_from(["A", "Ab", "α", "Q"]),
            max_size=3,
        ),
    )
    def test_of_any_text_can_be_undone_and_are_never_longer(self, pieces: list[str], table: dict[str, str]) -> None:
        """Overlapping names, short forms in use, fences: the text comes back to the byte."""
        text = " ".join(pieces)
        try:
            found = abbreviated(text, table)
        except ConfigError:
            return
        assert found.expanded() == text
        assert found.audit.tokens_after == counter_for()(found.text) <= counter_for()(text)

    @pytest.mark.parametrize(
        ("table", "why"),
        [
            ({"service level agreement": ""}, "must be there, and be shorter"),
            ({"SLA": "agreement"}, "must be there, and be shorter"),
            ({"one thing": "T", "two things": "T"}, "stands for more than one name"),
            ({"plan B of all": "B"}, "is part of a name in the table"),
        ],
    )
    def test_that_could_not_be_undone_are_refused(self, table: dict[str, str], why: str) -> None:
        """Before any text is touched."""
        with pytest.raises(ConfigError, match=why):
            abbreviated("any", table)


class TestFillers:
    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("Please note that answers are short.", "Answers are short."),
            ("Write well. In order to help, make use of lists.", "Write well. To help, use lists."),
            ("It rains, due to the fact that clouds came.", "It rains, because clouds came."),
            ("Answer and please make use of lists.", "Answer and use lists."),
            ("- Kindly answer in English\n- Please be brief", "- Answer in English\n- Be brief"),
        ],
    )
    def test_go(self, text: str, left: str) -> None:
        """The sentence begins with its next word, in capitals where it did."""
        assert without_fillers(text).text == left

    @pytest.mark.parametrize(
        ("text", "phrase", "beside"),
        [
            ("Please note that you must answer.", "Please note that", "must"),
            ("Please do not shout.", "Please", "not"),
            ("please note that 5 GB is all.", "please note that", "5"),
            ("Please note that Alice decides.", "Please note that", "Alice"),
            ('Say "please wait" first.', "please", '"please wait"'),
            ("Run `please build` now.", "please", "`please build`"),
            ("In order to never fail, try.", "In order to", "never"),
            ("You should only please answer.", "please", "only"),
            ("In order to use parse_json well, look.", "In order to", "parse_json"),
        ],
    )
    def test_beside_what_binds_stay_and_are_named(self, text: str, phrase: str, beside: str) -> None:
        """A negation, an obligation, a number, a name, a quote, code: a person decides."""
        found = without_fillers(text)
        assert found.text == text
        assert [(one.phrase, one.beside, one.line) for one in found.risky] == [(phrase, beside, 1)]

    @pytest.mark.parametrize(
        "text", ["Designed to please customers.", "please", "Pleased to meet you.", "Note: it is so."]
    )
    def test_are_phrases_and_not_words_that_look_like_them(self, text: str) -> None:
        """To please is another verb; emphasis is no filler."""
        assert without_fillers(text).text == text

    def test_come_with_a_diff_and_their_places(self) -> None:
        """What changed can be read before it is taken."""
        text = "One line.\nPlease note that answers are short.\nLast line."
        found = without_fillers(text, source="system")
        assert found.diff.splitlines() == list(
            difflib.unified_diff(
                text.splitlines(), found.text.splitlines(), "system", "system without fillers", lineterm="", n=1
            )
        )
        [cut] = found.audit.cuts
        assert cut.span is not None and text[slice(*cut.span)] == cut.text == "Please note that "

    @given(TEXTS)
    def test_take_no_constraint_number_name_quote_or_code_with_them(self, text: str) -> None:
        """Whatever binds is there as often as before, in a text that is never longer."""
        found = without_fillers(text)
        assert constraints_of(found.text) == constraints_of(text)
        assert found.audit.tokens_after == counter_for()(found.text) <= counter_for()(text)

    def test_constraints_are_found_where_a_reader_would_see_them(self) -> None:
        """The audit's own eyes: words that bind, numbers with units, days, names, quotes, code."""
        found = constraints_of(
            "You mustn't send more than 3 MB to Bob before Friday. Say 'hi' via send_mail() at https://x.y."
        )
        assert {
            "mustn't",
            "more",
            "than",
            "3",
            "mb",
            "Bob",
            "before",
            "friday",
            "'hi'",
            "send_mail",
            "https://x.y.",
        } <= set(found)
        assert not constraints_of("The answer is here. It is so.")
