"""What is left of a context, and of what it says, when it is made shorter: at shipped settings, nothing tuned here.

    python benchmarks/pruning.py --data DIR [--budgets .1,.2,.3,.5] [--only passages,sections,...] [--peers]

`DIR` holds `rag_nq20`, `rag_multihop`, `agent_tool_chats` and `json_payloads` (.jsonl.gz); beside it, `../caching` and
`../routing` hold what the parts `topics`, `examples` and `output` ask for; `pointers` and `abstractive` ask a local
model. Answer: an answer's string survives; gold: every passage that is needed is represented; budgets and shares are of
o200k tokens, headers included. Passages are judged on the half of the questions that nothing was learned from. Reports
are of our own making (`pruning_parts/reports`). A part whose data or extra is missing says so, and the others run.

`--peers` runs LlamaIndex's SentenceEmbeddingOptimizer and LangChain's EmbeddingsFilter, plain whole passages and
truncation on the first `--peer-questions` of each set; frameworks are installed from `peers.txt` into
`.venv-peers-pruning`. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
_STARTED = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    data: Path
    budgets: tuple[float, ...]
    peer_questions: int
    peers_python: Path | None
    """An interpreter that has the peers; None has one made."""

    @property
    def whole(self) -> Path:
        """The folder that holds the data of other areas too."""
        return self.data.parent


def passages(asked: Asked) -> Figures:
    from pruning_parts.passages import survival

    return dict(survival(asked.data, asked.budgets, _scorers()))


def ms_per_context(asked: Asked) -> Figures:
    from pruning_parts import passages as part

    return {"ms_per_context": part.ms_per_context(asked.data, _scorers())}


def sections(_: Asked) -> Figures:
    from pruning_parts.sections import sections as measured

    return {"sections": measured()}


def history(asked: Asked) -> Figures:
    from pruning_parts.history import history_figures

    return {"history": history_figures(asked.data)}


def payloads(asked: Asked) -> Figures:
    from pruning_parts.payloads import payloads as measured

    return {"json": measured(asked.data)}


def output(asked: Asked) -> Figures:
    from pruning_parts.output import output_caps
    from pruning_parts.output_answers import short_names

    return {"output": {"caps": output_caps(asked.whole), "short_names": short_names()}}


def pointers(_: Asked) -> Figures:
    from pruning_parts.output_answers import pointers_local

    return {"pointers": pointers_local()}


def topics(asked: Asked) -> Figures:
    from pruning_parts.topics import topic_figures

    from tuppence.prune.topics import TermSimilarity

    return {"topics": topic_figures(asked.whole, [TermSimilarity()])}


def examples(asked: Asked) -> Figures:
    from pruning_parts.examples import example_figures

    return {"examples": example_figures(asked.whole)}


def abstractive(asked: Asked) -> Figures:
    from pruning_parts.abstractive import abstractive_figures

    return {"abstractive": abstractive_figures(asked.whole)}


def peers(asked: Asked) -> Figures:
    from pruning_parts.peers import peer_figures, prepared

    python, failed = (asked.peers_python, "") if asked.peers_python else prepared()
    rows = asked.peer_questions
    return {"peers": peer_figures(python, asked.data, asked.budgets, _scorers(), rows=rows, failed=failed)}


PARTS: Mapping[str, Callable[[Asked], Figures]] = {
    "ms_per_context": ms_per_context, "passages": passages, "sections": sections, "history": history,
    "payloads": payloads, "output": output, "topics": topics, "examples": examples, "pointers": pointers,
    "abstractive": abstractive, "peers": peers,
}  # fmt: skip
"""In the order in which they run: what is timed comes first, while the machine is cool."""


def _scorers() -> dict[str, Any]:
    """Return the scorers there are; embeddings need an extra."""
    from tuppence.prune.passages import Bm25Scorer, LearnedScorer

    found: dict[str, Any] = {"bm25": Bm25Scorer(), "default": LearnedScorer()}
    try:
        from tuppence.prune.passages import EmbeddingScorer

        found["embedding"] = EmbeddingScorer()
    except Exception as error:  # noqa: BLE001 - the other scorers are measured all the same
        _say(f"scorer embedding: left out: {error}")
    return found


def measured(asked: Asked, parts: set[str]) -> Figures:
    """Run the parts, each for itself: one that fails leaves its reason among the figures."""
    figures: Figures = {}
    for name, run in PARTS.items():
        if name not in parts:
            continue
        _say(f"{name} ...")
        try:
            found = run(asked)
        except Exception as error:  # noqa: BLE001 - a part that cannot run must not take the others with it
            found = {"failed": {**figures.get("failed", {}), name: f"{type(error).__name__}: {error}"}}
            _say(f"{name}: {type(error).__name__}: {error}")
        figures |= found
        for line in table(found):
            print(line)
    if "pointers" in figures:
        figures["output"] = {**figures.get("output", {}), "pointers": figures.pop("pointers")}
    return figures


def table(figures: Any, path: str = "") -> Iterator[str]:
    """Write figures in lines that people can read, those of one row side by side."""
    if not isinstance(figures, Mapping):
        yield f"  {path}: {_short(figures)}"
        return
    plain = {name: one for name, one in figures.items() if not isinstance(one, Mapping | list)}
    if plain:
        yield f"  {path:<58} " + "  ".join(f"{name} {_short(one)}" for name, one in plain.items())
    for name, one in figures.items():
        if isinstance(one, Mapping):
            yield from table(one, f"{path} / {name}" if path else str(name))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {str(name): _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _say(text: str) -> None:
    """Tell on the way how far it is, for who waits."""
    print(f"{time.perf_counter() - _STARTED:6.0f} s  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--budgets", default=".1,.2,.3,.5", help="shares of the tokens, with commas")
    parser.add_argument("--only", default=",".join(sorted(PARTS.keys() - {"peers"})), help=f"parts: {', '.join(PARTS)}")
    parser.add_argument("--peers", action="store_true", help="other ways to shorten passages too")
    parser.add_argument("--peer-questions", type=int, default=100, help="how many of each set, for the peers")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has what peers.txt lists, and tuppence")
    args = parser.parse_args()
    parts = (set(args.only.split(",")) - {""}) | ({"peers"} if args.peers else set())
    if unknown := parts - PARTS.keys():
        parser.error(f"--only: no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if not args.data.is_dir():
        parser.error(f"--data: {args.data} is no folder: give the one that holds rag_nq20.jsonl.gz")
    try:
        budgets = tuple(float(one) for one in args.budgets.split(","))
    except ValueError:
        parser.error(f"--budgets: {args.budgets} are not numbers: give shares such as .1,.2,.3")
    if not all(0 < one <= 1 for one in budgets):
        parser.error(f"--budgets: {args.budgets}: a share is above 0 and at most 1")
    print(json.dumps(_rounded(measured(Asked(args.data, budgets, args.peer_questions, args.peers_python), parts))))


if __name__ == "__main__":
    main()
