"""What condensing did, beside what leaving sentences out would have done with the same number of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tuppence.prices import PicoUSD
from tuppence.prune.abstractive.survival import Survival, joined_survival, survival
from tuppence.prune.audit import Audit, Cut, counter_for
from tuppence.prune.passages import Passage, PassagePruner
from tuppence.prune.sentences import sentences


@dataclass(frozen=True, slots=True)
class Bill:
    """What was asked for a passage, and what that cost."""

    calls: int = 0
    pico: PicoUSD = 0
    unpriced: int = 0
    """Calls of which the usage or the price is not known: not in `pico`."""


@dataclass(frozen=True, slots=True)
class Written:
    """One passage's text as it is sent on."""

    text: str
    stands: Survival | None = None
    """None where the passage stayed as it was."""
    why: str = ""
    """Why it stayed."""
    bill: Bill = Bill()


@dataclass(frozen=True, slots=True)
class Condensed:
    """Passages after condensing, in their order."""

    passages: tuple[Passage, ...]
    audit: Audit
    survival: Survival
    """What of the condensed passages still stands; those that stayed as they were are not counted."""
    extractive: Survival
    """What would stand of the same passages, had their sentences been chosen to fit in the same tokens."""
    bill: Bill


def assembled(passages: Sequence[Passage], written: Mapping[str, Written], question: str, model: str) -> Condensed:
    """Put the passages together again; equal texts were written, and are billed, once."""
    count = counter_for(model)
    cuts: list[Cut] = []
    stayed: list[str] = []
    kept: list[Survival] = []
    extracted: list[Survival] = []
    for passage in passages:
        one = written[passage.text]
        if one.stands is None:
            stayed.append(f"{passage.id or passage.title or 'a passage'}: {one.why}")
            continue
        tokens = count(one.text)
        why = f"condensed, {one.stands.share:.0%} of its facts stand"
        cuts.append(Cut("passage", passage.id, why, count(passage.text) - tokens, passage.text))
        kept.append(one.stands)
        extracted.append(survival(passage.text, extract(passage.text, question, tokens, model)))
    before = sum(count(passage.text) for passage in passages)
    bills = [one.bill for one in written.values()]
    bill = Bill(sum(b.calls for b in bills), sum(b.pico for b in bills), sum(b.unpriced for b in bills))
    return Condensed(
        tuple(replace(passage, text=written[passage.text].text) for passage in passages),
        Audit(before, before - sum(cut.tokens for cut in cuts), tuple(cuts), "; ".join(stayed), bill.pico),
        joined_survival(kept),
        joined_survival(extracted),
        bill,
    )


def extract(text: str, question: str, tokens: int, model: str) -> str:
    """Return whole sentences of `text` in about `tokens`: those that the passage pruner keeps for the question.

    Without a question it is the first ones that fit, the usual control for summaries (Nenkova, "Automatic Text
    Summarization of Newswire", 2005).
    """
    if question.strip():
        pruned = PassagePruner(max_tokens=tokens, model=model).prune(question, [Passage(text)])
        return "".join(one.text for one in pruned.passages)
    count = counter_for(model)
    end = 0
    for span in sentences(text):
        if count(text[: span.end]) > tokens:
            break
        end = span.end
    return text[:end]
