"""A system prompt of which each request is sent what it calls for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prune.audit import counter_for
from tuppence.prune.prompts.conditions import (
    DynamicPrompt,
    PromptSection,
    has_tool,
    matches,
    mentions,
    sections_by_heading,
    tagged,
)
from tuppence.request import Message, Replace, Request

RULES = PromptSection("Be polite. Never promise a date.", "rules")
REFUNDS = PromptSection("Refunds go to the card that paid.", "refunds", mentions("refund", "money back"))
SEARCH = PromptSection("Search before you answer.", "search", has_tool("search"))
MARKDOWN = """You help customers of a shop.

## Refunds
Refunds go to the card that paid.
### Late
After 30 days ask a person.

## Tone
Be polite.

```
## Refunds
```
"""


def asks(*turns: str, **given: object) -> Request:
    messages = [Message("system", "x")] + [Message("assistant" if n % 2 else "user", t) for n, t in enumerate(turns)]
    return Request(tuple(messages), **given)  # type: ignore[arg-type]


class TestConditions:
    """What a request must have."""

    @pytest.mark.parametrize(
        ("text", "holds"),
        [
            ("I want a REFUND.", True),
            ("my money back!", True),
            ("refundable?", False),
            ("", False),
            ("prerefund", False),
        ],
    )
    def test_words_are_whole_words_in_any_case(self, text: str, holds: bool) -> None:
        """`refund` is not found in `refundable`: the user lists the forms that count."""
        assert mentions("refund", "money back")(asks(text)) is holds

    def test_a_word_said_earlier_in_the_conversation_still_counts(self) -> None:
        """An instruction that was called for does not vanish two turns later."""
        assert mentions("refund")(asks("a refund please", "of what?", "the blue one"))

    def test_what_the_assistant_says_does_not_count(self) -> None:
        """Only the user calls for a section."""
        assert not mentions("refund")(asks("hello", "do you want a refund?", "no"))

    def test_signs_in_words_are_meant_as_they_stand(self) -> None:
        """A keyword is no pattern."""
        assert mentions("c++")(asks("in C++ please"))
        assert not mentions("c++")(asks("in ccc please"))

    def test_patterns_tags_and_tools(self) -> None:
        """The other three kinds, met and not met; tools in OpenAI's two forms."""
        assert matches(r"\b\d{6}\b")(asks("order 123456"))
        assert not matches(r"\b\d{6}\b")(asks("order 12"))
        assert tagged(task="billing", tier="gold")(asks("hi", tags={"task": "billing", "tier": "gold"}))
        assert not tagged(task="billing", tier="gold")(asks("hi", tags={"task": "billing"}))
        nested, flat = ({"type": "function", "function": {"name": "search"}},), ({"name": "search"},)
        assert has_tool("search")(asks("hi", tools=nested)) and has_tool("search")(asks("hi", tools=flat))
        assert has_tool()(asks("hi", tools=nested)) and not has_tool()(asks("hi"))
        assert not has_tool("pay")(asks("hi", tools=nested))

    @pytest.mark.parametrize(
        "wrong", [lambda: mentions(), lambda: mentions(" "), lambda: matches("("), lambda: tagged()]
    )
    def test_a_condition_that_can_never_be_met_or_read_is_refused(self, wrong: object) -> None:
        """At construction, not at the first request."""
        with pytest.raises(ConfigError):
            wrong()  # type: ignore[operator]


class TestPrompt:
    """Sections put together for a request."""

    def test_what_is_always_sent_comes_first(self) -> None:
        """The beginning of the prompt never changes, which a prefix cache needs."""
        prompt = DynamicPrompt([REFUNDS, RULES, SEARCH]).prompt_for(asks("refund?"))
        assert prompt.text == f"{RULES.text}\n\n{REFUNDS.text}"
        assert prompt.sections == ("rules", "refunds")

    def test_the_audit_says_what_was_left_out(self) -> None:
        """With its text, so that it can be put back."""
        audit = DynamicPrompt([RULES, REFUNDS, SEARCH]).prompt_for(asks("refund?")).audit
        (cut,) = audit.cuts
        assert (cut.kind, cut.source, cut.text) == ("section", "search", SEARCH.text)
        assert 0 < audit.tokens_after < audit.tokens_before

    def test_a_condition_that_breaks_keeps_its_section(self) -> None:
        """In doubt an instruction is sent, and the audit says that it was in doubt."""

        def broken(request: Request) -> bool:
            raise KeyError("plan")

        prompt = DynamicPrompt([RULES, PromptSection("Gold members ship free.", "gold", broken), SEARCH]).prompt_for(
            asks("hi")
        )
        assert prompt.sections == ("rules", "gold")
        assert prompt.audit.kept_because == "gold is sent, its condition broke (KeyError: 'plan')"

    def test_a_prompt_is_never_empty(self) -> None:
        """Where nothing is called for, everything is sent."""
        prompt = DynamicPrompt([REFUNDS, SEARCH]).prompt_for(asks("hi"))
        assert prompt.sections == ("refunds", "search")
        assert prompt.audit.kept_because == "no section is called for: all of them are sent"

    @pytest.mark.parametrize(
        ("sections", "message"),
        [
            ([], "without any text"),
            ([PromptSection(" ")], "without any text"),
            ([RULES, RULES], "named alike: \\['rules'\\]"),
        ],
    )
    def test_sections_must_be_some_and_told_apart(self, sections: list[PromptSection], message: str) -> None:
        """An audit names sections, so names must tell."""
        with pytest.raises(ConfigError, match=message):
            DynamicPrompt(sections)

    @given(st.lists(st.tuples(st.text(max_size=30), st.none() | st.booleans()), min_size=1, max_size=6))
    def test_any_sections_keep_their_order_and_grow_by_nothing(self, given: list[tuple[str, bool | None]]) -> None:
        """Never longer than all of them, the unconditional ones first, and what is left out is in the audit."""
        sections = [
            PromptSection(f"Section {n}: {text}", str(n), None if on is None else lambda _request, on=on: on)  # type: ignore[misc]
            for n, (text, on) in enumerate(given)
        ]
        prompt = DynamicPrompt(sections)
        sent = prompt.prompt_for(asks("hi"))
        assert (
            sent.audit.tokens_after
            == counter_for()(sent.text)
            <= sent.audit.tokens_before
            == counter_for()(prompt.full)
        )
        order = [str(n) for n, (_, on) in enumerate(given) if on is None] + [
            str(n) for n, (_, on) in enumerate(given) if on is not None
        ]
        assert list(sent.sections) == [name for name in order if name in sent.sections]
        assert {*sent.sections, *(cut.source for cut in sent.audit.cuts)} == set(order)


class TestMarkdown:
    """A prompt that stands in one text."""

    def test_a_heading_takes_its_subsections_along(self) -> None:
        """The section ends with the next heading of its level; code that looks like a heading is none."""
        prompt = DynamicPrompt.by_heading(MARKDOWN, {"Refunds": mentions("refund")})
        assert "30 days" not in prompt.prompt_for(asks("hi")).text
        assert prompt.prompt_for(asks("hi")).text.startswith("You help customers of a shop.\n\n## Tone")
        assert prompt.prompt_for(asks("refund")).text.endswith("After 30 days ask a person.")

    @pytest.mark.parametrize("names", [["Refund"], ["Refunds", "Late"]])
    def test_a_name_that_is_no_heading_of_its_own_is_refused(self, names: list[str]) -> None:
        """A typo would send the section always, or never."""
        with pytest.raises(ConfigError, match="Refund"):
            sections_by_heading(MARKDOWN, {name: mentions("x") for name in names})

    @given(st.text("ab#\n `~", max_size=60))
    def test_no_text_is_lost(self, text: str) -> None:
        """Whatever the Markdown, the sections have all of it but white space at their ends."""
        names = {line[2:].strip(" #") for line in text.split("\n") if line.startswith("# ")}
        for name in names:
            try:
                sections = sections_by_heading(text, {name: mentions("x")})
            except ConfigError:
                continue
            assert "".join("".join(s.text.split()) for s in sections) == "".join(text.split())


class TestShaping:
    """As a policy's shaper."""

    def test_the_system_message_is_written_shorter(self) -> None:
        """The user's program sends the whole prompt; what is not called for is taken out of it."""
        prompt = DynamicPrompt.by_heading(MARKDOWN, {"Refunds": mentions("refund")})
        shaped = prompt(Request((Message("system", MARKDOWN), Message("user", "hi"))))
        (edit,) = shaped.edits.messages
        assert isinstance(edit, Replace)
        assert (edit.index, edit.text) == (0, prompt.prompt_for(asks("hi")).text)
        assert shaped.tokens_saved > 0
        assert shaped.reason == "1 of 3 sections of the prompt are not called for"

    def test_what_never_changes_stands_first_in_every_call(self) -> None:
        """Also where all sections are called for: else that call alone would miss the prefix cache."""
        prompt = DynamicPrompt.by_heading(MARKDOWN, {"Refunds": mentions("refund")})
        texts = []
        for question in ("hi", "refund"):
            shaped = prompt(Request((Message("system", MARKDOWN), Message("user", question))))
            texts += [edit.text for edit in shaped.edits.messages if isinstance(edit, Replace)]
        assert texts[1].startswith(texts[0])

    def test_a_prompt_that_stands_as_it_is_sent_is_not_edited(self) -> None:
        """Nothing to do is no edit."""
        prompt = DynamicPrompt([RULES, REFUNDS])
        assert not prompt(Request((Message("system", prompt.full), Message("user", "refund")))).edits

    def test_another_system_message_is_not_touched(self) -> None:
        """Only a prompt that is known can be taken apart."""
        shaped = DynamicPrompt([RULES, REFUNDS])(asks("hi"))
        assert not shaped.edits
        assert "no system message" in shaped.reason
