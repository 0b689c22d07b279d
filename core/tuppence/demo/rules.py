"""The plain-function tier: what can be counted needs no model. Answers exactly, or declines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tuppence.demo.documents import Document
from tuppence.request import Request
from tuppence.tiers import Answer


def rules(documents: Sequence[Document]) -> Answer:
    """Make the function: it answers questions about how many and how long from `documents`, and declines the rest."""
    longest = max(documents, key=lambda d: d.words)
    named = {document.name.lower(): document for document in documents}

    def answer(request: Request) -> str | None:
        question = request.question.rpartition("Question:")[2].strip().lower()
        if re.fullmatch(r"how many documents are there\?", question):
            return f"There are {len(documents)} documents."
        if re.fullmatch(r"which document is the longest\?", question):
            return f"{longest.name} is the longest, with {longest.words:,} words."
        asked = re.fullmatch(r"how many words does (\S+) have\?", question)
        if asked and asked[1] in named:
            return f"{named[asked[1]].name} has {named[asked[1]].words:,} words."
        return None

    return answer
