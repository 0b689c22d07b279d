"""All reports, the same bytes every time."""

from __future__ import annotations

from functools import cache

from pruning_parts.reports.formats import FORMS
from pruning_parts.reports.layout import Draft
from pruning_parts.reports.model import Report
from pruning_parts.reports.recipes import Recipe, recipes
from pruning_parts.reports.writing import Writer


@cache
def reports() -> tuple[Report, ...]:
    """Write every report of every kind."""
    return tuple(
        _written(recipe, form, number)
        for recipe in recipes()
        for number, form in enumerate(recipe.head["formats"].split(", "))
    )


def _written(recipe: Recipe, form: str, number: int) -> Report:
    kind, language = recipe.head["kind"], recipe.head["language"]
    name = f"{kind.replace(' ', '-')}-{number + 1}"
    writer = Writer(recipe, name, with_summary=not form.endswith("*"))
    form = form.removesuffix("*")
    text = FORMS[form](Draft(writer.title, writer.byline, language, writer.elements))
    flat = " ".join(text.split())
    facts = [
        # A cell whose value stands elsewhere too would be found wherever the table went.
        one for one in writer.facts if one.summary_relevant or all(flat.count(said) == 1 for said in one.texts)
    ]  # fmt: skip
    return Report(name, kind, form, language, text, tuple(facts))
