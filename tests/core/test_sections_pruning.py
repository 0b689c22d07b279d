"""What a report is shortened to, what becomes of its tables and ballast, and what the audit says of it."""

import pytest

from tuppence.errors import ConfigError
from tuppence.prune.audit import counter_for
from tuppence.prune.sections import SectionPruner

SUMMARY = "Orders rose by 8% to 1,250. The board decided to close the Leeds depot in June."
FILLER = (
    "The depot lies near a road. The road is wide. Trees stand beside it. They are green in spring. Birds sit in them."
)
TABLE = """\
Table 3: Orders by region

| Region | 2022 | 2023 |
|---|---|---|
| North | 310 | 330 |
| South | 280 | 300 |
| East | 260 | 290 |
| West | 307 | 330 |
| Total | 1157 | 1250 |"""


def markdown(*sections: tuple[str, str]) -> str:
    return "# Depot report\n\n" + "\n\n".join(f"## {heading}\n\n{body}" for heading, body in sections)


def pruned(text: str, question: str = "", **options: object) -> str:
    return SectionPruner(**options).prune(text, question).text  # type: ignore[arg-type]


class TestTheBudget:
    def test_the_summary_goes_whole_and_the_rest_by_sentence(self) -> None:
        """Sentences with figures and decisions come before scenery, under their heading and in their order."""
        costs = "The lease was terminated at a cost of £2.1m. " + FILLER
        text = markdown(("Site", FILLER), ("Executive summary", SUMMARY), ("Costs", costs))
        kept = f"## Executive summary\n\n{SUMMARY}\n\n## Costs\n\nThe lease was terminated at a cost of £2.1m."
        assert pruned(text, max_tokens=52) == f"# Depot report\n\n{kept}"

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
    def test_a_share_is_held(self, share: float) -> None:
        """In tokens of what came in, marks for tables included."""
        text = markdown(("Summary", SUMMARY), ("Site", FILLER), ("Orders", f"{FILLER}\n\n{TABLE}"))
        audit = SectionPruner(share=share).prune(text).audit
        assert 0 < audit.tokens_after <= share * audit.tokens_before

    def test_a_summary_beyond_the_budget_is_cut_by_sentence_too(self) -> None:
        """A bound is a bound."""
        out = SectionPruner(max_tokens=40).prune(markdown(("Summary", f"{FILLER} {SUMMARY}")))
        assert out.audit.tokens_after <= 40
        assert "decided to close the Leeds depot" in out.text

    def test_something_is_always_left(self) -> None:
        """A budget too small for any sentence gets one nevertheless."""
        out = SectionPruner(max_tokens=1).prune(markdown(("Summary", SUMMARY)))
        assert out.text.strip()

    def test_without_headings_more_is_kept_and_said_so(self) -> None:
        """Where nothing tells what a text is made of, guesses are cheaper than losses."""
        audit = SectionPruner().prune(" ".join([FILLER, SUMMARY, FILLER.upper()])).audit
        assert 0.5 < audit.tokens_after / audit.tokens_before <= 0.75
        assert audit.kept_because == "no headings found: 75% was kept instead of 50%"

    def test_a_list_keeps_the_line_that_leads_to_it(self) -> None:
        """An item without it says nothing."""
        points = "The audit rejected these controls:\n\n- payments of €9m without approval\n- no second signature"
        text = markdown(("Work", f"{FILLER}\n\n{points}\n\n{FILLER}"), ("Site", FILLER))
        assert "The audit rejected these controls:\n\n- payments of €9m without approval" in pruned(text, share=0.4)

    @pytest.mark.parametrize(
        "told",
        ["Recommendation: sell the vans soon.", "**Conclusion.** The vans are too many.", "> Key finding: vans stand."],
    )
    def test_a_paragraph_may_announce_what_it_is(self, told: str) -> None:
        """Its first words count as a heading would, in the middle of a section and of its lines."""
        text = markdown(("Site", f"{FILLER} Costs rose by 9%, 10% and 11%.\n{told}\n\n{FILLER}"), ("Staff", FILLER))
        assert told in pruned(text, max_tokens=30)


class TestAQuestion:
    TEXT = markdown(("Summary", SUMMARY), ("Site", FILLER), ("Orders", f"{FILLER}\n\n{TABLE}"))

    def test_what_answers_it_comes_before_the_summary(self) -> None:
        """Scenery is what was asked for."""
        assert "Birds sit in them." in pruned(self.TEXT, "Which birds sit there?", max_tokens=45)
        assert "Birds sit in them." not in pruned(self.TEXT, max_tokens=45)

    def test_a_question_about_everything_favours_nothing(self) -> None:
        """A word that stands everywhere answers nothing."""
        sites = [(f"Site {i}", f"The report calls site {i} a fine one. {FILLER}") for i in range(8)]
        text = markdown(("Summary", SUMMARY), *sites)
        assert SUMMARY in pruned(text, "Please summarise this report", max_tokens=50)

    def test_a_row_that_answers_it_is_kept_with_its_head(self) -> None:
        """Although tables of figures are left out otherwise."""
        out = pruned(self.TEXT, "How many orders came from the East region in 2022?", share=0.5)
        assert "| Region | 2022 | 2023 |\n|---|---|---|\n| East | 260 | 290 |" in out
        assert "West" not in out


class TestTables:
    def test_a_table_of_figures_leaves_its_caption_a_mark_and_its_total(self) -> None:
        """So that nobody takes it for missing, and the sum is known."""
        out = pruned(markdown(("Summary", SUMMARY), ("Orders", f"{TABLE}\n\nMost came by post.")), share=0.9)
        assert "Table 3: Orders by region" in out and "| Total | 1157 | 1250 |" in out and "North" not in out

    def test_a_table_without_a_total_leaves_a_mark(self) -> None:
        """One line that a model understands."""
        table = TABLE.replace("| Total | 1157 | 1250 |", "| Isles | 15 | 17 |")
        out = pruned(markdown(("Summary", SUMMARY), ("Orders", f"{table}\n\nMost came by post.")), share=0.9)
        assert "Table 3: Orders by region\n[table left out]\n\nMost came by post." in out

    @pytest.mark.parametrize(
        "table",
        [
            "North\t310\t330\nSouth\t280\t300\nEast\t260\t290\nWest\t307\t330\nIsles\t15\t17",
            "Region   2022  2023\nNorth    310   330\nSouth    280   300\nEast     260   290\nWest     307   330",
            "Region 2022 2023\nNorth 310 330\nSouth 280 300\nEast 260 290\nWest 307 330",
            "region,2022,2023\nNorth,310,330\nSouth,280,300\nEast,260,290\nWest,307,330",
            "North;310;330\nSouth;280;300\nEast;260;290\nWest;307;330",
            "Region\n2022\n2023\nNorth\n310\n330\nSouth\n280\n300\nEast\n260\n290",
            "=====  ====\nRegion  2023\n=====  ====\nNorth  310\nSouth  280\nEast   260\nWest   330\n=====  ====",
            "+-------+-----+\n| North | 310 |\n+-------+-----+\n| South | 280 |\n| East  | 260 |\n| West  | 330 |",
        ],
        ids=["tabs", "columns", "single spaces", "commas", "semicolons", "a cell a line", "reStructuredText", "grid"],
    )
    def test_tables_are_known_by_their_shape(self, table: str) -> None:
        """Whatever a loader made of their ruling."""
        text = markdown(("Summary", SUMMARY), ("Orders", f"Most came by post.\n\n{table}\n\nA few were brought."))
        out = SectionPruner(share=0.95).prune(text)
        assert "310" not in out.text and "330" not in out.text
        assert "Most came by post." in out.text and "A few were brought." in out.text
        assert [cut.kind for cut in out.audit.cuts] == ["table"]

    def test_a_table_of_words_is_text(self) -> None:
        """Actions, owners and dates are what a report is for."""
        actions = "| Action | Owner | Due |\n|---|---|---|\n" + "\n".join(
            f"| {what} | {who} | 2024-0{i}-15 |"
            for i, (what, who) in enumerate(
                [("Sell the vans", "Ann"), ("Tell staff", "Bo"), ("End the lease", "Cy")], 1
            )
        )
        assert actions in pruned(markdown(("Summary", SUMMARY), ("Site", FILLER), ("Plan", actions)), share=0.9)

    def test_a_small_table_within_the_summary_is_part_of_it(self) -> None:
        """Key figures are often given so."""
        assert TABLE in pruned(markdown(("Key figures", TABLE), ("Site", FILLER)), share=0.8)

    def test_tables_can_be_asked_for(self) -> None:
        """Then they fill the budget like the summary."""
        text = markdown(("Summary", SUMMARY), ("Orders", TABLE), ("Site", FILLER + FILLER))
        assert TABLE in pruned(text, keep=("summary", "table"), share=0.8)


BALLAST = {
    "contents": "Contents\n\nSummary ........... 2\nOrders ............ 3\nSite .............. 4",
    "references": "References\n\n[1] Smith, J. (2019). On depots. Journal of Roads, 12(3), 44-51.\n"
    "[2] Lee, K. et al. (2021). On roads. doi:10.1000/77",
    "legal": "Disclaimer\n\nThis report is for information purposes only. All rights reserved.",
    "acknowledgements": "Acknowledgements\n\nWe thank the depot's staff for their patience and for the tea.",
    "navigation": "We use cookies to improve your visit. Accept all cookies",
}


class TestBallast:
    @pytest.mark.parametrize("kind", BALLAST)
    def test_it_is_left_out_and_named(self, kind: str) -> None:
        """Even where there is room for it."""
        parts = [f"SUMMARY\n\n{SUMMARY}", f"SITE\n\n{FILLER}", f"STAFF\n\n{FILLER.replace('depot', 'canteen')}"]
        out = SectionPruner(share=1.0).prune("\n\n".join([*parts, BALLAST[kind]]))
        assert [(cut.kind, cut.text) for cut in out.audit.cuts] == [(kind, BALLAST[kind])]
        assert SUMMARY in out.text and "road is wide" in out.text

    def test_running_heads_go_and_the_sentence_around_one_stays_whole(self) -> None:
        """A page break in the middle of a sentence is no end of it."""
        pages = [
            "DEPOT REPORT\n\nSUMMARY\n\nOrders rose by 8% to\n",
            "of 2023, which the board had not expected, and the\n",
            "depot was closed.\n\nSITE\n\nThe depot lies near a road.\n",
        ]
        text = "".join(
            f"{page}\nDepot report, confidential          Page {i} of 3\n\f" for i, page in enumerate(pages, 1)
        )
        out = SectionPruner(share=0.9).prune(text)
        assert "Page" not in out.text
        assert "rose by 8% to of 2023, which the board had not expected, and the depot was closed." in out.text
        assert {cut.kind for cut in out.audit.cuts} == {"furniture"}

    def test_a_text_of_nothing_else_is_kept(self) -> None:
        """Somebody wanted it read; better dear than empty."""
        out = SectionPruner().prune(BALLAST["legal"])
        assert (out.text, out.audit.cuts) == (BALLAST["legal"], ())
        assert out.audit.kept_because == "there is nothing in it but what would be left out"


class TestNames:
    TEXT = markdown(("Summary", SUMMARY), ("Site", FILLER), ("2. Risk factors", FILLER.replace("road", "river")))

    def test_a_section_named_is_kept_whole(self) -> None:
        """By its heading, whatever its number and case, in place of the kinds."""
        assert "river is wide" in pruned(self.TEXT, keep=("risk factors",), share=0.5)
        assert "river is wide" not in pruned(self.TEXT, share=0.35)

    def test_a_section_named_is_left_out(self) -> None:
        """Although it is a summary."""
        out = SectionPruner(drop=("Summary",), share=0.9).prune(self.TEXT)
        assert "Leeds" not in out.text
        told = {(cut.kind, cut.source, cut.why) for cut in out.audit.cuts}
        assert ("section", "Summary", "left out by name") in told

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"share": 0.0}, "share must be above 0 and at most 1 (got 0.0)"),
            ({"share": 1.5}, "share must be above 0 and at most 1 (got 1.5)"),
            ({"max_tokens": 0}, "max_tokens must be at least 1 (got 0)"),
            ({"max_tokens": 9, "share": 0.5}, "max_tokens=9 and share=0.5 are two bounds"),
            ({"keep": ("Summary",), "drop": ("Summary",)}, "'Summary' is in keep and in drop"),
            ({"keep": "summary"}, "keep must be a list of kinds and headings (got the text 'summary')"),
        ],
    )
    def test_bad_settings_are_refused_at_once(self, options: dict[str, object], told: str) -> None:
        """With the value and the fix."""
        with pytest.raises(ConfigError) as refused:
            SectionPruner(**options)  # type: ignore[arg-type]
        assert told in str(refused.value)


class TestTheAudit:
    def test_it_says_what_went_why_and_from_where(self) -> None:
        """Enough to put any piece back."""
        text = markdown(("Summary", SUMMARY), ("Site", FILLER), ("Orders", TABLE), ("Licence", "All rights reserved."))
        out = SectionPruner(max_tokens=75).prune(text)
        told = {cut.kind: (cut.source, cut.why) for cut in out.audit.cuts}
        assert told["section"] == ("Site", "worth less than what filled the budget of 75 tokens")
        assert told["table"] == ("Orders", "a table of figures; keep=('table',) keeps such")
        assert told["legal"] == ("Licence", "a disclaimer, licence or copyright notice")
        assert all(cut.span and text[slice(*cut.span)] == cut.text for cut in out.audit.cuts)
        assert all(cut.tokens == counter_for()(cut.text) for cut in out.audit.cuts)

    def test_whatever_breaks_the_text_goes_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the audit says what broke."""
        monkeypatch.setattr("tuppence.prune.sections.pruning.read_report", lambda text: 1 / 0)
        out = SectionPruner().prune(SUMMARY)
        assert (out.text, out.audit.tokens_saved) == (SUMMARY, 0)
        assert out.audit.kept_because == "reading the text failed: ZeroDivisionError: division by zero"

    def test_the_same_text_gives_the_same_bytes(self) -> None:
        """Prefix caches depend on it."""
        text = markdown(("Summary", SUMMARY), ("Site", FILLER), ("Orders", TABLE))
        assert SectionPruner().prune(text) == SectionPruner().prune(text)
