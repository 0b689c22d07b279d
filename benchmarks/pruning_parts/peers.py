"""Other ways to shorten retrieved passages, beside this one, at the same budgets and on the same judged questions.

Frameworks' own run in an environment of theirs (`peer.py`), over a grid of their settings: they choose by sentences or
passages, not by tokens, so each is shown at the setting whose tokens come closest to the budget, with those tokens;
that setting is picked on the very questions, which favours them. Plain ways fill the budget themselves. One that
cannot be installed or fails is reported with the reason; none is left out.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pruning_parts.passages import SETS, Row, answered, questions
from tuppence.prune.passages import Passage, PassagePruner, Scorer, as_sent
from tuppence.tokens import count_tokens

HERE = Path(__file__).resolve().parents[1]
REQUIREMENTS = HERE / "peers.txt"
ENVIRONMENT = HERE.parent / ".venv-peers-pruning"
"""Apart from `.venv-peers`: caches there may want other versions of the frameworks."""
PACKAGES = ("llama-index-core", "langchain-classic", "langchain-community")
NAMES = ("llama-index SentenceEmbeddingOptimizer", "langchain EmbeddingsFilter")
QUESTIONS = 100
"""The first judged ones of each set; every sentence of every passage is embedded for each peer."""
GIVE_UP_AFTER_S = 3_600
LLMLINGUA = {
    "error": "LLMLingua-2 was not run: its weights (microsoft/llmlingua-2-*) come from a model hub only; the wheel "
    "llmlingua 0.2.2 (30 kB) does not hold them, and no wheel was found that does"
}
_WORD = re.compile(r"\w+")
_K1, _B = 1.5, 0.75
"""BM25's usual constants, as in rank-bm25."""

Shorten = Callable[[Row, int], Mapping[int, str]]
"""Returns what is sent of each passage, by place, for a number of tokens."""


def peer_figures(
    python: Path, data: Path, budgets: Sequence[float], scorers: Mapping[str, Scorer], *, rows: int, failed: str = ""
) -> dict[str, Any]:
    """Return {set: {way: {budget: {answer, gold, tokens_share ...}}}}, ours on the same questions first."""
    told = {name: _run(python, name, data, rows, failed) for name in NAMES}
    found: dict[str, Any] = {"llmlingua-2": LLMLINGUA}
    found |= {name: {one: told[name][one] for one in told[name] if one != "figures"} for name in NAMES}
    for one, file in SETS.items():
        asked = questions(data / file)[:rows]
        ways: dict[str, Any] = {name: _ours(asked, budgets, scorer) for name, scorer in scorers.items()}
        ways |= {name: _filled(asked, budgets, shorten) for name, shorten in plain_ways().items()}
        ways |= {name: closest(told[name]["figures"][one], budgets) for name in NAMES if "figures" in told[name]}
        found[one] = {"questions": len(asked), **ways}
    return found


def prepared() -> tuple[Path, str]:
    """Return an interpreter with the frameworks and this project, made if need be, and what failed."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print(f"setting up {ENVIRONMENT.name} from {REQUIREMENTS.name}, once", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True)
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line.partition("==")[0] in PACKAGES]
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "-e", f"{HERE.parent}[embed,tokens]", *wanted], capture_output=True, text=True, check=False
    )
    return python, _last_line(done.stderr) if done.returncode else ""


def _run(python: Path, name: str, data: Path, rows: int, failed: str) -> dict[str, Any]:
    """Run one peer over its settings; a failure is an answer."""
    script = Path(__file__).with_name("peer.py")
    try:
        done = subprocess.run(
            [str(python), str(script), name, str(data), str(rows)],
            capture_output=True, text=True, timeout=GIVE_UP_AFTER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    if done.returncode:
        return {"error": _last_line(done.stderr) + (f"; not installed: {failed}" if failed else "")}
    told: dict[str, Any] = json.loads(_last_line(done.stdout))
    return told


def closest(settings: Mapping[str, Mapping[str, float]], budgets: Sequence[float]) -> dict[str, Any]:
    """Pick the setting whose tokens come closest to each budget, and count how often what it returns is longer."""
    found: dict[str, Any] = {}
    for budget in budgets:
        name = min(settings, key=lambda one: abs(settings[one]["tokens_share"] - budget))
        found[f"{budget:g}"] = {"setting": name, **{key: round(value, 4) for key, value in settings[name].items()}}
    longest = max(settings, key=lambda one: settings[one]["tokens_share"])
    found["most_tokens"] = {"setting": longest, **{key: round(value, 4) for key, value in settings[longest].items()}}
    return found


def plain_ways() -> dict[str, Shorten]:
    """Return what is done without a library: whole passages by rank, and the first so many tokens."""
    found: dict[str, Shorten] = {"whole passages by BM25": lambda row, most: _whole(row, most, _bm25(row))}
    try:
        from tuppence.embed.minilm import MiniLM

        model = MiniLM()
        found["whole passages by embedding"] = lambda row, most: _whole(row, most, _similarities(row, model))
    except Exception as error:  # noqa: BLE001 - without the extra this way is left out, and said so
        print(f"whole passages by embedding: {error}", file=sys.stderr)
    found["truncation"] = _truncated
    return found


def _filled(rows: Sequence[Row], budgets: Sequence[float], shorten: Shorten) -> dict[str, Any]:
    sums = [sum(_tokens(as_sent(doc["title"], doc["text"])) for doc in row["docs"]) for row in rows]
    found = {}
    for budget in budgets:
        sent = [shorten(row, int(budget * whole)) for row, whole in zip(rows, sums, strict=True)]
        found[f"{budget:g}"] = _counted(rows, sent, sums)
    return found


def _ours(rows: Sequence[Row], budgets: Sequence[float], scorer: Scorer) -> dict[str, Any]:
    def shorten(row: Row, most: int) -> Mapping[int, str]:
        passages = [Passage(doc["text"], id=str(at), title=doc["title"]) for at, doc in enumerate(row["docs"])]
        pruned = PassagePruner(max_tokens=max(1, most), scorer=scorer).prune(row["question"], passages)
        return {one.index: one.sent for one in pruned.passages}

    return _filled(rows, budgets, shorten)


def _counted(rows: Sequence[Row], sent: Sequence[Mapping[int, str]], sums: Sequence[int]) -> dict[str, float]:
    shares = [sum(map(_tokens, one.values())) / whole for one, whole in zip(sent, sums, strict=True)]
    pairs = list(zip(rows, sent, strict=True))
    return {
        "answer": round(statistics.fmean(answered(row, list(one.values())) for row, one in pairs), 4),
        "gold": round(statistics.fmean(set(row["gold"]) <= one.keys() for row, one in pairs), 4),
        "tokens_share": round(statistics.fmean(shares), 4),
    }


def _whole(row: Row, most: int, scores: Sequence[float]) -> dict[int, str]:
    """Take whole passages from the best on, those that still fit, but always the best."""
    sent: dict[int, str] = {}
    left = most
    for at in sorted(range(len(scores)), key=lambda one: -scores[one]):
        text = as_sent(row["docs"][at]["title"], row["docs"][at]["text"])
        if not sent or _tokens(text) <= left:
            sent[at] = text
            left -= _tokens(text)
    return sent


def _truncated(row: Row, most: int) -> dict[int, str]:
    """Take passages as they come and cut the last one that fits in part, at a word."""
    sent: dict[int, str] = {}
    for at, doc in enumerate(row["docs"]):
        words = as_sent(doc["title"], doc["text"]).split(" ")
        while words and _tokens(" ".join(words)) > most:
            words.pop()
        if words:
            sent[at] = " ".join(words)
            most -= _tokens(sent[at])
    return sent


def _bm25(row: Row) -> list[float]:
    texts = [Counter(_words(as_sent(doc["title"], doc["text"]))) for doc in row["docs"]]
    asked = _words(row["question"])
    seen = Counter(word for one in texts for word in one)
    mean = sum(one.total() for one in texts) / len(texts)
    return [sum(_weight(word, one, seen[word], len(texts), mean) for word in asked) for one in texts]


def _weight(word: str, text: Counter[str], holding: int, texts: int, mean: float) -> float:
    rarity = math.log(1 + (texts - holding + 0.5) / (holding + 0.5))
    return rarity * text[word] * (_K1 + 1) / (text[word] + _K1 * (1 - _B + _B * text.total() / mean))


def _similarities(row: Row, model: Any) -> list[float]:
    asked, *texts = model.embed([row["question"], *(as_sent(doc["title"], doc["text"]) for doc in row["docs"])])
    return [float(asked @ one) for one in texts]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _tokens(text: str) -> int:
    return count_tokens(text, "gpt-4o").tokens


def _last_line(text: str) -> str:
    lines: Iterable[str] = text.strip().splitlines() or ["it said nothing"]
    return list(lines)[-1]
