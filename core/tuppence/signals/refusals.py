"""Recognise a refusal by how an answer opens, in fifteen languages. Looks at a bounded opening only, so that a
stream can be let through as soon as that much text has come; it must never look further.

A refusal is the speaker saying that it cannot or will not do what was asked. "The context does not say" and
"I don't know" are answers, not refusals: prompts often ask for them.
"""

from __future__ import annotations

import re

REFUSAL_OPENING_CHARS = 200
"""A refusal shows within this many characters (about 50 tokens): room for a sentence of courtesy ("Thank you for
reaching out. I understand that you need this done.") and the refusal itself. Later it is a remark in an answer."""


def _pattern(*layout: str) -> re.Pattern[str]:
    """Compile a pattern; its line breaks and indents are layout, spaces inside a line are meant."""
    return re.compile("".join(line.strip() for text in layout for line in text.splitlines()))


# Only what an assistant declines to do: "I can't stress enough" or "I can't see any error" are answers.
_VERBS = r"""
(?:help(?! (?:but|it|myself|feeling|thinking|noticing|wondering|loving|smiling)\b)|assist|provide|answer|comply|
fulfil|discuss|disclose|reveal|share|create|generate|write|draft|produce|engage|complete (?:this|that|your|the)|
access|browse|view|respond|process|proceed with (?:this|that|your)|perform|
carry out|promote|participate|offer|advise|accommodate|
continue (?:with|this)|do (?:that|this|so)(?! any ?more| alone| without| justice)|translate|summari[sz]e|execute|
support (?:this|that|your|the)|give (?:you|out|legal|medical|financial|advice|specific|any)|
(?:see|open|read|watch|hear|play) (?:the |any |your |an? )?
(?:attach|image|picture|photo|screenshot|file|link|url|document|video|audio|website|web)|
look (?:that|this|it) up|search the (?:web|internet))
"""
_NOT_QUOTED_I = r"""i(?<![\w"“”'‘’«]i)"""
_ENGLISH = _pattern(
    rf"""{_NOT_QUOTED_I}(?:
    (?: can(?: ?not|['’]t)| won['’]t| will not)
        (?: (?:currently|directly|actually|really|ethically|legally|responsibly|in good conscience))?
        (?: be able to)?[ ]""",
    _VERBS,
    r"""
    |(?:['’]m| am)(?: (?:just|currently|afraid|sorry,?|really))*
        [ ](?:unable|not (?:able|allowed|permitted|authori[sz]ed|designed|programmed|equipped|in a position)) to[ ]""",
    _VERBS,
    r"""
    |(?:['’]m| am) not (?:comfortable|capable of) (?:with|\w+ing)\b
    |(?:(?: will|['’]ll)? have to|['’]m going to have to| must| need to)(?: respectfully| politely)? decline\b
    | (?:don['’]t|do not) (?:feel comfortable|
        (?:currently )?have (?:(?:direct|real-time|any) )?(?:access to|the (?:ability|capability) to))
    )""",
)
_SORRY = _pattern(r"sorry,? (?:but )?(?:can(?:not|['’]t)|unable to|not able to)[ ]", _VERBS)
_UNABLE = _pattern(r"\Aunable to (?:help|assist|comply|fulfil|provide|answer|process)")
_NOT_SOMETHING = _pattern(r"not something (?:that )?i(?:(?:['’]m| am) able to| can)[ ]", _VERBS)
_AGAINST = _pattern(r"against my (?:\w+ ){0,2}(?:guidelines|polic|principles|programming)")
_GERMAN_NOT = r"""(?:\w+ ){0,5}(?:nicht (?:\w+ ){0,3}
    (?:helfen|weiterhelfen|behilflich|beantworten|unterstützen|erfüllen|nachkommen|bereitstellen|erstellen|ausführen|
    verarbeiten|geben|dienen)|keine (?:auskunft|informationen|angaben|hilfe))"""
_GERMAN = _pattern(
    r"kann ich[ ]",
    _GERMAN_NOT,
    r"|ich (?:kann|darf|werde|möchte)[ ]",
    _GERMAN_NOT,
    r"|ich bin (?:\w+ ){0,3}nicht (?:in der lage|befugt|berechtigt)",
)
_FRENCH = _pattern(r"""
    je ne (?:(?:peux|puis|pourrai) (?:malheureusement )?pas|
        suis (?:malheureusement )?pas (?:en mesure|capable|autorisée?))
    [ ](?:de |d['’]|à )?(?:(?:vous|te|y|en|le|la|les) |t['’]|l['’])*
    (?:aider|assister|répondre|fournir|satisfaire|donner|traiter|accéder|générer|créer|effectuer|partager|accomplir)
    |je n['’]ai (?:malheureusement )?pas (?:accès|la capacité|la possibilité)""")
_SPANISH = _pattern(r"""
    no (?:puedo|podr[ée]|me es posible|soy capaz de|estoy (?:autorizad[oa] a|en condiciones de)) (?:(?:te|le|lo) )?
    (?:ayudar|asistir|proporcionar|responder|cumplir|ofrecer|brindar|realizar|generar|crear|acceder|compartir|
    procesar|hacer eso)
    |no tengo (?:acceso|la capacidad)""")
_PORTUGUESE = _pattern(r"""
    n[ãa]o (?:posso|consigo|poderei|sou capaz de|estou autorizad[oa] a|me é possível) (?:(?:te|lhe|o|a) )?
    (?:ajud|auxili|fornec|respond|atend|cumpr|oferec|criar|gerar|acess|compartilh|process|realiz)
    |n[ãa]o tenho (?:acesso|capacidade)""")
_ITALIAN = _pattern(r"""
    non (?:posso|potrò|riesco ad?|mi è possibile|sono (?:in grado di|autorizzat[oa] ad?))
    [ ](?:aiut|assist|forni|rispond|soddisf|offr|crea|gener|acced|condivid|elabor|esegu)
    |non ho (?:accesso|la capacità)""")
_DUTCH_NOT = r"""(?:\w+ ){0,5}niet (?:\w+ ){0,3}
    (?:helpen|assisteren|beantwoorden|voldoen|verstrekken|geven|uitvoeren)"""
_DUTCH = _pattern(
    r"kan ik[ ]", _DUTCH_NOT, r"|ik kan[ ]", _DUTCH_NOT, r"|ik ben (?:\w+ ){0,3}niet (?:in staat|bevoegd)"
)
_POLISH = _pattern(r"""
    nie (?:mogę|potrafię|wolno mi|jestem w stanie) (?:\w+ ){0,2}
    (?:pomóc|udzielić|odpowiedzieć|spełnić|podać|dostarczyć|zrealizować|wygenerować|stworzyć|zapewnić)
    |nie mam dostępu""")

# All refusals below hold a negation with an `n`: not, n't, unable, decline, nicht, keine, ne, no, não, non, niet, nie.
# The engine jumps from one `n` to the next, so that an ordinary answer passes in about a microsecond.
_NEGATION = re.compile(
    r"n['’oieaãs](?:t |n |cht |et |ble |t my|ai |(?<=[oe]) [psaihmet]|o [pcsmt]|e [mpjw]|(?<=decline))"
)
# (what every refusal of the pattern holds, pattern)
_BY_PIECE = (
    ("i ", _ENGLISH),
    ("i'", _ENGLISH),
    ("i’", _ENGLISH),
    ("sorry", _SORRY),
    ("unable", _UNABLE),
    ("not some", _NOT_SOMETHING),
    ("inst my", _AGAINST),
    ("nicht ", _GERMAN),
    ("keine ", _GERMAN),
    ("je n", _FRENCH),
    ("no ", _SPANISH),
    ("não ", _PORTUGUESE),
    ("nao ", _PORTUGUESE),
    ("non ", _ITALIAN),
    ("niet ", _DUTCH),
    ("nie ", _POLISH),
)
# Only asked where there is a character beyond ASCII. Turkish, Russian, Chinese, Japanese, Korean, Arabic, Hindi; the
# first character of each alternative is a literal, so that the engine skips over everything else.
_OTHER_SCRIPTS = _pattern(
    r"yardımcı olam",
    r"""
    |не (?:могу|смогу|в состоянии|имею права|способ\w+) (?:\w+ ){0,3}
        (?:помочь|помогать|ответить|предоставить|выполнить|обсуждать|создать|сгенерировать|поделиться)
    |нет доступа(?<=у меня нет доступа)""",
    r"""
    |抱歉[^。！？\n]{0,12}(?:无法|無法|不能|没办法|沒辦法|没有办法|不可以)
    |对不起[^。！？\n]{0,12}(?:无法|不能|没办法|没有办法|不可以)
    |對不起[^。！？\n]{0,12}(?:無法|不能|沒辦法|沒有辦法|不可以)
    |我(?:无法|無法|不能|没有办法|沒有辦法|没法)[^。！？\n]{0,12}(?:帮助|幫助|帮忙|幫忙|协助|協助|提供|回答|满足|滿足|
        完成|处理|處理|生成|访问|存取|讨论|討論|透露|给出|支持)""",
    r"""
    |申し訳(?:あり|ござい)ません[^\n]{0,60}?(?:できません|できかね|しかね)
    |お手伝い[^。\n]{0,8}(?:でき(?:ません|かね)|しかね)|お答え[^。\n]{0,8}(?:でき(?:ません|かね)|しかね)
    |ご要望に[^。\n]{0,8}(?:でき(?:ません|かね)|しかね)
    |提供(?:すること)?は?(?:でき(?:ません|かね)|いたしかね)|回答(?:すること)?は?(?:でき(?:ません|かね)|いたしかね)""",
    r"""
    |도와 ?드릴 수(?:가|는)? 없|도움을 ?드릴 수(?:가|는)? 없|도울 수(?:가|는)? 없
    |답변(?:해|을)? ?(?:드릴|드리|할) 수(?:가|는)? 없|제공(?:해 ?드릴|할) 수(?:가|는)? 없
    |응답할 수(?:가|는)? 없|요청을 (?:들어드릴|처리할|수행할) 수(?:가|는)? 없""",
    r"""
    |لا (?:أستطيع|يمكنني) (?:\S+ ){0,2}(?:مساعد|المساعدة|تقديم|الإجابة|توفير|تلبية|الرد)
    |لن أتمكن من (?:مساعد|المساعدة|تقديم|الإجابة)""",
    r"""
    |मदद नहीं कर|सहायता नहीं कर|मदद करने में असमर्थ|सहायता करने में असमर्थ|जानकारी नहीं दे सक|उत्तर नहीं दे सक""",
)
# A letter that declines is what the user asked for.
_LETTER = re.compile(r"\s*(?:subject:|dear |(?:hi|hello|hey) [\w .]{1,30},\s*\n)")


def _in_latin_script(opening: str) -> re.Match[str] | None:
    for piece, pattern in _BY_PIECE:
        if piece in opening and (found := pattern.search(opening)):
            return found
    return None


def refusal(text: str) -> str | None:
    """Return the words by which `text` opens as a refusal, lower-cased, or None.

    Reads the first `REFUSAL_OPENING_CHARS` characters; what follows them can never change the outcome.
    """
    opening = text[:REFUSAL_OPENING_CHARS].lower()
    found = _in_latin_script(opening) if _NEGATION.search(opening) else None
    if found is None and not opening.isascii():
        found = _OTHER_SCRIPTS.search(opening)
    if found is None or _LETTER.match(opening):
        return None
    return found.group()
