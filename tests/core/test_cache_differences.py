"""What differs between two questions, and what only looks as if it did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache.decision.differences import compare
from tuppence.cache.decision.reading import READABLE_CHARS, read

CHANGED = [
    ("number", "Can 14 guests stay here?", "Can 40 guests stay here?"),
    ("number", "What is new in release 3.10?", "What is new in release 3.1?"),
    ("number", "Who fought in World War II?", "Who fought in World War I?"),
    ("number", "Which planet is the second largest?", "Which planet is the third largest?"),
    ("number", "How do I reset a router?", "How do I reset 5 routers?"),
    ("amount", "Is 10% a fair tip?", "Is 15 percent a fair tip?"),
    ("amount", "What can I cook in 20 minutes?", "What can I cook in 20 hours?"),
    ("amount", "What does $5 buy in Rome?", "What does €5 buy in Rome?"),
    ("time of day", "Is 7am too early to call?", "Is 7pm too early to call?"),
    ("time of day", "Is there a bus at 9:15?", "Is there a bus at 9:45?"),
    ("unit", "How many miles is a marathon?", "How many kilometres is a marathon?"),
    ("unit", "What is the boiling point in Celsius?", "What is the boiling point in Fahrenheit?"),
    ("date", "Is the museum open on Monday?", "Is the museum open on Sunday?"),
    ("date", "Which flowers bloom in April?", "Which flowers bloom in June?"),
    ("date", "What did the shop sell last year?", "What did the shop sell this year?"),
    ("name", "How do I get a visa for Kenya?", "How do I get a visa for Norway?"),
    ("name", "Does the warranty of Acme cover rust?", "Does the warranty of Zenith cover rust?"),
    ("name", "what should i see in paris", "what should i see in berlin"),
    ("name", "What is the best college in India?", "What is the best college?"),
    ("name", "What is vitamin B good for?", "What is vitamin C good for?"),
    ("name", "How did the town vote on plan F?", "How did the town vote on plan L?"),
    ("negation", "Why do cats purr?", "Why do cats not purr?"),
    ("negation", "Which plants need sunlight?", "Which plants don't need sunlight?"),
    ("negation", "Is the seat comfortable?", "Is the seat uncomfortable?"),
    ("negation", "How do I make the baby cry?", "How do I stop the baby crying?"),
    ("negation", "How do I make cookies crumbly?", "How do I make cookies less crumbly?"),
    ("opposite", "Can I travel with a dog?", "Can I travel without a dog?"),
    ("opposite", "Which phones are under 300?", "Which phones are over 300?"),
    ("opposite", "Should I stretch before running?", "Should I stretch after running?"),
    ("opposite", "How do I enable cookies?", "How do I disable cookies?"),
    ("opposite", "What is the best seat?", "What is the worst seat?"),
    ("negation", "What is the best way to sleep?", "What is the worst way to sleep?"),
    ("opposite", "Should I buy the house now?", "Should I sell the house now?"),
    ("direction", "How do I move money to my account?", "How do I move money from my account?"),
    ("quantifier", "Do I have to eat at least two meals?", "Do I have to eat at most two meals?"),
    ("quantifier", "Can members enter?", "Can only members enter?"),
    ("quantifier", "Is it only for members?", "Is it not only for members?"),
    ("question", "Why was the bridge built?", "When was the bridge built?"),
    ("question", "How many people sail?", "Why do people sail?"),
    ("tense", "Who is the mayor?", "Who was the mayor?"),
    ("tense", "Did the team win?", "Will the team win?"),
    ("order", "What is the impact of rain on mood?", "What is the impact of mood on rain?"),
    ("order", "Is tea stronger than coffee?", "Is coffee stronger than tea?"),
    ("order", "Does Ann admire Bob?", "Does Bob admire Ann?"),
    ("order", "How do I convert pounds into stones?", "How do I convert stones into pounds?"),
    ("order", "Which share of nurses are smokers?", "Which share of smokers are nurses?"),
    ("sign", "What is a + b?", "What is a * b?"),
    ("script", "ต้มยำกุ้ง", "ผัดไทย"),
    ("script", "什么是爱情", "什么是友情"),
    ("language", "How do I close the account?", "Wie kann ich das Konto schließen?"),
    ("negation", "Wie kann ich das Abo kündigen?", "Wie kann ich das Abo nicht kündigen?"),
    ("opposite", "Puedo viajar con mi perro", "Puedo viajar sin mi perro"),
    ("number", "Ist das Zimmer für zwei Personen?", "Ist das Zimmer für drei Personen?"),
    ("words", "Hvordan kan jeg bytte passordet mitt hos dere", "Hvordan kan jeg slette passordet mitt hos dere"),
]

SAME = [
    ("How do I reset my password?", "hi, how can i reset my passwrod please"),
    ("What's the capital of Peru?", "what is the capital of peru"),
    ("Is it safe to fast for 14 days?", "Is it safe to fast for two weeks?"),
    ("Is there a bus at 19:00?", "Is there a bus at 7 pm?"),
    ("What does a 5k phone offer?", "What does a 5000 phone offer?"),
    ("What does $1,500 buy?", "What does 1500 dollars buy?"),
    ("Is it free on July 4th?", "Is it free on 4 July?"),
    ("How does the gpt4 model work?", "How does the GPT-4 model work?"),
    ("How do I repair a database?", "How do I repair a data base?"),
    ("What is the difference between tea and coffee?", "What's the difference between coffee and tea?"),
    ("How do I sum a column in Excel?", "In Excel, how do I sum a column?"),
    ("What does ROI mean?", "What does return on investment mean?"),
    ("I can't sleep, why?", "I cannot sleep, why?"),
    ("How do I cancel my subscription?", "What are the steps to cancel my subscription?"),
    ("Why is grass green?", "What is the reason grass is green?"),
    ("How tall is the tower?", "What is the height of the tower?"),
    ("Um, how do I bake bread?", "How do I bake bread? Thanks in advance!"),
    ("How do I train for a marathon?", "how do you train for marathons"),
    ("How are the cells divided?", "How do the cells divide?"),
    ("Who wrote the book?", "Who is the author of the book?"),
    ("How do I install the printer?", "How do I set up the printer?"),
    ("Is the U.S. a democracy?", "Is the United States a democracy?"),
    ("Wie lösche ich mein Konto?", "Wie kann ich mein Konto löschen?"),
]


@pytest.mark.parametrize(("kind", "first", "second"), CHANGED)
def test_what_must_change_the_answer_is_decisive(kind: str, first: str, second: str) -> None:
    """One difference of every kind is found, by its name, and forbids one answer for both."""
    found = compare(read(first), read(second))
    assert kind in {difference.kind for difference in found.differences if difference.decisive}


@pytest.mark.parametrize(("first", "second"), SAME)
def test_the_same_in_other_words_does_not_differ(first: str, second: str) -> None:
    """Courtesy, spelling, contractions, synonyms, set phrases and ways to write a number are no difference."""
    found = compare(read(first), read(second))
    assert found.decisive is None
    assert (found.only_first, found.only_second) == (0, 0)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("Can 14 guests stay?", "Can 40 guests stay?", "number: 14 against 40"),
        ("How do I get to Kenya?", "How do I get to Norway?", "name: Kenya against Norway"),
        ("How do I reach the king?", "How do I reach the king of Spain?", "name: Spain in one only"),
        ("Is the rule legal?", "Is the rule illegal?", "opposite: legal against illegal"),
        ("Reheat it in the oven?", "Reheat it in the microwave?", "words: oven against microwave"),
    ],
)
def test_a_difference_is_told_in_the_words_of_the_questions(first: str, second: str, words: str) -> None:
    """Whoever reads a report sees at once what stood against an answer."""
    assert str(compare(read(first), read(second)).differences[0]) == words


def test_another_word_is_counted_and_left_to_the_model() -> None:
    """A word that no list knows may or may not change the answer."""
    found = compare(read("How do I reheat a pie in the oven?"), read("How do I reheat a pie in the microwave?"))
    assert found.decisive is None
    assert (found.only_first, found.only_second, found.shared) == (1, 1, 2)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How can I close the account in the app?", "en"),
        ("Wie kann ich mein Konto in der App schließen?", "de"),
        ("Bonjour", ""),
    ],
)
def test_a_language_is_known_by_its_small_words(question: str, language: str) -> None:
    """By that of most of them: "in" is of several."""
    assert read(question).language == language


@pytest.mark.parametrize(
    ("first", "second"),
    [("cancellation rules", "cancelation rules"), ("a definite answer", "a definate answer"), ("seperate", "separate")],
)
def test_a_slip_of_the_pen_is_forgiven(first: str, second: str) -> None:
    """One letter too many, too few or wrong in a long word that is a word only one way."""
    assert compare(read(first), read(second)).only_first == 0


@pytest.mark.parametrize(("first", "second"), [("master", "faster"), ("cancer", "dancer"), ("country", "county")])
def test_two_words_one_letter_apart_are_two_words(first: str, second: str) -> None:
    """Nearness of spelling proves nothing where both are words."""
    assert compare(read(first), read(second)).only_first == 1


def test_what_is_too_long_to_be_seen_is_never_the_same() -> None:
    """The embedder cuts long texts; their ends may say anything."""
    text = "tea " * READABLE_CHARS
    assert compare(read(text + "a"), read(text + "b")).decisive is not None


_WORDS = "how why do not all Paris london 3 14 days weeks with without to from tea coffee media and of Ann".split()
_questions = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=9).map(" ".join) | st.text(max_size=30)


@given(_questions)
def test_a_question_never_differs_from_itself(question: str) -> None:
    """Nor from itself read again, or followed by blanks."""
    again = compare(read(question), read(question + "  "))
    assert compare(read(question), read(question)).differences == ()
    assert again.differences == ()


@given(_questions, _questions)
def test_it_does_not_matter_which_question_came_first(first: str, second: str) -> None:
    """The same is decided either way round."""
    there, back = compare(read(first), read(second)), compare(read(second), read(first))
    assert (there.decisive is None) == (back.decisive is None)
    assert (there.only_first, there.only_second, there.shared) == (back.only_second, back.only_first, back.shared)
    assert there.grammar == back.grammar


@given(
    st.sampled_from([question for pair in SAME[:-1] for question in pair]),
    st.sampled_from(["Hi, {}", "Hello! {}", "Please tell me: {}", "{} Thanks!", "Excuse me, {} Thank you in advance"]),
)
def test_courtesy_never_differs(question: str, frame: str) -> None:
    """However politely it is asked, it is the same question."""
    found = compare(read(question), read(frame.format(question)))
    assert found.decisive is None
    assert (found.only_first, found.only_second) == (0, 0)
