"""Answers that point at numbered sources: what they give, what is wrong with them, and what they save."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tuppence.prices import token_rate
from tuppence.prune.output import (
    AnswerError,
    Expanded,
    NumberedSources,
    expand,
    numbered_lines,
    numbered_passages,
    numbered_sentences,
    salvage,
)

HOLIDAYS = "Holidays are 28 days a year. They are asked for in writing. The office answers in a week."
TRAVEL = "Trains are booked by the office. Flights are not paid for."
PASSAGES = numbered_passages([HOLIDAYS, TRAVEL])
SENTENCES = numbered_sentences([HOLIDAYS, TRAVEL])

TEXTS = st.lists(st.text(max_size=80), max_size=5)
KINDS = st.sampled_from([numbered_passages, numbered_sentences, numbered_lines])
POINTERLIKE = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.builds(lambda a: f"[{a}]", st.integers(-1, 8)),
        st.builds(lambda a, b: f"[{a}:{b}]", st.integers(0, 6), st.integers(0, 6)),
        st.builds(lambda a, b, c: f"[{a}:{b}-{c}]", st.integers(0, 6), st.integers(0, 6), st.integers(0, 9**12)),
        st.sampled_from(["[", "]", "[1", "[]", "[1,2]", '["1"]', "[１]", "[²]", "\n"]),
    ),
    max_size=8,
).map("".join)


def texts_of(expanded: Expanded) -> list[str]:
    return [quote.text for quote in expanded.quotes]


class TestShowingSources:
    """How sources stand in the prompt."""

    def test_passages_carry_their_number(self) -> None:
        """In brackets, as answers point at them."""
        assert PASSAGES.rendered == f"[1] {HOLIDAYS}\n\n[2] {TRAVEL}"

    def test_sentences_are_numbered_in_each_source(self) -> None:
        """A line each."""
        assert SENTENCES.rendered.endswith("[2]\n1: Trains are booked by the office.\n2: Flights are not paid for.")

    def test_lines_keep_their_beginning_and_blank_ones_have_no_number(self) -> None:
        """Indentation is code."""
        code = "def f():\n\n    return 1\r\n"
        assert numbered_lines([code]).rendered == "[1]\n1: def f():\n2:     return 1"

    def test_instructions_depend_on_the_kind_alone(self) -> None:
        """A cached prompt stays cached whatever the sources are."""
        assert PASSAGES.instructions == numbered_passages(["other"]).instructions
        assert PASSAGES.instructions != SENTENCES.instructions

    @given(TEXTS, KINDS)
    def test_the_schema_takes_what_can_be_expanded_and_no_other_number(self, texts: list[str], kind) -> None:  # type: ignore[no-untyped-def]
        """Every pointer that the schema lists is right; one past the end is not in it."""
        sources: NumberedSources = kind(texts)
        Draft202012Validator.check_schema(sources.schema)
        holds = Draft202012Validator(sources.schema).is_valid
        item = sources.schema["properties"]["pointers"]["items"]
        for name in item.get("enum", []):
            answer = {"pointers": [name]}
            assert holds(answer)
            assert expand(sources, json.dumps(answer)).quotes
        if "enum" in item:
            assert not holds({"pointers": [str(len(texts) + 1)]})


class TestExpanding:
    """What right answers give."""

    @pytest.mark.parametrize(
        ("answer", "texts"),
        [
            ("[2]", [TRAVEL]),
            ("[2][1]", [TRAVEL, HOLIDAYS]),
            ("The answer is in [2].", [TRAVEL]),
            ("[1-2]", [HOLIDAYS, TRAVEL]),
            ("[1, 2]", [HOLIDAYS, TRAVEL]),
            ('{"pointers": ["2", "1"]}', [TRAVEL, HOLIDAYS]),
            ("[]", []),
            ('{"pointers": []}', []),
            ("[see the note] [2]", [TRAVEL]),
        ],
    )
    def test_whole_sources(self, answer: str, texts: list[str]) -> None:
        """In the order of the answer, from brackets or JSON; other words are passed over."""
        assert texts_of(expand(PASSAGES, answer)) == texts

    @pytest.mark.parametrize(
        ("answer", "texts"),
        [
            ("[1:2]", ["They are asked for in writing."]),
            ("[1:2-3]", ["They are asked for in writing. The office answers in a week."]),
            ("[1:2–3]", ["They are asked for in writing. The office answers in a week."]),
            ("[2:2; 1:1]", ["Flights are not paid for.", "Holidays are 28 days a year."]),
            ("[2]", [TRAVEL]),
        ],
    )
    def test_places_within_sources(self, answer: str, texts: list[str]) -> None:
        """Neighbouring sentences come in one stretch, with what stands between them."""
        assert texts_of(expand(SENTENCES, answer)) == texts

    def test_a_quote_says_where_it_is_from(self) -> None:
        """Number of the source and characters in it."""
        (quote,) = expand(SENTENCES, "[2:2]").quotes
        assert (quote.source, TRAVEL[quote.start : quote.end]) == (2, "Flights are not paid for.")

    def test_it_is_text_where_text_is_wanted(self) -> None:
        """Frameworks turn what a parser gives into a string."""
        assert str(expand(PASSAGES, "[2][1]")) == f"{TRAVEL}\n{HOLIDAYS}"


class TestWrongPointers:
    """Each is named, and none is taken for another."""

    CASES = (
        ("[3]", "names source 3"),
        ("[0]", "names source 0"),
        ("[1:4]", "source 1 has 3"),
        ("[1:0]", "source 1 has 3"),
        ("[1:3-2]", "ends before it begins"),
        ("[2-1]", "ends before it begins"),
        ("[1-9]", "names source 9"),
        ("[1:1][1:1]", "given already"),
        ("[1][1:2]", "given already"),
        ("[1:1", "not closed"),
        ("[1.5]", "is no pointer"),
        ("[99999999999999999999]", "is no pointer"),
        ("", "points at nothing"),
        ("28 days", "points at nothing"),
    )

    @pytest.mark.parametrize(("answer", "fault"), CASES)
    def test_expand_raises_with_the_reason(self, answer: str, fault: str) -> None:
        """In words that may be sent back to the model."""
        with pytest.raises(AnswerError, match=fault) as raised:
            expand(SENTENCES, answer)
        assert "There are sources 1 to 2." in str(raised.value)

    @pytest.mark.parametrize(("answer", "fault"), CASES)
    def test_salvage_leaves_it_out_and_names_it(self, answer: str, fault: str) -> None:
        """What is right beside it stays."""
        saved = salvage(SENTENCES, f"[2:2] {answer}")
        assert texts_of(saved)[0] == "Flights are not paid for."
        if answer.startswith("["):
            assert any(fault in one for one in saved.dropped)

    def test_all_faults_are_told_at_once(self) -> None:
        """One retry, not one for each."""
        with pytest.raises(AnswerError) as raised:
            expand(SENTENCES, "[7] [1:9]")
        assert "[7] names source 7" in str(raised.value)
        assert "[1:9] names sentences" in str(raised.value)
        with pytest.raises(AnswerError, match="and 990 more") as raised:
            expand(SENTENCES, "[7]" * 1_000)
        assert len(str(raised.value)) < 1_000

    def test_what_overlaps_is_given_once(self) -> None:
        """The rest of an overlapping pointer is kept."""
        saved = salvage(SENTENCES, "[1:2] [1:1-3]")
        assert texts_of(saved) == [
            "They are asked for in writing.", "Holidays are 28 days a year.", "The office answers in a week."
        ]  # fmt: skip
        assert saved.dropped == ("[1:1-3] is given already",)

    def test_parts_of_whole_sources_are_refused(self) -> None:
        """Nothing was numbered there."""
        with pytest.raises(AnswerError, match="no numbered parts"):
            expand(PASSAGES, "[1:1]")

    def test_a_source_without_text_gives_none(self) -> None:
        """Pointing there is no answer."""
        with pytest.raises(AnswerError, match="without text"):
            expand(numbered_sentences([HOLIDAYS, " "]), "[2]")

    def test_without_sources_any_pointer_is_wrong(self) -> None:
        """And none is right."""
        assert expand(numbered_passages([]), "[]").text == ""
        with pytest.raises(AnswerError, match="There are no sources"):
            expand(numbered_passages([]), "[1]")


class TestAnyAnswer:
    """Whatever a model writes."""

    @given(TEXTS, KINDS, POINTERLIKE)
    def test_only_text_of_the_sources_comes_out(self, texts: list[str], kind, answer: str) -> None:  # type: ignore[no-untyped-def]
        """Each quote is the source's own characters; `expand` raises nothing but the documented error."""
        sources: NumberedSources = kind(texts)
        saved = salvage(sources, answer)
        for quote in saved.quotes:
            assert texts[quote.source - 1][quote.start : quote.end] == quote.text
        try:
            strict = expand(sources, answer)
        except AnswerError:
            assert saved.dropped
        else:
            assert strict == saved
            assert strict.dropped == ()

    @given(TEXTS, KINDS, POINTERLIKE)
    def test_nothing_is_given_twice(self, texts: list[str], kind, answer: str) -> None:  # type: ignore[no-untyped-def]
        """No character of a source comes out twice."""
        given_out: set[tuple[int, int]] = set()
        for quote in salvage(kind(texts), answer).quotes:
            places = {(quote.source, at) for at in range(quote.start, quote.end)}
            assert not places & given_out
            given_out |= places

    def test_brackets_without_end_take_no_time(self) -> None:
        """A model in a loop: half a million brackets are read."""
        assert salvage(PASSAGES, "[1" * 250_000).quotes == ()
        assert len(salvage(PASSAGES, "[7]" * 10_000).dropped) == 10_000


class TestSaving:
    """What pointing saves, and what the numbers cost."""

    def test_tokens_and_dollars_are_counted(self) -> None:
        """By words here: one pointer for a passage of 11; the price is two numbers and the instructions."""
        saving = expand(PASSAGES, "[2]").saving(PASSAGES, counter=lambda text: len(text.split()))
        assert (saving.output_before, saving.output_after) == (len(TRAVEL.split()), 1)
        assert saving.prompt_tokens_added == 2 + len(PASSAGES.instructions.split())
        net = saving.net_pico(token_rate(input="1", output="10"))
        assert net == saving.output_tokens_saved * 10_000_000 - saving.prompt_tokens_added * 1_000_000

    def test_a_short_answer_may_cost_more_than_it_saves(self) -> None:
        """Then the net is below 0, and said so."""
        sources = numbered_passages(["Yes.", "No."])
        net = expand(sources, "[2]").saving(sources).net_pico(token_rate(input="1", output="1"))
        assert net is not None
        assert net < 0
