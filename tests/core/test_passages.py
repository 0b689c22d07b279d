"""Retrieved passages keep the sentences that a question needs: within the budget, in order, and never none."""

import pytest

from tuppence.errors import ConfigError
from tuppence.prune.audit import counter_for
from tuppence.prune.passages import (
    Bm25Scorer,
    Likelihoods,
    Material,
    Passage,
    PassagePruner,
    RankedByScore,
    RerankedPassages,
    RerankedSentences,
    as_sent,
)

WIND = Passage(
    "Windy Hill is a wind farm in Queensland, Australia. It has 20 turbines. The blades were made in Denmark. "
    "A visitor centre sells postcards and coffee to people who come for the view.",
    id="wind", title="Windy Hill Wind Farm", score=0.4,
)  # fmt: skip
TEA = Passage(
    "Tea is a drink made of leaves. It came to Europe in 1610 on Dutch ships. Many people add milk to it. "
    "Some prefer lemon, others honey, and a few take it with salt and butter.",
    id="tea", title="Tea", score=0.9,
)  # fmt: skip
HERMES = Passage(
    "The Hermes Prize was given in 1954 to a book by Ada Lund. It is awarded in spring. The jury has nine members. "
    "Money for it comes from a fund that a shipping family set up after the war.",
    id="hermes", title="Hermes Prize",
)  # fmt: skip
LUND = Passage(
    "Ada Lund was a writer of short novels. She was born in Bergen and grew up on a farm. Her letters were lost. "
    "She kept bees, played the fiddle and walked long distances in all weathers.",
    id="lund", title="Ada Lund",
)  # fmt: skip
PASSAGES = [WIND, TEA, HERMES, LUND]
count = counter_for()


def total(passages: list[Passage]) -> int:
    return sum(count(as_sent(one.title, one.text)) for one in passages)


class TestWhatIsKept:
    def test_the_sentence_that_answers(self) -> None:
        """A question about one passage keeps its answer, under its title."""
        pruned = PassagePruner(share=0.3).prune("when did tea come to europe", PASSAGES)
        tea = next(one for one in pruned.passages if one.id == "tea")
        assert "It came to Europe in 1610 on Dutch ships." in tea.text
        assert tea.title == "Tea"
        assert tea.score == 0.9

    def test_the_passage_that_another_leads_to(self) -> None:
        """A question of two steps names the first passage only; that one names the second."""
        pruned = PassagePruner(share=0.5).prune("Where was the winner of the Hermes Prize in 1954 born?", PASSAGES)
        kept = {one.id: one.text for one in pruned.passages}
        assert "Ada Lund" in kept["hermes"]
        assert "born in Bergen" in kept["lund"]

    def test_sentences_stand_as_they_stood(self) -> None:
        """Every piece is where its span says, whole sentences in the order of the original."""
        for kept in PassagePruner(share=0.5).prune("Where was Ada Lund born?", PASSAGES).passages:
            original = PASSAGES[kept.index].text
            pieces = [span.of(original) for span in kept.spans]
            assert kept.text == " ".join(pieces)
            assert [span.start for span in kept.spans] == sorted(span.start for span in kept.spans)
            assert all(piece.endswith(".") for piece in pieces)

    def test_neighbours_keep_the_line_break_between_them(self) -> None:
        """What lay between two kept sentences stays; a left-out line leaves one line break."""
        text = "Tea came in 1610.\n\nTea is hot.\nNobody knows why the ships were late.\nTea is green."
        everything = PassagePruner(max_tokens=500).prune("tea", [Passage(text)])
        assert everything.passages[0].text == text
        pruned = PassagePruner(scorer=Bm25Scorer(), max_tokens=count(text) - 3).prune(
            "which tea came hot green", [Passage(text)]
        )
        assert pruned.passages[0].text == "Tea came in 1610.\n\nTea is hot.\nTea is green."

    def test_passages_keep_their_order(self) -> None:
        """The reader's order is the retriever's, whatever the scorer thinks."""
        indices = [one.index for one in PassagePruner(share=0.6).prune("tea or the Hermes Prize?", PASSAGES).passages]
        assert indices == sorted(indices)

    def test_a_ceiling_is_used_up_whatever_is_certain(self) -> None:
        """A budget was allowed to be spent: only `keep_probability` stops below it."""
        audit = PassagePruner(share=0.8, scorer=Fixed(3)).prune("anything at all here?", PASSAGES).audit
        assert audit.tokens_after > 0.6 * audit.tokens_before

    def test_the_same_in_the_same_out(self) -> None:
        """Providers cache by bytes."""
        pruner = PassagePruner(share=0.4)
        assert pruner.prune("Where was Ada Lund born?", PASSAGES) == pruner.prune("Where was Ada Lund born?", PASSAGES)


class TestBudget:
    @pytest.mark.parametrize("tokens", [25, 40, 80, 120])
    def test_a_ceiling_holds_for_all_together_with_titles(self, tokens: int) -> None:
        """What is sent is counted, headers too."""
        pruned = PassagePruner(max_tokens=tokens).prune("Where was Ada Lund born?", PASSAGES)
        sent = sum(count(one.sent) for one in pruned.passages)
        assert sent == pruned.audit.tokens_after <= tokens

    def test_a_share_is_of_what_was_given(self) -> None:
        """Half of the tokens is at most half."""
        audit = PassagePruner(share=0.5).prune("Where was Ada Lund born?", PASSAGES).audit
        assert audit.tokens_before == total(PASSAGES)
        assert 0.3 * audit.tokens_before < audit.tokens_after <= 0.5 * audit.tokens_before

    def test_what_fits_stays_as_it_is(self) -> None:
        """A ceiling above the input changes nothing."""
        pruned = PassagePruner(max_tokens=10_000).prune("Where was Ada Lund born?", PASSAGES)
        assert [one.text for one in pruned.passages] == [one.text for one in PASSAGES]
        assert pruned.audit.kept_because == "everything fits"

    def test_one_sentence_is_kept_where_none_fits(self) -> None:
        """A budget of one token still sends something: the shortest sentence."""
        pruned = PassagePruner(max_tokens=1).prune("Where was Ada Lund born?", PASSAGES)
        assert [len(one.spans) for one in pruned.passages] == [1]

    def test_without_a_budget_it_stops_when_enough_is_kept(self) -> None:
        """A clear question needs little; a higher probability needs more."""
        sizes = [
            PassagePruner(keep_probability=one).prune("when did tea come to europe", PASSAGES).audit.tokens_after
            for one in (0.3, 0.99, 0.9999)
        ]
        assert sizes[0] < sizes[1] < sizes[2]
        assert sizes[0] < 0.2 * total(PASSAGES)

    @pytest.mark.parametrize(
        "options",
        [
            {"max_tokens": 0}, {"share": 0.0}, {"share": 1.2}, {"keep_probability": 0.0}, {"keep_probability": 2.0},
            {"max_tokens": 5, "share": 0.5},
        ],
    )  # fmt: skip
    def test_a_budget_that_means_nothing_is_refused(self, options: dict[str, float]) -> None:
        """Bad configuration is told where it is written."""
        with pytest.raises(ConfigError, match=next(iter(options))):
            PassagePruner(**options)  # type: ignore[arg-type]


class TestDoubt:
    @pytest.mark.parametrize("question", ["", "why?", "Wie heißt die Hauptstadt von Kasachstan?", "首都はどこですか"])
    def test_where_words_tell_nothing_everything_is_kept(self, question: str) -> None:
        """Without a ceiling an unclear question costs no text, and the audit says why."""
        pruned = PassagePruner().prune(question, PASSAGES)
        assert pruned.audit.tokens_saved == 0
        assert "question" in pruned.audit.kept_because

    def test_a_ceiling_holds_in_doubt_and_is_used_up(self) -> None:
        """Below a ceiling doubt turns the early stop off."""
        pruned = PassagePruner(share=0.5, keep_probability=0.1).prune("why?", PASSAGES)
        assert 0.35 * pruned.audit.tokens_before < pruned.audit.tokens_after <= 0.5 * pruned.audit.tokens_before
        assert pruned.audit.kept_because


class TestRepeats:
    def test_what_two_passages_say_alike_is_sent_once(self) -> None:
        """The second copy's place goes to something else."""
        copy = Passage(TEA.text.replace("drink", "Drink"), id="copy", title="Tea again")
        pruned = PassagePruner(share=0.6).prune("when did tea come to europe", [TEA, copy])
        assert sum("1610" in one.text for one in pruned.passages) == 1
        assert any("says again" in cut.why for cut in pruned.audit.cuts) or len(pruned.passages) == 1

    def test_another_number_is_another_sentence(self) -> None:
        """Prices of two years differ by one word and are both facts."""
        said = (
            "The price of the yearly ticket for the whole network of the city, which covers trams, buses, the subway "
            "and the night lines out to the last of the suburbs, was {} euros in that year."
        )
        first, second = Passage(said.format(365), id="a"), Passage(said.format(467), id="b")
        pruner = PassagePruner(keep_probability=0.999, scorer=Bm25Scorer())
        assert len(pruner.prune("price of ticket", [first, Passage(first.text, id="b")]).passages) == 1
        pruned = pruner.prune("price of ticket", [first, second])
        assert [one.id for one in pruned.passages] == ["a", "b"]


class TestAudit:
    def test_every_cut_can_be_put_back(self) -> None:
        """What was kept and what was cut are all there was, each where its span says."""
        pruned = PassagePruner(share=0.3).prune("when did tea come to europe", PASSAGES)
        by_id = {one.id: one for one in PASSAGES}
        kept = {one.id: [span.of(by_id[one.id].text) for span in one.spans] for one in pruned.passages}
        for one in PASSAGES:
            cut = [cut for cut in pruned.audit.cuts if cut.source == one.id]
            assert all(cut.span and one.text[slice(*cut.span)] == cut.text for cut in cut)
            assert sorted("".join([*kept.get(one.id, []), *(cut.text for cut in cut)]).replace(" ", "")) == sorted(
                one.text.replace(" ", "")
            )

    def test_a_passage_that_goes_is_one_cut(self) -> None:
        """With all its tokens, title included."""
        pruned = PassagePruner(share=0.2).prune("when did tea come to europe", PASSAGES)
        gone = [cut for cut in pruned.audit.cuts if cut.kind == "passage"]
        assert {cut.source for cut in gone} == {"wind", "hermes", "lund"} - {one.id for one in pruned.passages}
        assert gone[0].tokens == count(as_sent(WIND.title, WIND.text))


class Fixed:
    """A scorer that wants one sentence."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted

    def __call__(self, material: Material, /) -> Likelihoods:
        sentences = tuple(float(one.number == self._wanted) for one in material.sentences)
        return Likelihoods(sentences, tuple(1 / len(material.sources) for _ in material.sources))


def down(question: str, texts: object) -> list[float]:
    raise ConnectionError("the reranker is down")


class TestScorers:
    def test_a_scorer_of_ones_own_decides(self) -> None:
        """What it is sure of is all that is kept."""
        pruned = PassagePruner(scorer=Fixed(3), keep_probability=0.9).prune("anything at all here?", PASSAGES)
        assert pruned.passages[0].text.startswith("A visitor centre")

    def test_a_rerankers_order_brings_its_first_passage_in(self) -> None:
        """Though no word of the question stands there."""
        question = "when did tea come to europe"

        def likes_wind(_: str, texts: object) -> list[float]:
            return [float("turbines" in text) for text in texts]  # type: ignore[attr-defined]

        alone = PassagePruner(share=0.2).prune(question, PASSAGES)
        assert "wind" not in {one.id for one in alone.passages}
        for scorer in (RerankedPassages(likes_wind), RerankedSentences(likes_wind)):
            pruned = PassagePruner(share=0.35, scorer=scorer).prune(question, PASSAGES)
            assert {"wind", "tea"} <= {one.id for one in pruned.passages}

    def test_scores_that_came_along_are_read_on_request_only(self) -> None:
        """A retriever's scores change nothing unless asked for."""
        question, turned = (
            "which farm is there",
            [Passage(p.text, p.id, p.title, 100.0 * n) for n, p in enumerate(PASSAGES)],
        )
        plain = PassagePruner(share=0.3)
        assert [o.text for o in plain.prune(question, turned).passages] == [
            o.text for o in plain.prune(question, PASSAGES).passages
        ]
        by_score = PassagePruner(share=0.3, scorer=RankedByScore()).prune(question, turned)
        assert "lund" in {one.id for one in by_score.passages}

    def test_a_scorer_that_fails_leaves_the_ceiling_to_the_default(self) -> None:
        """A service that is down costs no answer and no budget."""
        pruned = PassagePruner(share=0.3, scorer=RerankedPassages(down)).prune("when did tea come to europe", PASSAGES)
        assert "1610" in " ".join(one.text for one in pruned.passages)
        assert pruned.audit.tokens_after <= 0.3 * pruned.audit.tokens_before
        assert "the reranker is down" in pruned.audit.kept_because

    def test_too_few_scores_are_a_failure(self) -> None:
        """Which is told, and not guessed around."""
        pruned = PassagePruner(scorer=RerankedSentences(lambda question, texts: [1.0])).prune("tea in Europe", PASSAGES)
        assert "one for each" in pruned.audit.kept_because
        assert pruned.audit.tokens_saved == 0

    def test_a_counter_that_fails_leaves_everything(self) -> None:
        """Whatever breaks, the passages come back."""

        def broken(text: str) -> int:
            raise ValueError("no vocabulary")

        pruned = PassagePruner(share=0.3, count=broken).prune("tea", PASSAGES)
        assert [one.text for one in pruned.passages] == [one.text for one in PASSAGES]
        assert "no vocabulary" in pruned.audit.kept_because


class TestEmptiness:
    def test_no_passages_are_none(self) -> None:
        """Nothing in, nothing out."""
        assert PassagePruner(share=0.3).prune("tea", []).passages == ()

    def test_passages_without_text_come_back(self) -> None:
        """There is nothing to choose from, so nothing is left out."""
        pruned = PassagePruner(share=0.3).prune("tea", [Passage("", title="Tea"), Passage("  ")])
        assert [one.title for one in pruned.passages] == ["Tea", ""]

    def test_an_empty_passage_beside_others_goes(self) -> None:
        """And is told in the audit."""
        pruned = PassagePruner(share=0.5).prune("when did tea come to europe", [Passage("", id="empty"), TEA])
        assert [one.id for one in pruned.passages] == ["tea"]
        assert ("empty", "it has no text") in {(cut.source, cut.why) for cut in pruned.audit.cuts}
