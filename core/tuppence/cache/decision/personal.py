"""Questions whose answer holds data of one person or one moment, and so may serve nobody else and no later time.

"How do I change my password?" is advice and may be shared; "What is my balance?" and "Is it raining?" may not. It goes
by how a question is worded, in English, and never sees the answer: it must not be taken for the wall between two
tenants, which is the scope.
"""

from __future__ import annotations

import re

from tuppence.cache.decision.tokens import sentences_of

_LOOKED_AT_CHARS = 2_000
_FACT = r"(?:what|which|where|when|who|howmuch|howmany|howlong|howfar|howold)"
"""Opens a question for a fact; `tokens` writes "how much" as one word, and "at what time" as "when"."""
_ORDER = r"(?:show|check|list|read|track|find|display|open|get|give me|tell me|look up|pull up|status of)"
_HELD = (
    r"(?:accounts?|address|age|alarms?|applications?|appointments?|balances?|bills?|birthday|bookings?|calendar|calls?|"
    r"cards?|cart|case|claims?|contacts?|data|deliver(?:y|ies)|deposits?|documents?|emails?|expenses|files|flights?|"
    r"gate|grades?|heart rate|height|iban|inbox|income|invoices?|ip|limits?|lists?|loan|location|luggage|meetings?|"
    r"messages?|mortgage|name|notes|notifications?|numbers?|orders?|packages?|parcels?|passcode|password|payments?|"
    r"payslips?|pension|photos|pin|plan|playlists?|points|portfolio|prescriptions?|purchases?|refunds?|reminders?|"
    r"reservations?|results?|salary|savings|schedule|score|seat|shifts?|shipments?|shopping list|spending|statements?|"
    r"steps|subscriptions?|symptoms|tasks?|taxes|tickets?|to do list|todos?|train|transactions?|transfers?|trips?|"
    r"usage|username|vacation days|weight)"
)
"""What a provider, an employer or a device holds of a person."""
_MINE = rf"(?:my|our)(?: \w+){{0,2}}? {_HELD}\b"
_PERSONAL = (
    re.compile(
        rf"^{_FACT}(?!.* (?:if|need|for) )(?: \w+){{0,2}}? (?:is|are|was|were|do|does|did|will|has|have)"
        rf"(?: \w+){{0,4}}? {_MINE}"
    ),
    re.compile(rf"^(?:{_FACT}(?: \w+){{0,3}}? )?{_MINE}(?: is| are)?$"),
    re.compile(rf"^{_ORDER}(?: me)?(?: \w+){{0,3}}? {_MINE}"),
    re.compile(
        rf"^(?:has|have|did|is|are|was|were) {_MINE} (?:\w+ ){{0,2}}?"
        r"(?:arrived?|shipped|sent|delivered|due|overdue|ready|late|delayed|on time|confirmed|approved|paid|processed|"
        r"go through|gone through|come|expired?|active|cancelled)\b"
    ),
    re.compile(
        rf"^{_FACT}(?: \w+){{0,3}}? (?:do|did|have|am|was|will) (?:i|we) (?:\w+ )?"
        r"(?:(?:owe|spend|spent|earn|buy|bought|order|ordered|say|said|weigh|get paid)\b|"
        r"(?:have|left|make|pay|paid|save|saved|use|used|live|work|due|scheduled|booked|have left)$)"
    ),
    re.compile(
        r"^(?:do|did|have|am|are|was|were) (?:i|we) (?:\w+ ){0,2}?"
        r"(?:meetings?|appointments?|emails?|messages?|events?|reminders?|alarms?|scheduled|booked|free|busy|"
        r"overdrawn|subscribed|registered|logged in|login)\b"
    ),
    re.compile(
        r"^(?:is|are) there (?:any )?(?:new )?(?:emails?|messages?|meetings?|appointments?|reminders?|alarms?)\b"
    ),
    re.compile(r"^(?:who|where) am i$|^what is my \w+$|\b(?:near|nearest to|closest to|around) me$|\bnearby$"),
    re.compile(
        rf"^{_ORDER} (?:\w+ ){{0,3}}?(?:emails?|inbox|calendar|meetings?|appointments?|reminders?|alarms?|schedule)$"
    ),
    # Things to be done: the answer says that they were.
    re.compile(
        r"^(?:(?:.+ )?remind (?:me|us)|wake me|(?:.+ )?(?:set|create|make|add|put|place) (?:\w+ ){0,2}?"
        r"(?:alarm|timer|reminder)|"
        r"(?:re)?schedule (?:an?|the|my)|book (?:me|an?|my|the)|add .+ to (?:my|the) \w+|"
        r"(?:call|text|email|message) (?:my|mom|mum|dad|him|her|them)|cancel (?:my|the|all) (?:\w+ )?"
        r"(?:meetings?|appointments?|alarms?|reservations?|events?))\b"
    ),
)
_ADVICE = re.compile(
    rf"^(?:how|why|{_FACT} (?:\w+ )?(?:can|could|should|must|would|might|to)|can|could|should|may|"
    r"is it \w+ to|is it \w+ for)\b"
)

_MOMENT = re.compile(
    r"\bnow$|\b(?:today|tonight|tomorrow|yesterday|currently|this (?:morning|afternoon|evening|week|weekend|hour)|"
    r"(?:next|last) (?:week|night|weekend)|so far)\b"
)
_OF_THE_AGE = re.compile(
    r"\btoday (?:world|society|youths?|generation|age|kids|students|life|economy|technology)\b"
    r"|\b(?:of|in) today\b|\b(?:until|till|up to|by|from) now\b|\bnow a days\b"
)
_ASKS_A_STATE = re.compile(
    rf"^(?:{_FACT}|{_ORDER}|is|are|was|were|will|has|have|does|did|any|how (?:is|are|was|will|hot|cold)|weather|news)\b"
)
_BY_THE_HOUR = re.compile(
    r"^(?!how do|why)"
    r"(?:(?:what|how) (?:is|will|are)|will there be|is there|any|check|get|find|current)? ?(?:\w+ ){0,3}?"
    r"(?:weather|forecast|traffic|news|headlines)(?: (?:like|be|report|update|forecast|in|for|on|near|at|there|outside|"
    r"here|about|from|of) ?.*)?$"
    r"|^when is it(?: (?:now|there|(?:in|on|at) .+))*$"
    r"|^what is the (?:current |exact )?(?:time(?! (?:frame|limit|line|difference))|date|day)\b"
    r"|^(?:is it|will it|is it going to) (?:be )?(?:rain|snow|sunny|cold|hot|warm|windy|cloudy)\w*\b"
    r"|^(?:what|who|which|where|howmuch|howmany)\b.*\b(?:current|latest|newest|most recent|live|real time)(?! "
    r"account)\b"
    r"|^(?:(?:what|howmuch|how) (?:is|are) (?:the )?)?(?:\w+ ){0,2}?(?:(?:stock|share) prices?|exchange rates?)"
    r"(?: (?:of|for|from|between|in|to|now) .+)?$"
    r"|^(?:who|what) is (?:winning|playing|on tv|trending)\b"
    r"|^what is (?:happening|going on) (?:in|at|around)\b"
)


def unshareable(question: str) -> str | None:
    """Say why the answer to `question` holds data of one person or one moment, or return None where it may be shared.

    "I paid this morning and it was declined, why?" may be shared: its moment is told, not asked for.
    """
    for sentence in sentences_of(question[:_LOOKED_AT_CHARS]):
        advice = _ADVICE.match(sentence)
        if not advice and (found := next(filter(None, (p.search(sentence) for p in _PERSONAL)), None)):
            return f"personal: '{found.group()}' is about one person"
        if found := _BY_THE_HOUR.search(sentence):
            return f"time-bound: '{found.group()}' changes by the hour"
        moment = _MOMENT.search(_OF_THE_AGE.sub("", sentence))
        if moment and not advice and _ASKS_A_STATE.match(sentence):
            return f"time-bound: '{moment.group()}' is another time tomorrow"
    return None
