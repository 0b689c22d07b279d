"""Does the answer keep to what the request told? Looks words, numbers and names up in the request's own text; it cannot
see whether they are put together rightly, nor know what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.request import Reply, Request
from tuppence.signals import names, numbers, words

_NOTHING = Verdict(1.0, "the answer has nothing to look up")
# Shorter words are articles and the like in the languages of Europe; Chinese and Japanese come as pairs of characters.
_CONTENT_LETTERS = 4
# Words are compared by their first letters, so that most endings do not matter, whatever the language: "invoice" and
# "invoicing" are alike, "city" and "cities" are not. Chosen by hand.
_STEM_LETTERS = 5


@dataclass(frozen=True, slots=True)
class Grounded(Composable):
    """Scores the share of the answer's words, numbers or names that the request holds: whichever share is lowest."""

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        # What the assistant said before may be invented already.
        context = "\n".join(m.text for m in request.messages if m.role != "assistant")
        told = words(context)
        shares = [
            _share("words", [w for w in words(reply.text) if _is_content(w)], {_stem(word) for word in told}, _stem),
            _share("numbers", numbers(reply.text), set(numbers(context)), str),
            _share("names", [piece for name in names(reply.text) for piece in words(name)], set(told), str),
        ]
        return min((s for s in shares if s is not None), key=lambda verdict: verdict.score, default=_NOTHING)


def grounded() -> Grounded:
    """Score answers by how much of them occurs in the request: its documents, tool results, system text and question.

    For answers drawn from given passages. An answer without content words ("Yes.") scores 1. Costs some milliseconds
    for 20,000 characters of context.
    """
    return Grounded()


def _stem(word: str) -> str:
    return word[:_STEM_LETTERS]


def _is_content(word: str) -> bool:
    return len(word) >= _CONTENT_LETTERS or (len(word) == 2 and word[0] >= "\u3040")


def _share(kind: str, said: Sequence[str], told: Collection[str], key: Callable[[str], str]) -> Verdict | None:
    if not said:
        return None
    strange = [item for item in said if key(item) not in told]
    if not strange:
        return Verdict(1.0, f"all {kind} of the answer occur in the request")
    shown = ", ".join(list(dict.fromkeys(strange))[:5])
    score = 1.0 - len(strange) / len(said)
    return Verdict(score, f"{len(strange)} of {len(said)} {kind} do not occur in the request: {shown}")
