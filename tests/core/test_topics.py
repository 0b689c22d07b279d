"""Passages on the same topic: found by a threshold that comes from the user's own passages, and said once."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.errors import ConfigError
from tuppence.prune.audit import counter_for
from tuppence.prune.passages import Passage, as_sent
from tuppence.prune.sentences import Span, sentences
from tuppence.prune.topics import Linking, TermSimilarity, TopicMerger, calibrate_linking, linking_at
from tuppence.prune.topics.clusters import grouped
from tuppence.prune.topics.saying import said_once

LINKING = Linking(0.2, "tf-idf", 0.01, 99)
BRIDGE = Passage(
    "The Tay bridge carries trains across the Firth of Tay. The bridge was opened in 1887. "
    "The old bridge fell in 1879.",
    "a",
    "Tay Bridge",
)
BRIDGE_AGAIN = Passage(
    "As every guide says, the Tay bridge carries trains across the Firth of Tay. The Tay bridge has 85 spans.",
    "b",
    "Dundee",
)
COFFEE = Passage("Coffee is brewed from roasted beans. Espresso is brewed under pressure.", "c", "Coffee")
SAYINGS = [
    "The old bridge fell in 1879.", "It was not opened.", "Coffee is brewed from beans.", "Yes.", "", "\n\n", "- Beans",
    "The old bridge fell in 1879, they say.", "東京は日本の首都です。", "| a | b |",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(SAYINGS), max_size=6).map(" ".join) | st.text(max_size=40)
count = counter_for()


def said(*texts: str) -> list[str]:
    kept, _ = said_once(texts, range(len(texts)))
    return [one.span.of(texts[one.passage]) for one in kept]


class TestSayingOnce:
    """A sentence goes only where another one that stays says all of it."""

    def test_a_repeated_sentence_stays_once(self) -> None:
        """Case, quotes and the end mark are no difference; the earlier of two equals stays."""
        assert said("The firm was founded in 1990.", "“The firm was founded in 1990”") == [
            "The firm was founded in 1990."
        ]

    def test_the_longer_of_two_stays_though_it_comes_later(self) -> None:
        """What contains the other says more."""
        longer = "In Leeds, the firm was founded in 1990 by two brothers."
        assert said("The firm was founded in 1990.", longer) == [longer]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("The drug is safe for children.", "It is not true that the drug is safe for children."),
            ("The drug is safe for children.", "The drug is not safe for children."),
            ("The drug may cause severe pain.", "The drug does cause severe pain."),
            ("The price rose by 5% in May.", "The price rose by 15% in May."),
            ("The balance stood at -50 in May.", "The balance stood at 50 in May."),
            ("The fee is $500 a year.", "The fee is €500 a year."),
            ("Acme bought Globex in 2001.", "Globex bought Acme in 2001."),
            ("The plant was closed last year.", "The plant is closed last year."),
            ("Is the drug safe for children?", "Is the drug safe for children."),
        ],
    )
    def test_sentences_that_say_something_else_both_stay(self, one: str, other: str) -> None:
        """A negation, a hedge, an amount, a sign, a currency, who did it, when: each makes another statement."""
        assert said(one, other) == [one, other]

    def test_a_sentence_that_leans_on_the_one_before_stays(self) -> None:
        """`He` is somebody else in another document, and `Yes.` answers another question."""
        texts = (
            "John Smith was an actor. He retired in 2001 to Leeds.",
            "John Smith was a miner. He retired in 2001 to Leeds.",
        )
        assert len(said(*texts)) == 4
        assert "Yes." in said("Is it open all year? Yes.", "Yes, it is open on Sundays.")

    def test_a_sentence_that_another_leans_on_stays_with_it(self) -> None:
        """`He` must not be left without the name before it."""
        assert said("John Smith was an actor.", "John Smith was an actor. He died in 1999.")[-2:] == [
            "John Smith was an actor.",
            "He died in 1999.",
        ]

    def test_a_leaning_sentence_goes_with_the_one_that_it_leans_on(self) -> None:
        """A copied paragraph is a copy in all its sentences."""
        text = "John Smith was an actor. He retired in 2001. Yes."
        assert said(text, f"From the archive. {text}") == [
            "John Smith was an actor.", "He retired in 2001.", "Yes.", "From the archive."
        ]  # fmt: skip


class TestGroups:
    """Average linkage over a table of similarities."""

    def test_no_chain_is_made_through_a_passage_between_two_topics(self) -> None:
        """1 is like 0 and like 2, which have nothing to do with each other."""
        assert grouped([[1, 0.6, 0], [0.6, 1, 0.5], [0, 0.5, 1]], 0.4) == [[0, 1], [2]]

    def test_the_threshold_itself_does_not_link(self) -> None:
        """A pair as alike as the null's quantile is still one of the null."""
        assert grouped([[1, 0.4], [0.4, 1]], 0.4) == [[0], [1]]

    @given(
        st.integers(0, 8).flatmap(
            lambda n: st.lists(st.lists(st.floats(-1, 1), min_size=n, max_size=n), min_size=n, max_size=n)
        )
    )
    def test_every_passage_is_in_one_group_and_in_order(self, rows: list[list[float]]) -> None:
        """Nothing is lost or told twice, whatever the similarities; higher thresholds never make fewer groups."""
        n = len(rows)
        table = [[rows[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
        groups = grouped(table, 0.1)
        assert sorted(at for members in groups for at in members) == list(range(n))
        assert all(members == sorted(members) for members in groups)
        assert groups == sorted(groups)
        assert grouped(table, 1.0) == [[at] for at in range(n)]

    @given(st.integers(1, 9), st.integers(0, 10_000), st.sampled_from([-1.0, 0.0, 0.3]))
    def test_it_is_average_linkage_as_it_is_defined(self, n: int, seed: int, threshold: float) -> None:
        """The same groups as by taking every mean anew each time."""
        draw = random.Random(seed)
        half = {(i, j): draw.uniform(-1, 1) for i in range(n) for j in range(i)}
        table = [[half.get((max(i, j), min(i, j)), 1.0) for j in range(n)] for i in range(n)]
        groups = [[at] for at in range(n)]
        while len(groups) > 1:
            mean, one, other = max(
                (sum(table[i][j] for i in one for j in other) / len(one) / len(other), one, other)
                for one, other in combinations(groups, 2)
            )
            if mean <= threshold:
                break
            groups = sorted([*(g for g in groups if g not in (one, other)), sorted(one + other)])
        assert grouped(table, threshold) == groups


class TestCalibration:
    """The threshold is a quantile of how alike unrelated passages are."""

    def test_it_is_the_conformal_quantile(self) -> None:
        """With 99 pairs and 1% it is the largest of them; with 5% the 95th of a hundred."""
        assert linking_at(0.01, [n / 100 for n in range(99)], similarity="x").threshold == 0.98
        assert linking_at(0.05, [n / 100 for n in range(99)], similarity="x").threshold == 0.94

    def test_too_few_pairs_are_refused_with_the_number_needed(self) -> None:
        """A rate that the pairs cannot show is not made up."""
        with pytest.raises(ConfigError, match=r"98 unrelated pairs are too few.*at least 99"):
            linking_at(0.01, [0.0] * 98, similarity="x")

    @pytest.mark.parametrize("rate", [0, 1, -0.1, 2])
    def test_a_rate_must_be_one(self, rate: float) -> None:
        """All or nothing is no rate to calibrate at."""
        with pytest.raises(ConfigError, match="no rate"):
            linking_at(rate, [0.0] * 500, similarity="x")

    def test_related_pairs_say_what_the_rate_costs(self) -> None:
        """Half of the true pairs are more alike than the threshold."""
        found = linking_at(0.5, [0.1, 0.2, 0.3], [0.1, 0.9], similarity="x")
        assert (found.threshold, found.related_pairs, found.linked_share) == (0.2, 2, 0.5)

    @given(st.lists(st.floats(0, 1), min_size=20, max_size=60), st.floats(0.05, 0.9))
    def test_no_more_of_the_null_links_than_was_asked_for(self, unrelated: list[float], rate: float) -> None:
        """On the pairs that it was found on, the rate holds."""
        found = linking_at(rate, unrelated, similarity="x")
        assert sum(value > found.threshold for value in unrelated) <= rate * len(unrelated)

    def test_sets_of_passages_are_told_apart_by_what_the_user_knows(self) -> None:
        """Pairs across topics are the null; pairs within one are related."""
        found = calibrate_linking(
            [[BRIDGE, BRIDGE_AGAIN, COFFEE]] * 3, topic_of=lambda p: p.id in "ab", false_merge_rate=0.2
        )
        assert (found.unrelated_pairs, found.related_pairs, found.linked_share) == (6, 3, 1.0)
        assert found.similarity == "tf-idf"


class TestMerging:
    """One passage a topic, every sentence with its source."""

    def test_two_documents_become_one_topic_that_says_it_once(self) -> None:
        """The longer of two equal statements stays, and its place in its document is known."""
        merged = TopicMerger(LINKING).merge([BRIDGE, COFFEE, BRIDGE_AGAIN])
        assert [topic.passages for topic in merged.topics] == [(0, 2), (1,)]
        bridge = merged.topics[0]
        assert (bridge.name, bridge.sources) == ("Tay Bridge", ("a", "b"))
        assert bridge.merged.text == (
            "The bridge was opened in 1887. The old bridge fell in 1879.\n\nDundee\n" + BRIDGE_AGAIN.text
        )
        assert [(one.id, one.span.start) for one in bridge.statements] == [("a", 55), ("a", 86), ("b", 0), ("b", 76)]
        assert merged.passages[1].text == COFFEE.text

    def test_the_audit_says_where_a_sentence_that_went_is_said(self) -> None:
        """With its place, so that it can be put back."""
        merged = TopicMerger(LINKING).merge([BRIDGE, COFFEE, BRIDGE_AGAIN])
        (cut,) = merged.audit.cuts
        assert (cut.kind, cut.source, cut.why, cut.span) == ("sentence", "a", "said in b at 0", (0, 54))
        assert merged.audit.tokens_saved > 0

    def test_the_most_important_topics_stay_in_the_documents_order(self) -> None:
        """The question says which; shares add up to one."""
        everything = TopicMerger(LINKING).merge([COFFEE, BRIDGE, BRIDGE_AGAIN], "How many spans has the bridge?")
        assert sum(topic.importance for topic in everything.topics) == pytest.approx(1)
        kept = TopicMerger(LINKING, top=1).merge([COFFEE, BRIDGE, BRIDGE_AGAIN], "How many spans has the bridge?")
        assert [topic.name for topic in kept.topics] == ["Dundee"]
        assert kept.audit.cuts[-1].why == "0.0% of the mass, rank 2 of 2"
        assert TopicMerger(LINKING, top=1).merge([COFFEE, BRIDGE], "espresso?").topics[0].name == "Coffee"

    def test_without_a_question_what_is_most_alike_to_all_is_most_important(self) -> None:
        """Two documents on one thing carry more than one on another."""
        assert TopicMerger(LINKING, top=1).merge([COFFEE, BRIDGE, BRIDGE_AGAIN]).topics[0].name == "Tay Bridge"

    def test_passages_that_share_nothing_go_through_as_they_are(self) -> None:
        """Nothing to merge is said, not hidden."""
        merged = TopicMerger(LINKING).merge([BRIDGE, COFFEE])
        assert merged.passages == (BRIDGE, COFFEE)
        assert merged.audit.kept_because == "merging saves nothing"

    def test_a_similarity_that_breaks_leaves_the_passages(self) -> None:
        """An optimisation fails open."""

        class Broken:
            name = "tf-idf"

            def compare(self, texts: object) -> list[list[float]]:
                raise RuntimeError("no vectors today")

        merged = TopicMerger(LINKING, Broken()).merge([BRIDGE, COFFEE])
        assert merged.passages == (BRIDGE, COFFEE)
        assert merged.audit.kept_because == "merging broke (RuntimeError: no vectors today)"

    def test_a_threshold_of_another_similarity_is_refused(self) -> None:
        """A cosine of one model says nothing about another's."""
        with pytest.raises(ConfigError, match="calibrate with the similarity"):
            TopicMerger(Linking(0.2, "all-MiniLM-L6-v2-int8", 0.01, 99), TermSimilarity())

    def test_no_topic_at_all_is_refused(self) -> None:
        """A prompt is never emptied."""
        with pytest.raises(ConfigError, match="top=0"):
            TopicMerger(LINKING, top=0)

    def test_nothing_is_made_of_nothing(self) -> None:
        """An empty retrieval is no fault."""
        assert TopicMerger(LINKING).merge([]).passages == ()

    @settings(deadline=None)
    @given(
        st.lists(
            st.builds(Passage, TEXTS, st.sampled_from(["", "a", "b"]), st.sampled_from(["", "A", "B"])), max_size=7
        ),
        st.sampled_from(["", "Which bridge fell?"]),
        st.none() | st.integers(1, 3),
        st.sampled_from([-1.0, 0.2]),
    )
    def test_any_passages_come_out_no_longer_in_order_and_accounted_for(
        self, passages: list[Passage], question: str, top: int | None, threshold: float
    ) -> None:
        """Every sentence stands where it is said to stand, and the same input gives the same output."""
        merger = TopicMerger(Linking(threshold, "tf-idf", 0.01, 99), top=top)
        merged = merger.merge(passages, question)
        shown = "\n\n".join(as_sent(one.title, one.text) for one in merged.passages)
        assert count(shown) == merged.audit.tokens_after <= merged.audit.tokens_before
        assert bool(merged.passages) == bool(passages)
        assert merged == merger.merge(passages, question)
        assert not merged.audit.kept_because.startswith("merging broke")
        for topic in merged.topics:
            places = [(one.passage, one.span.start) for one in topic.statements]
            assert places == sorted(set(places))
            assert all(one.span.of(passages[one.passage].text) == one.text for one in topic.statements)
        for cut in merged.audit.cuts:
            if cut.span is not None:
                assert any(p.id == cut.source and Span(*cut.span).of(p.text) == cut.text for p in passages)
        if top is None and not merged.audit.kept_because:
            stated = sum(len(topic.statements) for topic in merged.topics)
            assert stated + len(merged.audit.cuts) == sum(len(sentences(one.text)) for one in passages)
