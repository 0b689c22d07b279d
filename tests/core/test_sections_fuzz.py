"""Whatever text comes in, pruning by sections keeps its promises."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.prune.audit import counter_for
from tuppence.prune.sections import PrunedText, SectionPruner, read_sections

PIECES = (
    "# Title", "## Executive summary", "CONCLUSION", "2.1 Results", "3 Findings", "Recommendations", "Contents",
    "References", "Disclaimer", "Results\n=======", "**Key findings**",
    "| a | b |", "|---|---|", "| North | 1.5 | 2.5 |",
    "| Total | 3 | 5 |", "North 1.5 2.5 3.5", "Table 1: Figures", "Introduction ......... 3", "Page 3 of 9", "12",
    "13",
    "\f", "", "", "\n", "```", "- an item",
    "1. first", "2. second", "x,y,4", "1;2;3", "a\tb\t3", "Conclusion: it holds.",
    "Revenue rose by 12% because prices did.", "This was decided on 3 May.", "of which the half was lost, and",
    "The following was agreed:", "[1] Smith, J. (2020). On it. J. of X, 12(3), 4-9. doi:10.1/2", "All rights reserved.",
    "We use cookies.", "Home | About | Contact", "ACME Annual Report", "结论", "收入增长了12%。成本下降了。", "\u2028",
    "\x85", "\r\n", "   \t ", "=====  =====", "+---+---+", "…", "“",
)  # fmt: skip
reports = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=60).map("\n".join)
texts = reports | st.text(max_size=300)
pruners = st.builds(
    lambda bound, amount: SectionPruner(**{bound: amount}), st.just("share"), st.sampled_from((0.1, 0.3, 0.5, 0.9, 1.0))
) | st.builds(lambda amount: SectionPruner(max_tokens=amount), st.integers(1, 200))
questions = st.sampled_from(("", "How much did revenue rise?", "结论", "|", "zzz"))
count = counter_for()
STUB = "[table left out]"


def stands_in_order(text: str, out: PrunedText) -> bool:
    """Say whether the kept pieces make up the text that came out, but for white space and marks for tables."""
    at = 0
    for span in out.kept:
        found = out.text.find(span.of(text), at)
        if found < 0 or out.text[at:found].replace(STUB, "").strip():
            return False
        at = found + span.end - span.start
    return not out.text[at:].replace(STUB, "").strip()


class TestAnyText:
    @settings(max_examples=300, deadline=None)
    @given(texts, pruners, questions)
    def test_the_promises_hold(self, text: str, pruner: SectionPruner, question: str) -> None:
        """Nothing raised inside, never longer, never empty, kept pieces in order and verbatim, cuts as they stood."""
        out = pruner.prune(text, question)
        assert "failed" not in out.audit.kept_because
        assert count(text) == out.audit.tokens_before >= out.audit.tokens_after == count(out.text)
        assert bool(out.text.strip()) == bool(text.strip())
        assert all(one.end <= two.start for one, two in zip(out.kept, out.kept[1:], strict=False))
        assert stands_in_order(text, out)
        assert all(cut.span and text[slice(*cut.span)] == cut.text and cut.why and cut.kind for cut in out.audit.cuts)

    @settings(max_examples=150, deadline=None)
    @given(texts, pruners)
    def test_every_character_is_kept_or_in_the_audit(self, text: str, pruner: SectionPruner) -> None:
        """Kept pieces and cuts together are the text: nothing vanishes unseen, nothing is told twice."""
        out = pruner.prune(text)
        pieces = sorted([span.of(text) for span in out.kept] + [cut.text for cut in out.audit.cuts])
        assert len(re.sub(r"\s", "", "".join(pieces))) == len(re.sub(r"\s", "", text))

    @settings(max_examples=150, deadline=None)
    @given(texts, st.integers(1, 150))
    def test_what_is_pruned_again_and_again_soon_comes_to_rest(self, text: str, bound: int) -> None:
        """A history that prunes the same text every turn does not grind it down.

        Once is not enough for what reads as something else without what was cut: a list of contents of one line.
        """
        pruner = SectionPruner(max_tokens=bound)
        turns = [text]
        for _ in range(5):
            turns.append(pruner.prune(turns[-1]).text)
        assert turns[-1] == turns[-2]

    @settings(max_examples=150, deadline=None)
    @given(texts)
    def test_sections_cover_the_text(self, text: str) -> None:
        """Every character is in one section, in order."""
        spans = [section.span for section in read_sections(text)]
        assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
        assert not text.strip() or (spans[0].start, spans[-1].end) == (0, len(text))


@pytest.mark.parametrize(
    "line", ["=" * 3 + "-", "1.1.", "[1] ", "| ", ". ", "\f", "#", "a\n\n", "1\n", "Page 1\n", "-- ", "``` "]
)
def test_a_long_monotonous_text_is_read(line: str) -> None:
    """No pattern here goes wild: a long text of one mark takes the time of any other."""
    text = line * (60_000 // len(line)) + "x"
    assert read_sections(text)
