"""What still stands of a text that was written shorter: numbers, dates, names, negations, quotations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.prune.abstractive import Fact, facts_of, survival


class TestFacts:
    """What a shorter text must still say."""

    @pytest.mark.parametrize(
        ("text", "facts"),
        [
            ("It cost $1,250.50 then.", [Fact("number", "1250.5")]),
            ("It opened on 12 March 2024.", [Fact("date", "2024-03-12")]),
            ("It opened on March 12th, 2024.", [Fact("date", "2024-03-12")]),
            ("It opened on 2024-03-12.", [Fact("date", "2024-03-12")]),
            ("It opened in March 2024.", [Fact("date", "2024-03-?")]),
            ("It opens on 5 May.", [Fact("date", "?-05-05")]),
            ("It opened on 03/04/2024.", [Fact("date", "03/04/2024")]),
            ("it may open at 9.", [Fact("number", "9")]),
            ("The head is Ada Lovelace.", [Fact("name", "ada"), Fact("name", "lovelace")]),
            ("It is not approved.", [Fact("negation", "approv")]),
            ("It works without water.", [Fact("negation", "water")]),
            ("They didn't pay.", [Fact("negation", "pay")]),
            ("She called it “a fine mess” then.", [Fact("quotation", "a fine mess")]),
            ("all is well.", []),
            ("", []),
        ],
    )
    def test_each_kind_is_found(self, text: str, facts: list[Fact]) -> None:
        """Written alike, whatever the spelling; a month's name alone is no date."""
        assert facts_of(text) == facts


class TestSurvival:
    """A text beside its shorter form."""

    def test_another_spelling_is_no_loss(self) -> None:
        """A date in figures, a number without commas, a name at the beginning of a sentence."""
        found = survival(
            "In 12 March 2024 we gave Ada Lovelace 1,200 pounds.", "Ada Lovelace's gift: 1200, 2024-03-12."
        )
        assert (found.lost, found.invented) == ((), ())

    def test_what_is_lost_is_named(self) -> None:
        """By kind, so that a person can judge whether it matters."""
        found = survival("The pump is not safe above 60 degrees in Leeds.", "The pump is safe.")
        assert found.lost == (Fact("number", "60"), Fact("name", "leeds"), Fact("negation", "safe"))
        assert found.by_kind() == {"number": (0, 1), "name": (0, 1), "negation": (0, 1)}
        assert found.share == 0.0

    def test_a_negation_must_stand_with_what_it_negates(self) -> None:
        """Another `not` elsewhere does not make up for it."""
        found = survival("It is not approved. It is cheap.", "It is approved. It is not cheap.")
        assert Fact("negation", "approv") in found.lost

    def test_what_was_never_said_is_told(self) -> None:
        """Numbers, dates and quotations that the longer text does not have."""
        found = survival("It opened on 12 March 2024.", "It opened on 13 March 2024, 5 years late, “at last”.")
        assert {fact.kind for fact in found.invented} == {"date", "number", "quotation"}

    def test_a_less_exact_date_is_lost_but_not_invented(self) -> None:
        """The month still stands, the day does not."""
        found = survival("It opened on 12 March 2024.", "It opened in March 2024.")
        assert (found.lost, found.invented) == ((Fact("date", "2024-03-12"),), ())
        assert survival("It opened on 12 March 2024.", "It opened in 2024.").invented == ()

    @given(st.text(max_size=200) | st.text('Ab 12.-/"notMarch20', max_size=60))
    def test_a_text_loses_nothing_to_itself(self, text: str) -> None:
        """Nor is anything in it invented."""
        found = survival(text, text)
        assert (found.lost, found.invented, found.share) == ((), (), 1.0)
