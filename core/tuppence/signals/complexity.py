"""Guess from a question's text how much of a model it needs. A prior for the first day: no model was trained and no
data set was fitted, so it must never be reported as a measured router.

Six features, each in [0, 1], weigh the same. Equal weights are the robust choice where there is nothing to fit on:
R. M. Dawes, "The robust beauty of improper linear models in decision making", American Psychologist 34 (1979) 571.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tuppence.signals.layout import has_code, has_table
from tuppence.signals.words import count_words

# Beyond this the features are saturated; the middle of a longer text is left out, and the cost stays bounded.
SAMPLE_CHARS = 8_000
# Words at which size is full: about two pages.
FULL_SIZE_WORDS = 1_000
# Three of six features in full are as complex as the score can say: few questions have all six.
FULL_FEATURES = 3.0

_REASONING = re.compile(
    r"\b(?:why|explain|prove|proof|derive|compare|contrast|analy[sz]e|evaluate|critique|assess|justify|design|"
    r"architect|optimi[sz]e|refactor|debug|plan|strategy|trade-?offs?|implications?|step[- ]by[- ]step|thoroughly|"
    r"warum|weshalb|erkläre|beweise|vergleiche|analysiere|begründe|entwirf|pourquoi|explique[rz]?|démontre[rz]?|"
    r"compare[rz]|analyse[rz]|justifie[rz]?|por qué|porqué|explica|demuestra|compara|analiza|justifica|perché|spiega|"
    r"dimostra|confronta|analizza|por que|explique|demonstre|analise|waarom|leg uit|vergelijk|analyseer)\b"
    r"|为什么|解释|证明|比较|分析|设计|推导|為什麼|解釋|證明|比較|なぜ|説明し|証明し|比較し|分析し|왜|설명|증명|비교|분석",
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(
    r"\b(?:must(?: not)?|at (?:least|most)|exactly|without|except|unless|only if|no more than|ensure|"
    r"constraints?|requirements?|muss|mindestens|höchstens|genau|ohne|doit|au moins|au plus|exactement|sans|"
    r"debe|al menos|exactamente|deve|almeno|esattamente|senza|pelo menos|exatamente)\b|必须|至少|最多|必要|少なくとも",
    re.IGNORECASE,
)
_PART = re.compile(r"[?？]|^[ \t]*(?:\d{1,2}[.)]|[-*•]|\([a-z0-9]\))[ \t]", re.MULTILINE)
_MATHEMATICS = re.compile(
    r"\\(?:frac|sum|int|sqrt|begin|left|cdot)\b|[∑∫√≤≥≠∈∀∃π∞±]|\d\s?[-+*/^=×÷<>]\s?[\d(a-z]|\^\s?[\d{(]|\$[^$\n]{1,80}\$|\d+(?:\.\d+)?\s?%"
)


@dataclass(frozen=True, slots=True)
class Complexity:
    """How complex a question looks."""

    score: float
    """In [0, 1]."""
    features: tuple[tuple[str, float], ...]
    """Each feature's name and value in [0, 1]."""

    @property
    def reason(self) -> str:
        """The features that count, largest first."""
        counted = sorted((-value, name) for name, value in self.features if value >= 0.05)
        return ", ".join(f"{name} {-value:.2f}" for value, name in counted) or "nothing that asks for more"


def complexity(text: str) -> Complexity:
    """Score `text` in [0, 1]: the sum of its features over `FULL_FEATURES`, at most 1.

    size: log of the words, full at `FULL_SIZE_WORDS`. reasoning: calls for it, full at 2. parts: questions and list
    items beyond the first, full at 4. mathematics: formulas and sums, full at 3. code: code or a table.
    constraints: full at 3.
    """
    sample = text if len(text) <= SAMPLE_CHARS else f"{text[: SAMPLE_CHARS // 2]}\n{text[-SAMPLE_CHARS // 2 :]}"
    size = math.log1p(count_words(text)) / math.log1p(FULL_SIZE_WORDS)
    features = (
        # Below ten words size says nothing, and a greeting should score 0.
        ("size", min(1.0, max(0.0, (size - 0.35) / 0.65))),
        ("reasoning", _share(_REASONING, sample, full=2)),
        ("parts", max(0.0, min(1.0, (len(_PART.findall(sample)) - 1) / 4))),
        ("mathematics", _share(_MATHEMATICS, sample, full=3)),
        ("code", 1.0 if has_code(sample) or has_table(sample) else 0.0),
        ("constraints", _share(_CONSTRAINT, sample, full=3)),
    )
    return Complexity(min(1.0, sum(value for _, value in features) / FULL_FEATURES), features)


def _share(pattern: re.Pattern[str], text: str, *, full: int) -> float:
    return min(1.0, len(pattern.findall(text)) / full)
