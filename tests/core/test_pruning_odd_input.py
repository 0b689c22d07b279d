"""Odd input: options that cannot work, texts that are very long, prompts that say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tuppence.errors import ConfigError, RequestError
from tuppence.prune.output import numbered_lines, numbered_passages, numbered_sentences
from tuppence.prune.passages import Bm25Scorer, Passage, PassagePruner
from tuppence.prune.payloads import compact_in_text
from tuppence.prune.payloads.compacting import json_spans
from tuppence.prune.prompts import read_prompt, without_fillers


class TestOptionsOfThePassagePruner:
    @pytest.mark.parametrize(
        "option",
        [
            {"share": "0.3"},
            {"share": [0.3]},
            {"max_tokens": "800"},
            {"max_tokens": 5.5},
            {"keep_probability": "high"},
            {"scorer": "bm25"},
            {"scorer": Bm25Scorer},
        ],
    )
    def test_what_cannot_work_is_refused_when_it_is_made(self, option: dict[str, Any]) -> None:
        """Not gone round in every call, in silence."""
        (name,) = option
        with pytest.raises(ConfigError, match=name):
            PassagePruner(**option)

    def test_a_scorer_may_be_any_function(self) -> None:
        """It is asked, not looked at."""
        pruner = PassagePruner(max_tokens=4, scorer=lambda material: Bm25Scorer()(material))
        pruned = pruner.prune("Who keeps bees?", [Passage("Ada keeps bees. The road is long and wide. Tea is hot.")])
        assert pruned.passages[0].text == "Ada keeps bees."


class TestLongTexts:
    def test_a_long_text_of_broken_json_is_given_up_early(self) -> None:
        """The decoder counts the lines before each fault, so the number that is tried goes down with the length."""
        late = '{"a": 1,  "b": [1, 2]}'
        short, long = "[{ " * 1_000, "[{ " * 100_000
        assert [span.compact for span in json_spans(short + late)] == ['{"a":1,"b":[1,2]}']
        assert json_spans(long + late) == []
        assert compact_in_text(long + late) == long + late

    def test_brackets_in_prose_do_not_hide_json(self) -> None:
        """Some hundred of them in a long text are tried in a moment."""
        text = ("A report says so [sic] and goes on for a while. " * 4 + "And on. " * 200) * 80
        assert compact_in_text(text + '{"a": 1,  "b": [1, 2]}') == text + '{"a":1,"b":[1,2]}'


class TestFillers:
    def test_the_next_word_begins_the_sentence(self) -> None:
        """Also where that word belongs to a phrase that goes."""
        found = without_fillers("Please note that it is important to note that tea is hot. Ask.")
        assert found.text == "It is important to note that tea is hot. Ask."
        assert without_fillers("It is hot. Please note that").text == "It is hot. Note that"


class TestNumberedSources:
    @pytest.mark.parametrize("number", [numbered_passages, numbered_sentences, numbered_lines])
    def test_one_text_is_not_a_list_of_letters(self, number: Any) -> None:
        """The mistake is easy to make, and the prompt would be full of numbers."""
        with pytest.raises(RequestError, match="list of texts"):
            number("Holidays are 28 days a year.")


class TestAuditOfAPrompt:
    @pytest.mark.parametrize("text", ['{"messages": []}', '{"messages": [{"role": "user"}], "tools": []}'])
    def test_a_request_that_says_nothing_is_refused(self, text: str) -> None:
        """A table of noughts would look like a finding."""
        with pytest.raises(RequestError, match="says nothing"):
            read_prompt(text)
