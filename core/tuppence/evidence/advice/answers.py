"""How long answers are, and whether a limit that few of them reach would pay."""

from __future__ import annotations

from collections.abc import Iterator

from tuppence.evidence.advice.advice import Advice, NotKnown, Range
from tuppence.evidence.advice.facts import MONTH_DAYS, Facts
from tuppence.prices import PriceBook, usd
from tuppence.prune.output import OutputLengths


def limits(facts: Facts) -> Iterator[Advice | NotKnown]:
    """Advise on limits for the call sites and models whose longest answers cost more than asking again would."""
    lengths = OutputLengths(brevity=None)
    lengths.learn((one.site, one.model, one.output_tokens, one.reasoning_tokens, one.finish) for one in facts.answers)
    for site, model in sorted({(one.site, one.model) for one in facts.answers}):
        rate = PriceBook.default().rate(model, at=facts.at)
        sent = [one.input_tokens for one in facts.answers if (one.site, one.model) == (site, model)]
        plan = lengths.plan(site, model, rate=rate, input_tokens=sum(sent) // len(sent))
        if plan.max_tokens is None or plan.worth is None or plan.worth.net_pico <= 0:
            continue
        month = plan.worth.net_pico * _scale(facts, site, model, plan.worth.calls)
        yield Advice(
            lever="output limits", do=f"Limit {model}'s answers, to {plan.max_tokens:,} tokens for now.",
            saves=Range(round(month), 0, round(plan.worth.saved_pico * _scale(facts, site, model, plan.worth.calls))),
            effort="low", site=site,
            evidence=(
                (f"of {plan.worth.calls:,} answers {plan.worth.cuts - 1:,} were longer, for "
                f"${usd(plan.worth.saved_pico):.4f} beyond the limit; asking again for those would have cost "
                f"${usd(plan.worth.retries_pico):.4f}"),
            ),
            config="limits: true\n",
        )  # fmt: skip


def _scale(facts: Facts, site: str, model: str, learned_from: int) -> float:
    """Return how many times as many answers come in a month as the limit was learned from."""
    rows = sum(
        one.rows for one in facts.groups
        if (one.site, one.model) == (site, model) and one.output_tokens and one.outcome != "hit"
    )  # fmt: skip
    return rows / facts.days * MONTH_DAYS / max(1, learned_from)
