"""What the trap maker exchanges, and what it must leave alone. The lists are the benchmark's own: they must never be
those of the guards that they try.
"""

SPELLED = "two three four five six seven eight nine ten twelve fifteen twenty thirty fifty".split()
COUNTED = (
    "years? months? weeks? days? hours? minutes? people persons times kids children questions things ways steps books "
    "words marks pages players members countries languages types numbers"
).split()
"""Patterns of what a spelled number counts."""

UNITS = [
    ("kilometers", "miles"), ("kilometres", "miles"), ("km", "miles"), ("kg", "pounds"), ("kilograms", "pounds"),
    ("kgs", "lbs"), ("grams", "ounces"), ("litres", "gallons"), ("liters", "gallons"), ("meters", "feet"),
    ("cm", "inches"), ("celsius", "fahrenheit"), ("dollars", "euros"), ("rupees", "dollars"), ("pounds", "kilograms"),
    ("euros", "dollars"), ("seconds", "hours"), ("minutes", "hours"), ("hours", "days"), ("days", "weeks"),
    ("weeks", "months"), ("months", "years"), ("years", "months"), ("gb", "mb"), ("mb", "gb"), ("mph", "kmh"),
    ("inches", "centimeters"), ("feet", "meters"), ("miles", "kilometers"), ("lakhs", "crores"), ("lakh", "crore"),
    ("million", "billion"), ("billion", "million"), ("cents", "dollars"), ("usd", "inr"), ("inr", "usd"),
    ("watts", "volts"),
]  # fmt: skip
UNITS_OF_THEIR_OWN = frozenset("celsius dollars rupees kilometers miles kg usd inr euros".split())
"""Units after "in" and "per": the others are too often something else there."""

MONTHS = "January February April June July September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
RELATIVE = [
    ("today", "yesterday"), ("tomorrow", "today"), ("yesterday", "tomorrow"), ("tonight", "tomorrow"),
    ("last year", "this year"), ("this year", "next year"), ("next year", "last year"), ("last month", "next month"),
    ("this month", "last month"), ("next month", "this month"), ("last week", "next week"), ("this week", "last week"),
    ("next week", "this week"),
]  # fmt: skip

ENTITIES = [
    (
        "India China Japan Germany France Brazil Canada Australia Russia Mexico Spain Italy Sweden Norway "
        "Pakistan Nepal Bangladesh Egypt Kenya Nigeria Turkey Iran Iraq Israel Poland Portugal Greece Ireland "
        "Singapore Malaysia Indonesia Thailand Vietnam Philippines Ukraine Switzerland Austria Belgium "
        "Denmark Finland Argentina Chile Colombia Peru Ghana Ethiopia Morocco Algeria Tunisia Lebanon Jordan "
        "Oman Qatar Kuwait Bahrain Mongolia Myanmar Cambodia Fiji Cuba Jamaica"
    ),
    (
        "London Paris Berlin Tokyo Mumbai Delhi Bangalore Chennai Hyderabad Pune Kolkata Boston Chicago "
        "Seattle Houston Dallas Toronto Vancouver Montreal Sydney Melbourne Dubai Beijing Shanghai Moscow "
        "Madrid Barcelona Rome Milan Vienna Prague Dublin Amsterdam Brussels Copenhagen Oslo Stockholm "
        "Helsinki Warsaw Budapest Istanbul Cairo Lagos Nairobi Karachi Lahore Dhaka Kathmandu Jakarta Manila "
        "Bangkok Hanoi Seoul Jaipur Lucknow Indore Bhopal Nagpur Surat Patna Noida Gurgaon Kochi Coimbatore "
        "Austin Denver Atlanta Miami Phoenix Portland"
    ),
    (
        "Google Apple Microsoft Amazon Facebook Netflix Tesla Uber Samsung Sony Intel IBM Oracle Cisco Adobe "
        "Infosys TCS Wipro Accenture Deloitte Flipkart Snapdeal Paytm Walmart Target Starbucks Toyota Honda "
        "BMW Audi Nike Adidas Twitter Instagram Snapchat WhatsApp LinkedIn Quora Reddit Tumblr Pinterest "
        "YouTube Spotify Dropbox Airbnb Goldman Citibank HSBC Barclays HDFC ICICI"
    ),
    (
        "Python Java JavaScript Ruby Perl Scala Swift Kotlin PHP Haskell MATLAB Django Rails Angular React "
        "Hadoop Spark Docker Linux Windows Ubuntu Android"
    ),
    (
        "English Spanish French German Italian Japanese Chinese Korean Arabic Hindi Russian Portuguese Tamil "
        "Telugu Bengali Urdu Marathi Sanskrit Latin Dutch Swedish"
    ),
    (
        "Trump Clinton Obama Modi Gandhi Putin Kejriwal Nehru Hitler Stalin Churchill Einstein Newton "
        "Shakespeare Napoleon Lincoln Kennedy Messi Ronaldo Kohli Dhoni Tendulkar Federer Nadal Beyonce "
        "Eminem Rihanna Madonna"
    ),
    (
        "Harvard Stanford MIT Yale Princeton Oxford Cambridge Berkeley Columbia Cornell Caltech UCLA NYU IIT "
        "NIT BITS VIT IIM Wharton INSEAD"
    ),
    "Hinduism Islam Christianity Buddhism Judaism Sikhism Jainism",
    "physics chemistry biology economics psychology philosophy sociology history geography algebra calculus",
]
"""Names of a kind, any of which wants another answer."""
WORDS_TOO = frozenset(
    "apple target turkey amazon spark swift react rails scala oracle ruby windows chile phoenix portland jordan bits "
    "columbia".split()
)
"""Names that are something else in small letters."""

DIRECTIONS = [
    ("before", "after"), ("without", "with"), ("increase", "decrease"), ("increasing", "decreasing"), ("buy", "sell"),
    ("buying", "selling"), ("best", "worst"), ("more than", "less than"), ("better than", "worse than"),
    ("above", "below"), ("gain", "lose"), ("import", "export"), ("advantages", "disadvantages"), ("pros", "cons"),
    ("highest", "lowest"), ("largest", "smallest"), ("biggest", "smallest"), ("cheapest", "most expensive"),
    ("fastest", "slowest"), ("open", "close"), ("install", "uninstall"), ("enable", "disable"),
    ("download", "upload"), ("start", "stop"), ("add", "remove"), ("accept", "reject"), ("send", "receive"),
    ("borrow", "lend"), ("win", "lose"), ("love", "hate"), ("rich", "poor"), ("hot", "cold"),
    ("maximum", "minimum"), ("positive", "negative"), ("benefits", "drawbacks"), ("strong", "weak"),
    ("deposit", "withdraw"), ("upgrade", "downgrade"), ("tallest", "shortest"), ("longest", "shortest"),
    ("oldest", "youngest"), ("older", "younger"), ("easy", "difficult"), ("male", "female"), ("men", "women"),
    ("girlfriend", "boyfriend"), ("husband", "wife"), ("father", "mother"), ("brother", "sister"),
    ("under", "over"), ("inside", "outside"), ("include", "exclude"), ("expensive", "cheap"), ("faster", "slower"),
    ("higher", "lower"), ("block", "unblock"), ("lock", "unlock"), ("first", "last"),
]  # fmt: skip
OF_MANY_USES = frozenset("love open like over under with first last hot start".split())
NO_PLACES = frozenset("the a my one scratch time".split())
"""In "from ... to ...", words that change places to no effect."""

ADJECTIVES = [
    ("legal", "illegal"), ("possible", "impossible"), ("safe", "unsafe"), ("healthy", "unhealthy"),
    ("happy", "unhappy"), ("normal", "abnormal"), ("necessary", "unnecessary"), ("ethical", "unethical"),
    ("moral", "immoral"), ("fair", "unfair"), ("common", "uncommon"), ("popular", "unpopular"),
    ("honest", "dishonest"), ("married", "unmarried"), ("known", "unknown"), ("employed", "unemployed"),
    ("successful", "unsuccessful"), ("rational", "irrational"), ("organic", "inorganic"),
    ("verified", "unverified"),
]  # fmt: skip

_COUNT = r"(?=\d|one|two|three)"
QUANTIFIERS = [
    (rf"at least {_COUNT}", "at most "), (r"\bat most\b", "at least"),
    (r"\ball (?=the |of |my |your |people|men|women|humans|animals|\w+s\b)", "none of "), (r"\balways\b", "never"),
    (r"\bnever\b", "always"), (r"\bsometimes\b", "always"),
    (r"\bmost (?=people|men|women|indians|americans|of |countries|students|girls|guys)", "few "),
    (r"\bboth\b", "neither"), (r"\beveryone\b", "nobody"), (r"\beverybody\b", "nobody"), (r"\bevery (?=\w+)", "no "),
    (r"\bonly (?=\w+)", "not only "), (r"\bsome people\b", "all people"), (r"\bmany people\b", "no people"),
    (r"\bminimum\b", "maximum"), (r"\bmaximum\b", "minimum"), (r"\bnobody\b", "everybody"),
    (r"\bno one\b", "everyone"), (r"\bhalf\b", "all"), (rf"\bmore than {_COUNT}", "at most "),
    (rf"\bless than {_COUNT}", "at least "),
    (r"\ball (?=people|men|women|humans|animals|indians|americans|muslims|girls|guys|dogs|cats)", "some "),
]  # fmt: skip
