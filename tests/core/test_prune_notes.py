"""Notes on shortened documents: they lead back to all of the text, as plain JSON, and print nothing of it."""

from __future__ import annotations

import copy
import json
import pickle

from hypothesis import given
from hypothesis import strategies as st

from tuppence.prune.audit import Audit
from tuppence.prune.notes import note_on, title_in
from tuppence.prune.passages import KeptPassage
from tuppence.prune.sentences import Span

TEXT = "One boat. Two harbours.  Three hills."
KEPT = KeptPassage(0, "Two harbours.", (Span(10, 23),))


@st.composite
def cut(draw: st.DrawFn) -> tuple[str, KeptPassage]:
    """A text, and pieces of it in order."""
    text = draw(st.text(max_size=60))
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    ends = zip(places[::2], places[1::2], strict=False)
    spans = tuple(Span(start, end) for start, end in ends if start < end)
    return text, KeptPassage(0, "".join(one.of(text) for one in spans), spans)


class TestANote:
    def test_says_where_what_stands(self) -> None:
        """Kept pieces by their places, cut ones with their text; white space alone is no cut."""
        note = note_on(TEXT, KEPT, Audit(12, 4, kept_because="why not more"))
        assert note == {
            "spans": [[10, 23]],
            "cut": [{"start": 0, "end": 10, "text": "One boat. "}, {"start": 23, "end": 37, "text": "  Three hills."}],
            "audit": {"tokens_before": 12, "tokens_after": 4, "kept_because": "why not more"},
        }

    @given(cut())
    def test_leads_back_to_all_of_the_text(self, made: tuple[str, KeptPassage]) -> None:
        """Nothing but white space is in neither list."""
        text, kept = made
        note = json.loads(json.dumps(note_on(text, kept, Audit(1, 1))))
        pieces = [(a, text[a:b]) for a, b in note["spans"]] + [(one["start"], one["text"]) for one in note["cut"]]
        assert "".join("".join(piece for _, piece in sorted(pieces)).split()) == "".join(text.split())

    def test_prints_nothing_of_what_was_cut(self) -> None:
        """However it is copied on the way, and wherever it stands."""
        note = note_on(TEXT, KEPT, Audit(12, 4))
        for one in (note, copy.deepcopy(note), pickle.loads(pickle.dumps(note))):
            assert one == note
            assert str({"a": one}) == f"{ {'a': one} }" == "{'a': {...}}"
            assert str(one) == "{...}"


class TestATitle:
    def test_is_the_first_that_is_there(self) -> None:
        """In the order of the keys; what is no text, or empty, is none."""
        metadata = {"heading": " Boats ", "title": "", "page": 3, "section": "Harbours"}
        assert title_in(metadata, ("page", "title", "heading", "section")) == "Boats"
        assert title_in(metadata, ("page", "author")) == ""
