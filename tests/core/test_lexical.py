"""Words that two texts share: terms in any script, and BM25 as it was published."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.prune.lexical import K1, B, Bm25, terms


class TestTerms:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("The journals were published.", ["journal", "publish"]),
            ("It publishes agencies' news", ["publish", "agency", "new"]),
            ("stopped calling", ["stop", "call"]),
            ("1,234.5 men in the 1970s", ["1234.5", "men", "1970"]),
            ("U.S.S. Maine, R/T", ["uss", "main", "rt"]),
            ("Beyoncé", ["beyonc"]),
            ("東京都", ["東京", "京都"]),
            ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
            ("Привет, мир", ["привет", "мир"]),
        ],
    )
    def test_content_words_are_folded_and_stemmed(self, text: str, expected: list[str]) -> None:
        """Case, accents, endings and the marks inside initials do not make another word; numbers stay."""
        assert terms(text) == expected

    def test_a_text_of_function_words_keeps_them(self) -> None:
        """A title such as "To Be or Not to Be" can still be found."""
        assert terms("to be or not to be")

    @given(st.text())
    def test_any_text_has_terms_in_lower_case_without_blanks(self, text: str) -> None:
        """Whatever the script, a term is a word."""
        for term in terms(text):
            assert term
            assert term == "".join(term.split())

    @given(st.text(alphabet=st.characters(categories=["L"], max_codepoint=0x24F), min_size=1))
    def test_letters_are_never_lost(self, text: str) -> None:
        """A text with letters has terms."""
        assert terms(text)


class TestBm25:
    def test_it_is_the_published_formula(self) -> None:
        """One term of one text, by hand."""
        index = Bm25(["cats purr", "dogs bark loudly tonight"])
        idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
        norm = K1 * (1 - B + B * 2 / 3)
        assert index.scores("cat") == [pytest.approx(idf * (K1 + 1) / (1 + norm)), 0.0]

    def test_rare_words_decide(self) -> None:
        """What every text says does not tell them apart."""
        scores = Bm25(["tower in Paris", "tower in London", "tower in Rome"]).scores("tower Rome")
        assert scores.index(max(scores)) == 2
        assert scores[0] == scores[1] > 0

    def test_a_word_asked_twice_counts_once(self) -> None:
        """A question that stutters asks nothing else."""
        index = Bm25(["a tower", "a bridge"])
        assert index.scores("tower tower") == index.scores("tower")

    @given(st.lists(st.text()), st.text())
    def test_any_texts_have_a_score_each(self, texts: list[str], query: str) -> None:
        """Scores are finite and never negative; no texts have none."""
        scores = Bm25(texts).scores(query)
        assert len(scores) == len(texts)
        assert all(math.isfinite(score) and score >= 0 for score in scores)
