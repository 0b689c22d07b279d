"""Questions whose answer holds data of one person or one moment, and so may serve nobody else and no later time.

"How do I change my password?" is advice and may be shared; "What is my balance?" and "What is the weather?" may not. It
goes by how a question is worded and never sees the answer, so it must not be the only wall between two tenants: scopes
are.
"""

from __future__ import annotations

import re

# What somebody has of their own with a provider, an employer or a device: a question for its value has one asker.
_OWN = (
    r"(?:\w+ ){0,2}?(?:account|order|orders|balance|booking|reservation|appointment|appointments|schedule|calendar|"
    r"meetings?|emails?|inbox|messages?|mails?|package|parcel|delivery|shipment|refund|invoice|invoices|bill|bills|"
    r"statement|payslip|salary|grades?|results?|score|points|subscription|plan|ticket|tickets|claim|application|case|"
    r"location|address|name|age|birthday|number|pin|iban|limit|usage|data|transactions?|payments?|purchases?|spending|"
    r"expenses|savings|portfolio|flight|train|trip|seat|todo|to-do|to do|list|lists|playlist|alarms?|reminders?|"
    r"contacts?|"
    r"notes?|files?|documents?|photos?|password|username|vacation days|leave|shift|shifts|prescription|prescriptions|"
    r"test results|symptoms|car|phone|card|cards|deposit|mortgage|loan|pension|tax|taxes|steps|heart rate|weight)\b"
)
_VALUE = (
    r"(?:what(?:'s| is| was| are| were)|where(?:'s| is| are| was)|when(?:'s| is| are| was| does| do| did| will)|"
    r"how much (?:is|are|was)|how many|which (?:is|are)|who(?:'s| is)|show(?: me)?|read(?: me)?|list|display|check|"
    r"look up|find|get(?: me)?|pull up|open|tell me(?: about)?|give me|track|send me|status of|"
    r"is|are|was|were|has|have|did|does|will)"
)
_PERSONAL = (
    # An asker's own value: "what is the status of my order", "has my parcel been shipped".
    re.compile(
        rf"\b{_VALUE}(?: there)?(?: any)?(?: the)?(?: current| latest| last| next| new| remaining| total)*"
        rf"(?: \w+){{0,2}}?(?: of| on| in| for| about)? (?:my|our) {_OWN}"
    ),
    re.compile(r"\bhow (?:much|many)(?: \w+){0,3} (?:do|did|have|can|am|was|will) (?:i|we) (?:still )?"
               r"(?:owe|have|spend|spent|left|earn|earned|made|make|paid|pay|save|saved|used|use|get paid|due)\b(?! "
               r"to\b)"),
    re.compile(r"\b(?:do|did|have|am|are|was|were) (?:i|we) (?:have |got |get |already |still |been |any |a |an )*"
               r"(?:meetings?|appointments?|emails?|messages?|mails?|calls?|events?|reminders?|alarms?|plans|scheduled|"
               r"booked|free|available|eligible|overdrawn|subscribed|registered|logged in)\b"),
    re.compile(r"\b(?:who am i|where am i|where do i (?:live|work)|what(?:'s| is) my|when(?:'s| is) my|"
               r"what did i (?:say|ask|buy|order|tell|do|write|send)|do you (?:remember|know) (?:me|my))\b"),
    re.compile(r"\bremind (?:me|us)\b|\b(?:set|create|cancel|delete|remove|add|schedule|book|move|reschedule|change)"
               r"(?: an?| the| my| our| me)?(?: new)? (?:\w+ )?(?:alarm|timer|reminder|meeting|appointment|"
               r"event)\b(?!s? (?:in|on) "
               r"(?:outlook|google|teams|excel))"),
)  # fmt: skip
_ADVICE = re.compile(
    r"\b(?:how (?:do|can|could|should|would|might|to|does one|must|shall|will)|why|what if|what happens|is it "
    r"(?:possible|safe|ok|okay|legal|"
    r"normal|necessary|allowed)|can i|could i|may i|should i|do i need|do i have to|what (?:do|should|can|could|"
    r"must) i do|"
    r"what(?:'s| is| are) (?:the|some|a|an) (?:best|good|easiest|fastest|safest|cheapest|proper|right|difference|way|"
    r"ways|"
    r"procedure|process|steps?|reason|reasons|purpose|meaning)|where (?:can|do|should) i|when (?:can|should) i|who "
    r"(?:can|should)|"
    r"which \w+ should|best way|tips|advice|ideas?)\b"
)
# A moment: the answer is another one tomorrow.
_NOW = re.compile(
    r"\b(?:right now|at the moment|at this moment|today(?:'s)?|tonight(?:'s)?|tomorrow(?:'s)?|yesterday(?:'s)?|"
    r"this (?:morning|afternoon|evening|week|weekend|hour|minute)|next week|last night|last week|currently (?:open|"
    r"down|"
    r"available|playing|trending|happening|online)|latest (?:news|score|scores|price|update|updates|version|release|"
    r"headlines|results)|breaking news|live score|so far (?:today|this)|as of (?:now|today)|up to the minute|real[- "
    r"]time)\b"
)
_WORLD = re.compile(
    r"\b(?:what(?:'s| is| will be)|how(?:'s| is| will)|tell me|show me|give me|check|get|any|current)\b[^.?!]{0,30}?\b"
    r"(?:weather|forecast|temperature (?:outside|in|at|now|here)|traffic|news|headlines)(?! (?:app|api|service|"
    r"station|balloon|vane|map))\b"
    r"|\bwhat(?:'s| is)? (?:the )?(?:current |exact )?(?:time|date|day)(?: is it)?(?: now| today| in [\w "
    r"]+)?\s*(?:please)?\s*\??$"
    r"|\bwhat time is it\b|\bis it (?:raining|snowing|sunny|cold outside|hot outside)\b|\bwill it (?:rain|snow|be "
    r"sunny)\b"
    r"|\bcurrent (?:price|weather|temperature|rate|exchange rate|stock|value|time|date|score|status|events|affairs|"
    r"location)\b"
    r"|\b(?:stock|share) price of\b|\bexchange rate\b[^.?!]{0,30}\b(?:now|today)?"
    r"|\bwho (?:is|are) (?:winning|playing)\b|\bwhat(?:'s| is) (?:on tv|happening|going on|trending)\b|\bnear(?:by| "
    r"me)\b|\bclosest to me\b"
)
_ABOUT_A_DAY = re.compile(
    r"\b(?:today's (?:world|society|youth|generation|age|youths|kids|students)|in today's|of today)\b"
)


def unshareable(question: str) -> str | None:
    """Say why the answer to `question` holds data of one person or one moment, or return None where it may be "
    "shared."""
    text = " ".join(question.casefold().replace("’", "'").split())
    if found := next(filter(None, (pattern.search(text) for pattern in _PERSONAL)), None):
        advice = _ADVICE.search(text)
        if not advice or advice.start() > found.start():
            return f"personal: '{found.group()}' asks for one person's data"
    if found := _NOW.search(_ABOUT_A_DAY.sub("", text)):
        return f"time-bound: '{found.group()}' has another answer at another time"
    if found := _WORLD.search(text):
        return f"time-bound: '{found.group()}' has another answer at another time"
    return None
