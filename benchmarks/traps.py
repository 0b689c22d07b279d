"""Questions that look alike and want different answers, made by rule from real ones: a number, a unit, a date, a name, a
direction, a negation or a quantifier is changed. Only changes that must change the answer are kept. The lists here are
the benchmark's own; they must never be those of the guards that they try.

python benchmarks/traps.py --data DIR [--each 1200] [--show 5]     # how many of each kind, with examples
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trap:
    """A real question, and one that its answer must not be served for."""

    question: str
    changed: str
    kind: str


Change = Callable[[str, random.Random], str | None]

_IDIOMS = re.compile(
    r"24\s*[/x]\s*7|9/11|50\s*[/-]\s*50|\b101\b|\b[1-5]\s?[dg]\b|\bcatch.22\b|\b\d+\s*[:/]\s*\d+|\b3\.5 ?mm\b|[\\^=<>\[\]{}]|\bmath\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"(?<![\w.,/:$#-])(\d{1,6})(?![\w:/-]|[.,]\d)")
_SPELLED = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "twelve",
    "fifteen",
    "twenty",
    "thirty",
    "fifty",
]
_COUNTED = r"(?:years?|months?|weeks?|days?|hours?|minutes?|people|persons|times|kids|children|questions|things|ways|steps|books|words|marks|pages|players|members|countries|languages|types|numbers)"
_UNITS = [
    ("kilometers", "miles"), ("kilometres", "miles"), ("km", "miles"), ("kg", "pounds"), ("kilograms", "pounds"),
    ("kgs", "lbs"), ("grams", "ounces"), ("litres", "gallons"), ("liters", "gallons"), ("meters", "feet"),
    ("cm", "inches"), ("celsius", "fahrenheit"), ("dollars", "euros"), ("rupees", "dollars"), ("pounds", "kilograms"),
    ("euros", "dollars"), ("seconds", "hours"), ("minutes", "hours"), ("hours", "days"), ("days", "weeks"),
    ("weeks", "months"), ("months", "years"), ("years", "months"), ("gb", "mb"), ("mb", "gb"), ("mph", "kmh"),
    ("inches", "centimeters"), ("feet", "meters"), ("miles", "kilometers"), ("lakhs", "crores"), ("lakh", "crore"),
    ("million", "billion"), ("billion", "million"), ("cents", "dollars"), ("usd", "inr"), ("inr", "usd"), ("watts", "volts"),
]  # fmt: skip
_BEFORE_UNIT = r"(\b(?:\d[\d.,]*|how many|in|per|two|three|four|five|six|seven|eight|nine|ten|few|several)\s*)"
_MONTHS = "January February April June July September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_RELATIVE = [("today", "yesterday"), ("tomorrow", "today"), ("yesterday", "tomorrow"), ("tonight", "tomorrow"),
    ("last year", "this year"), ("this year", "next year"), ("next year", "last year"), ("last month", "next month"),
    ("this month", "last month"), ("next month", "this month"), ("last week", "next week"), ("this week", "last week"),
    ("next week", "this week")]  # fmt: skip
_ENTITIES = [
    "India China Japan Germany France Brazil Canada Australia Russia Mexico Spain Italy Sweden Norway Pakistan Nepal Bangladesh Egypt Kenya Nigeria Turkey Iran Iraq Israel Poland Portugal Greece Ireland Singapore Malaysia Indonesia Thailand Vietnam Philippines Ukraine Switzerland Austria Belgium Denmark Finland Argentina Chile Colombia Peru Ghana Ethiopia Morocco Algeria Tunisia Lebanon Jordan Oman Qatar Kuwait Bahrain Mongolia Myanmar Cambodia Fiji Cuba Jamaica",
    "London Paris Berlin Tokyo Mumbai Delhi Bangalore Chennai Hyderabad Pune Kolkata Boston Chicago Seattle Houston Dallas Toronto Vancouver Montreal Sydney Melbourne Dubai Beijing Shanghai Moscow Madrid Barcelona Rome Milan Vienna Prague Dublin Amsterdam Brussels Copenhagen Oslo Stockholm Helsinki Warsaw Budapest Istanbul Cairo Lagos Nairobi Karachi Lahore Dhaka Kathmandu Jakarta Manila Bangkok Hanoi Seoul Jaipur Lucknow Indore Bhopal Nagpur Surat Patna Noida Gurgaon Kochi Coimbatore Austin Denver Atlanta Miami Phoenix Portland",
    "Google Apple Microsoft Amazon Facebook Netflix Tesla Uber Samsung Sony Intel IBM Oracle Cisco Adobe Infosys TCS Wipro Accenture Deloitte Flipkart Snapdeal Paytm Walmart Target Starbucks Toyota Honda BMW Audi Nike Adidas Twitter Instagram Snapchat WhatsApp LinkedIn Quora Reddit Tumblr Pinterest YouTube Spotify Dropbox Airbnb Goldman Citibank HSBC Barclays HDFC ICICI",
    "Python Java JavaScript Ruby Perl Scala Swift Kotlin PHP Haskell MATLAB Django Rails Angular React Hadoop Spark Docker Linux Windows Ubuntu Android",
    "English Spanish French German Italian Japanese Chinese Korean Arabic Hindi Russian Portuguese Tamil Telugu Bengali Urdu Marathi Sanskrit Latin Dutch Swedish",
    "Trump Clinton Obama Modi Gandhi Putin Kejriwal Nehru Hitler Stalin Churchill Einstein Newton Shakespeare Napoleon Lincoln Kennedy Messi Ronaldo Kohli Dhoni Tendulkar Federer Nadal Beyonce Eminem Rihanna Madonna",
    "Harvard Stanford MIT Yale Princeton Oxford Cambridge Berkeley Columbia Cornell Caltech UCLA NYU IIT NIT BITS VIT IIM Wharton INSEAD",
    "Hinduism Islam Christianity Buddhism Judaism Sikhism Jainism",
    "physics chemistry biology economics psychology philosophy sociology history geography algebra calculus",
]  # fmt: skip
_DIRECTIONS = [
    ("before", "after"), ("without", "with"), ("increase", "decrease"), ("increasing", "decreasing"), ("buy", "sell"),
    ("buying", "selling"), ("best", "worst"), ("more than", "less than"), ("better than", "worse than"), ("above", "below"),
    ("gain", "lose"), ("import", "export"), ("advantages", "disadvantages"), ("pros", "cons"), ("highest", "lowest"),
    ("largest", "smallest"), ("biggest", "smallest"), ("cheapest", "most expensive"), ("fastest", "slowest"), ("open", "close"),
    ("install", "uninstall"), ("enable", "disable"), ("download", "upload"), ("start", "stop"), ("add", "remove"), ("accept", "reject"),
    ("send", "receive"), ("borrow", "lend"), ("win", "lose"), ("love", "hate"), ("rich", "poor"), ("hot", "cold"), ("maximum", "minimum"),
    ("positive", "negative"), ("benefits", "drawbacks"), ("strong", "weak"), ("deposit", "withdraw"), ("upgrade", "downgrade"),
    ("tallest", "shortest"), ("longest", "shortest"), ("oldest", "youngest"), ("older", "younger"), ("easy", "difficult"), ("male", "female"),
    ("men", "women"), ("girlfriend", "boyfriend"), ("husband", "wife"), ("father", "mother"), ("brother", "sister"), ("under", "over"), ("inside", "outside"),
    ("include", "exclude"), ("expensive", "cheap"), ("faster", "slower"), ("higher", "lower"), ("block", "unblock"), ("lock", "unlock"), ("first", "last"),
]  # fmt: skip
_ADJECTIVES = [
    ("legal", "illegal"), ("possible", "impossible"), ("safe", "unsafe"), ("healthy", "unhealthy"), ("happy", "unhappy"),
    ("normal", "abnormal"), ("necessary", "unnecessary"), ("ethical", "unethical"), ("moral", "immoral"), ("fair", "unfair"),
    ("common", "uncommon"), ("popular", "unpopular"), ("honest", "dishonest"), ("married", "unmarried"), ("known", "unknown"),
    ("employed", "unemployed"), ("successful", "unsuccessful"), ("rational", "irrational"), ("organic", "inorganic"), ("verified", "unverified"),
]  # fmt: skip
_QUANTIFIERS = [
    (r"at least (?=\d|one|two|three)", "at most "), (r"\bat most\b", "at least"), (r"\ball (?=the |of |my |your |people|men|women|humans|animals|\w+s\b)", "none of "),
    (r"\balways\b", "never"), (r"\bnever\b", "always"), (r"\bsometimes\b", "always"), (r"\bmost (?=people|men|women|indians|americans|of |countries|students|girls|guys)", "few "),
    (r"\bboth\b", "neither"), (r"\beveryone\b", "nobody"), (r"\beverybody\b", "nobody"), (r"\bevery (?=\w+)", "no "), (r"\bonly (?=\w+)", "not only "),
    (r"\bsome people\b", "all people"), (r"\bmany people\b", "no people"), (r"\bminimum\b", "maximum"), (r"\bmaximum\b", "minimum"), (r"\bnobody\b", "everybody"), (r"\bno one\b", "everyone"), (r"\bhalf\b", "all"),
    (r"\bmore than (?=\d|one|two|three)", "at most "), (r"\bless than (?=\d|one|two|three)", "at least "), (r"\ball (?=people|men|women|humans|animals|indians|americans|muslims|girls|guys|dogs|cats)", "some "),
]  # fmt: skip
_RHETORICAL = re.compile(
    r"^\s*(?:\w+n't|\w+nt|is not|are not|can not|cannot|why not|how not)\b|or not|not only|whether|don'?t (?:know|you|we)|not sure|why (?:don'?t|doesn'?t) (?:you|we|quora)|if not|not just|no longer|can'?t (?:find|seem)",
    re.IGNORECASE,
)


def _number(question: str, rng: random.Random) -> str | None:
    if _IDIOMS.search(question):
        return None
    found = [m for m in _WHOLE.finditer(question) if not re.fullmatch(r"1[5-9]\d\d|20\d\d|[01]", m[1])]
    if found:
        chosen = rng.choice(found)
        old = int(chosen[1])
        new = rng.choice(
            [n for n in (old + 1, old + 3, old * 2, old * 10, max(2, old // 2), old - 1) if n > 1 and n != old]
        )
        return question[: chosen.start(1)] + str(new) + question[chosen.end(1) :]
    spelled = re.search(rf"\b({'|'.join(_SPELLED)}) (?={_COUNTED}\b)", question, re.IGNORECASE)
    if not spelled:
        return None
    new_word = rng.choice([word for word in _SPELLED if word != spelled[1].lower()])
    return question[: spelled.start(1)] + new_word + question[spelled.end(1) :]


def _unit(question: str, rng: random.Random) -> str | None:
    options = []
    for old, new in _UNITS:
        for found in re.finditer(rf"{_BEFORE_UNIT}({old})\b", question, re.IGNORECASE):
            if found[1].strip().lower() not in ("in", "per") or old in (
                "celsius",
                "dollars",
                "rupees",
                "kilometers",
                "miles",
                "kg",
                "usd",
                "inr",
                "euros",
            ):
                options.append(question[: found.start(2)] + new + question[found.end(2) :])
    return rng.choice(options) if options else None


def _date(question: str, rng: random.Random) -> str | None:
    options = []
    for found in re.finditer(r"(?<![\w.,$-])(19[5-9]\d|20[0-3]\d)(?![\w-]|[.,]\d)", question):
        year = int(found[1]) + rng.choice((-2, -1, 1, 2))
        options.append(question[: found.start(1)] + str(year) + question[found.end(1) :])
    for group in (_MONTHS, _DAYS):
        for found in re.finditer(rf"\b({'|'.join(group)})\b", question):
            other = rng.choice([name for name in group if name != found[1]])
            options.append(question[: found.start(1)] + other + question[found.end(1) :])
    for old, new in _RELATIVE:
        for found in re.finditer(rf"\b{old}\b(?!')", question, re.IGNORECASE):
            options.append(question[: found.start()] + new + question[found.end() :])
    return rng.choice(options) if options else None


def _entity(question: str, rng: random.Random) -> str | None:
    options = []
    for group in _ENTITIES:
        names = group.split()
        present = {name for name in names if re.search(rf"\b{name}\b", question, re.IGNORECASE)}
        for found in re.finditer(rf"(?<![-.'])\b({'|'.join(names)})\b(?!['-]\w*-)", question, re.IGNORECASE):
            if found[1].islower() and found[1] in (
                "apple",
                "target",
                "turkey",
                "amazon",
                "spark",
                "swift",
                "react",
                "rails",
                "scala",
                "oracle",
                "ruby",
                "windows",
                "chile",
                "phoenix",
                "portland",
                "jordan",
                "bits",
                "columbia",
            ):
                continue
            other = rng.choice([name for name in names if name not in present])
            other = other.lower() if found[1].islower() else other
            options.append(question[: found.start(1)] + other + question[found.end(1) :])
    return rng.choice(options) if options else None


def _direction(question: str, rng: random.Random) -> str | None:
    options = []
    if found := re.search(r"\bfrom (\w+) to (\w+)\b(?! \w+ (?:to|from)\b)", question):
        if found[1].lower() != found[2].lower() and not {found[1].lower(), found[2].lower()} & {
            "the",
            "a",
            "my",
            "one",
            "scratch",
            "time",
        }:
            options.append(f"{question[: found.start(1)]}{found[2]} to {found[1]}{question[found.end(2) :]}")
    if found := re.search(r"\b([A-Z]\w+) (\w+er|more \w+|less \w+|better|worse) than ([A-Z]\w+)\b", question):
        options.append(f"{question[: found.start(1)]}{found[3]} {found[2]} than {found[1]}{question[found.end(3) :]}")
    for pair in _DIRECTIONS:
        for old, new in (pair, pair[::-1]):
            if re.search(rf"\b{new}\b", question, re.IGNORECASE):
                continue
            found = re.search(rf"\b{old}\b(?! (?:of all|time|or|and|to go|hand|name|step)\b)", question, re.IGNORECASE)
            if found and not (
                old in ("love", "open", "like", "over", "under", "with", "first", "last", "hot", "start")
                and not _safe_place(question, found, old)
            ):
                options.append(question[: found.start()] + new + question[found.end() :])
    return rng.choice(options) if options else None


def _safe_place(question: str, found: re.Match[str], old: str) -> bool:
    """Tell whether a word of many uses is used in the sense that its opposite has."""
    after = question[found.end() :].lstrip().lower()
    if old in ("over", "under"):
        return after[:1].isdigit() or after[:1] in "$€₹"
    if old == "with":
        return bool(re.match(r"(?:a|an|my|any) \w+|\w+ing\b", after)) and not re.search(
            r"\b(?:deal|do|wrong|happen|fall|falling|sex|sleep|break|up|compare|start|begin|come|go|problem|relationship|cope|love|agree|talk|date|dating) $",
            question[: found.start()].lower(),
        )
    if old in ("first", "last"):
        return bool(
            re.match(
                r"(?:president|man|woman|king|emperor|person|country|episode|season|movie|book|world war|prime)", after
            )
        )
    return False


def _negation(question: str, rng: random.Random) -> str | None:
    options = []
    if _RHETORICAL.search(question):
        return None
    for old, new in (*_ADJECTIVES, *(pair[::-1] for pair in _ADJECTIVES)):
        found = re.search(rf"\b{old}\b(?! or\b)", question, re.IGNORECASE)
        if found and not re.search(
            rf"\b{new}\b|(?:more|most|well|be|far|as|how|lesser) {old}\b|if possible", question, re.IGNORECASE
        ):
            options.append(question[: found.start()] + new + question[found.end() :])
    if found := re.search(
        r"^(?:why|which|what)\b.{0,40}?\b(do|does|did|is|are|was|were|can|should|would|will) ((?:the |some |most |many |my |people in )?\w+) (?=\w+)",
        question,
        re.IGNORECASE,
    ):
        first = question.split()[0].lower()
        if first == "why" and not re.search(r"\b(?:not|never|no)\b|n't", question, re.IGNORECASE):
            options.append(question[: found.end(2)] + " not" + question[found.end(2) :])
    if found := re.search(r"^(what|which) (?:\w+ ){0,3}(should|can|must) (\w+) (?=\w+)", question, re.IGNORECASE):
        options.append(question[: found.end(3)] + " not" + question[found.end(3) :])
    if found := re.search(r"\b(is|are|was|were|does|do|did|would|will|could|should|has|have)(?:n't| not) ", question):
        if re.match(r"\s*(?:why|what|which|how|who)", question, re.IGNORECASE):
            options.append(question[: found.end(1)] + " " + question[found.end() :])
    if found := re.search(r"^should (\w+) (?=\w+)", question, re.IGNORECASE):
        options.append(question[: found.end(1)] + " never" + question[found.end(1) :])
    return rng.choice(options) if options else None


def _quantifier(question: str, rng: random.Random) -> str | None:
    options = []
    for pattern, new in _QUANTIFIERS:
        found = re.search(pattern, question, re.IGNORECASE)
        if found and not re.search(
            r"not all|after all|at all|all time|all over|best of all|all about|first of all|all of a sudden|half-|if only|only if|every time|every day|every other|all the best|what all|almost|all the (?:way|time)|once and for all",
            question,
            re.IGNORECASE,
        ):
            options.append(question[: found.start()] + new + question[found.end() :])
    return rng.choice(options) if options else None


CHANGES: dict[str, Change] = {
    "number": _number, "unit": _unit, "date": _date, "entity": _entity, "direction": _direction, "negation": _negation,
    "quantifier": _quantifier,
}  # fmt: skip


def traps(questions: Sequence[str], *, each: int, seed: int = 0) -> Iterator[Trap]:
    """Make up to `each` traps of every kind, from `questions` in an order that `seed` fixes; one a question and kind."""
    order = sorted(set(questions))
    random.Random(seed).shuffle(order)
    for kind, change in CHANGES.items():
        rng = random.Random(f"{seed} {kind}")
        made = 0
        for question in order:
            if made == each:
                break
            changed = change(question, rng) if len(question) < 300 else None
            if changed and changed.casefold() != question.casefold():
                made += 1
                yield Trap(question, changed, kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds pairs.jsonl.gz")
    parser.add_argument("--each", type=int, default=1200)
    parser.add_argument("--show", type=int, default=5)
    options = parser.parse_args()
    with gzip.open(options.data / "pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    made = list(
        traps([text for row in rows if row["source"] == "qqp" for text in (row["a"], row["b"])], each=options.each)
    )
    for kind in CHANGES:
        for trap in [trap for trap in made if trap.kind == kind][: options.show]:
            print(f"{kind}: {trap.question}  ->  {trap.changed}")
    print(json.dumps({"n": len(made), **Counter(trap.kind for trap in made)}))


if __name__ == "__main__":
    main()
