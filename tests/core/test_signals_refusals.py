"""A refusal is seen in the opening of an answer, and answers that only sound like one are let through."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.signals import REFUSAL_OPENING_CHARS, refusal

REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, but I can’t help with that request.",
    "I'm sorry, I cannot fulfill this request as it goes against my programming.",
    "I am unable to provide medical advice. Please see a doctor.",
    "I'm not able to browse the internet.",
    "I can't do that.",
    "I cannot write that story.",
    "I won't be able to help you with this.",
    "I will not provide instructions for that.",
    "I must respectfully decline.",
    "I have to decline this request.",
    "I don't have access to real-time data, so I cannot tell you the current weather.",
    "I do not have the ability to open attachments.",
    "I don't feel comfortable writing that.",
    "I'm not comfortable with this topic.",
    "I'm just not able to share personal data.",
    "I can't see any images in this conversation.",
    "Sorry, can't help with that.",
    "Sorry, but unable to comply.",
    "Unable to process this request.",
    "That's not something I can help with.",
    "As an AI language model, I cannot give you legal advice.",
    "Thank you for reaching out! I understand this matters to you. Unfortunately, I can't access your account.",
    "\n\n  I'm sorry, but I cannot comply with that.",
    "I CANNOT ASSIST WITH THAT.",
    "Es tut mir leid, aber dabei kann ich Ihnen leider nicht helfen.",
    "Ich kann diese Frage leider nicht beantworten.",
    "Dazu kann ich keine Auskunft geben.",
    "Ich bin nicht in der Lage, das zu tun.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Désolée, je ne suis pas en mesure de répondre à cette question.",
    "Je n'ai pas accès à Internet.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "No puedo proporcionar esa información.",
    "Desculpe, mas não posso ajudar com isso.",
    "Não consigo fornecer essas informações.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Non sono in grado di fornire consigli medici.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Helaas kan ik deze vraag niet beantwoorden.",
    "Przykro mi, ale nie mogę w tym pomóc.",
    "Üzgünüm, bu konuda yardımcı olamam.",
    "Извините, но я не могу вам с этим помочь.",
    "К сожалению, я не могу предоставить эту информацию.",
    "抱歉，我无法协助您完成这个请求。",
    "对不起，我不能回答这个问题。",
    "很遺憾，我無法提供這項資訊。",
    "申し訳ありませんが、そのご要望にはお応えできません。",
    "その件についてはお手伝いできません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "죄송합니다. 답변해 드릴 수 없습니다.",
    "عذرًا، لا يمكنني مساعدتك في ذلك.",
    "क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।",
]

ANSWERS = [
    "",
    "   \n",
    "Paris.",
    "I can't stress enough how important backups are.",
    "I can't help but notice that the second paragraph repeats the first.",
    "I cannot see any error in this function.",
    "I can't find a bug: the loop ends when the list is empty.",
    "I'm sorry to hear that you are having trouble. Here is what to try first: restart the router.",
    "I apologize for the confusion. The corrected total is 42.",
    "Unfortunately, the meeting was moved to Friday.",
    "I cannot proceed with the cancellation without the reservation number. Could you send it?",
    "You cannot divide by zero, so the limit does not exist.",
    "This function cannot return None.",
    "Users were unable to provide feedback because the form was broken.",
    "The context does not say when the bridge was built.",
    "I don't know.",
    "I'm not sure, but I think it was in 1987.",
    "We cannot answer this by symmetry alone, so we integrate by parts.",
    '"I can\'t help you," said the old man, and closed the door.',
    "“I cannot answer that,” she whispered.",
    "Subject: Your invitation\n\nDear Ann,\n\nunfortunately I cannot participate this year.",
    "Hi Bob,\n\nI'm afraid I can't provide the slides before Friday.",
    "I can't do this anymore, thought Tom, and put the violin away.",
    "The wi-fi can't access the network when the antenna is off.",
    'Why people say "no puedo más" in Spanish songs.',
    "No puedo evitar pensar que la segunda opción es mejor.",
    "Je ne peux que vous recommander ce livre.",
    "Das kann ich nur empfehlen; es ist nicht teuer.",
    "Sie müssen das nicht allein tun: ich helfe gern.",
    "我不能说这本书不好。",
    "これはできません、と書かれた看板の例です。",
    "Нельзя не согласиться с автором.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_seen(text: str) -> None:
    """In each of the fifteen languages, whatever the case, the apostrophe, or the courtesy before it."""
    found = refusal(text)
    assert found is not None
    assert found in text.lower()


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_no_refusal(text: str) -> None:
    """Quotes, letters, idioms, statements about others and honest doubt are answers."""
    assert refusal(text) is None


def test_only_the_opening_counts() -> None:
    """The same words are a refusal within the opening and a remark behind it."""
    words = "I can't help with that"
    assert refusal("." * (REFUSAL_OPENING_CHARS - len(words) - 1) + " " + words) is not None
    assert refusal("." * REFUSAL_OPENING_CHARS + " " + words) is None


@given(st.sampled_from([*REFUSALS, *ANSWERS]), st.text(), st.text())
def test_what_follows_the_opening_changes_nothing(start: str, one: str, other: str) -> None:
    """The outcome is a function of the first characters alone: streams may be opened by it."""
    opening = (start + "." * REFUSAL_OPENING_CHARS)[:REFUSAL_OPENING_CHARS]
    assert refusal(opening + one) == refusal(opening + other)


@pytest.mark.parametrize(
    "text",
    [
        "I can't " * 200_000,
        "n't " * 300_000,
        "kann ich a a a a a nicht a a a " * 50_000,
        "i'm just afraid sorry " * 60_000,
        "je ne peux pas vous te y en le la " * 30_000,
        "抱歉" * 500_000,
        "İ" * 1_000_000,
        "\ud800" * 1_000_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_long_and_hostile_text_is_cheap(text: str) -> None:
    """A megabyte that nearly matches, over and over, is read in no time: opening and patterns are bounded."""
    started = time.thread_time()
    refusal(text)
    assert time.thread_time() - started < 1.0
