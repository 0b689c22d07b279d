"""Sections and what stands in them are recognised, whatever a loader made of the report."""

import pytest

from tuppence.prune.sections import Section, read_sections

PROSE = "The first sentence of a paragraph says something. The second one adds to it, as second sentences do."


def kinds(text: str) -> dict[str, str]:
    return {section.heading: section.kind for section in read_sections(text)}


def levels(text: str) -> list[tuple[int, str]]:
    return [(section.level, section.heading) for section in read_sections(text) if section.level]


def report(*headings: str) -> str:
    """Write a report with a paragraph under each heading."""
    return "\n".join(f"{heading}\n\n{PROSE}\n" for heading in headings)


class TestHeadings:
    @pytest.mark.parametrize(
        "text",
        [
            report("# Report", "## Summary", "## Results", "### Safety"),
            report("Report\n======", "Summary\n-------", "Results\n-------", "Safety\n~~~~~~"),
            report("Report\n######", "Summary\n******", "Results\n******", "Safety\n======"),
        ],
        ids=["hashes", "setext and deeper", "reStructuredText"],
    )
    def test_marks_say_how_deep_a_heading_is(self, text: str) -> None:
        """Hashes by their number, underlines by the order in which they come first."""
        assert levels(text) == [(1, "Report"), (2, "Summary"), (2, "Results"), (3, "Safety")]

    def test_numbers_say_how_deep_a_heading_is(self) -> None:
        """As they come out of PDFs and word processors."""
        text = report("1 Introduction", "2 Results", "2.1 Cost of the programme", "2.1.1 Staff", "3. Conclusion")
        assert [level for level, _ in levels(text)] == [1, 1, 2, 3, 1]

    def test_points_below_capitals_or_roman_numerals_are_not_sections_of_their_own(self) -> None:
        """`1.` under FINDINGS is a finding; letters below roman numerals are parts of them."""
        capitals = report("SUMMARY", "DETAILED FINDINGS", "1. Missing quotations", "2. Access rights", "CONCLUSION")
        assert [level for level, _ in levels(capitals)] == [1, 1, 2, 2, 1]
        roman = report("I. Summary", "II. Legal", "A. Contracts", "B. Litigation", "III. Financial")
        assert [level for level, _ in levels(roman)] == [1, 1, 2, 2, 1]

    @pytest.mark.parametrize(
        "heading", ["KEY FINDINGS", "Key Findings", "Key findings:", "**Key findings**", "IV. Key findings"]
    )
    def test_a_line_without_hashes_may_be_a_heading(self, heading: str) -> None:
        """Capitals, title case, a known heading in any case, bold print, a numeral."""
        assert "summary" in kinds(report("PROJECT FALCON", heading, "NEXT STEPS")).values()

    def test_text_without_blank_lines_has_headings_too(self) -> None:
        """Some PDF readers drop every blank line."""
        headings = ("A Title of a Paper\nAbstract", "1 Introduction", "2.1 Related Work", "References")
        text = "\n".join(f"{heading}\n{PROSE}" for heading in headings)
        assert [heading for _, heading in levels(text)] == [
            "Abstract",
            "1 Introduction",
            "2.1 Related Work",
            "References",
        ]

    @pytest.mark.parametrize(
        "lines",
        [
            "1. Restart the service\n2. Check the logs\n3. Tell the customers",
            "- Restart the service\n- Check the logs",
            "Severity: high\nOwner: platform",
            "```\n# not a heading\n\nNor This One\n\n```",
            "See 2.1 million users\nand their orders of last year",
        ],
        ids=["numbered list", "bullets", "labels", "code", "a number within prose"],
    )
    def test_what_only_looks_like_a_heading_is_none(self, lines: str) -> None:
        """Lists, labels, code and figures within sentences belong to their section."""
        assert [
            heading for _, heading in levels(f"# Report\n\n{PROSE}\n\n{lines}\n\n{PROSE}\n\n## Summary\n\n{PROSE}")
        ] == [
            "Report",
            "Summary",
        ]
        plain = f"INTRODUCTION\n\n{PROSE}\n\n{lines}\n\n{PROSE}\n\nSUMMARY\n\n{PROSE}"
        assert [heading for _, heading in levels(plain)] == ["INTRODUCTION", "SUMMARY"]

    def test_a_section_knows_its_place(self) -> None:
        """Its characters go from its heading to the next one."""
        text = report("# Report", "## Summary")
        assert read_sections(text)[1] == Section(2, "Summary", read_sections(text)[1].span, "summary")
        assert read_sections(text)[1].span.of(text) == f"## Summary\n\n{PROSE}\n"


class TestKinds:
    @pytest.mark.parametrize(
        ("heading", "kind"),
        [
            ("1. Executive Summary", "summary"), ("Key takeaways for 2024", "summary"), ("Abstract", "summary"),
            ("Zusammenfassung", "summary"), ("Wesentliche Ergebnisse", "summary"), ("Synthèse", "summary"),
            ("Resumen ejecutivo", "summary"), ("Principaux résultats", "summary"), ("RÉSUMÉ", "summary"),
            ("Sumário executivo", "summary"), ("摘要", "summary"), ("Overview of findings", "findings"),
            ("Conclusions and outlook", "conclusion"), ("Fazit", "conclusion"), ("Conclusión", "conclusion"),
            ("Discussion and conclusions", "conclusion"), ("Root cause", "conclusion"),
            ("Recommendation 3: separate the rights", "recommendations"), ("Nächste Schritte", "recommendations"),
            ("Plan d'action", "recommendations"), ("Próximos pasos", "recommendations"),
            ("Results", "findings"), ("Feststellungen", "findings"), ("Materials and Methods", "method"),
            ("Appendix B: Summary of interviews", "appendix"), ("Acknowledgements", "acknowledgements"),
            ("Tunnel ventilation", "body"),
        ],
    )  # fmt: skip
    def test_headings_are_known_in_several_languages(self, heading: str, kind: str) -> None:
        """By their whole wording, or by what they begin or end with."""
        assert kinds(report("# The report", f"## {heading}", "## Other"))[heading] == kind

    def test_what_stands_below_a_summary_is_summary(self) -> None:
        """Whatever its own heading says; an appendix likewise."""
        found = kinds(report("# R", "## Summary", "### Background", "## Sites", "## Appendix A", "### Results"))
        assert (found["Background"], found["Sites"], found["Results"]) == ("summary", "body", "appendix")

    def test_a_title_that_names_a_kind_does_not_make_the_whole_report_one(self) -> None:
        """`Annual results summary` is what the report is called."""
        assert kinds(report("# Annual results summary", "## Staff", "## Sites"))["Staff"] == "body"

    @pytest.mark.parametrize(
        ("heading", "ballast", "substance"),
        [
            ("Important information", "All rights reserved. No part may be reproduced or distributed.",
             "The trial was stopped early because two patients died. Recruitment has not been resumed."),
            ("References", "1. Meyer A. Airways. Thorax 2015;70:211-219.\n2. Ito K, et al. Biologics. 2018. doi:10.1/2",
             "Three former customers were called, and all three would buy again from this company without hesitation."),
        ],
    )  # fmt: skip
    def test_a_heading_is_not_believed_against_what_stands_below_it(
        self, heading: str, ballast: str, substance: str
    ) -> None:
        """What would be left out must look like it; a fact under the wrong heading stays in play."""
        believed = kinds(f"# R\n\n{PROSE}\n\n## {heading}\n\n{ballast}\n\n## Other\n\n{PROSE}")
        doubted = kinds(f"# R\n\n{PROSE}\n\n## {heading}\n\n{substance}\n\n## Other\n\n{PROSE}")
        assert believed[heading] in ("legal", "references") and doubted[heading] == "body"

    def test_a_text_without_headings_is_one_section(self) -> None:
        """Nothing is made up."""
        assert [(section.level, section.kind) for section in read_sections(PROSE)] == [(0, "body")]
        assert read_sections("") == []
