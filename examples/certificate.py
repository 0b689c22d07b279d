"""From a week of traffic to a certificate: record, draw, ask the small model the same, grade, calibrate, replay, run.

Runs offline: a scripted provider on this machine stands in for OpenAI. The traffic is made up: what do orders cost? The
small model adds short orders up well and long ones badly. Commands are shown as you would type them, in a folder of
their own. The tutorial in the documentation explains each step.
"""

import json
import os
import random
import re
import shlex
import tempfile
from pathlib import Path

from langchain_tuppence.config import from_config
from tuppence.cli import app
from tuppence.config import load_config
from tuppence.context import spend
from tuppence.evidence.outcomes import read_outcomes, read_traffic
from tuppence.evidence.outcomes.sampling import sample_questions, write_questions
from tuppence.evidence.replay import replay
from tuppence.prices import usd
from tuppence.testing import ProviderServer

TIERS = """\
tiers:
  - {name: small, class: openai, model: gpt-4o-mini}
  - {name: large, class: openai, model: gpt-4o}
ledger: spent.sqlite
"""
WATCHED = f"{TIERS}mode: observe\nrecord: traffic.jsonl\n"
CERTIFIED = f"{TIERS}certificate: certificate.json\n"


def order(draw: random.Random) -> str:
    """Make up a question; one order in three is long."""
    lines = draw.choice((1, 1, 2, 2, 5, 6))
    parts = [f"{draw.randint(2, 20)} boxes at {draw.randint(3, 60)} euros" for _ in range(lines)]
    return f"What do {' and '.join(parts)} cost?"


def cost(question: str) -> int:
    """Find the right answer, as whoever labels does."""
    return sum(int(boxes) * int(price) for boxes, price in re.findall(r"(\d+) boxes at (\d+)", question))


def model(seed: str, *, short: float, long: float):
    """Script a model that is right with these probabilities on short and on long orders, the same to the same."""

    def answer(request) -> str:
        question = request["messages"][-1]["content"]
        right = random.Random(seed + question).random() < (short if question.count("boxes") < 3 else long)
        return f"That is {cost(question) + (0 if right else 10)} euros."

    return answer


def step(title: str) -> None:
    print(f"\n{title}\n{'-' * len(title)}")


def command(line: str) -> None:
    """Show a command, and run it."""
    print(f"$ tuppence {line}", flush=True)
    if app(shlex.split(line), standalone_mode=False):
        raise SystemExit(1)


def ask(questions: list[str], llm, name: str) -> list[bool]:
    """Ask, and say which answers are right. Calls with ids of one's own: the same sample is drawn in every run."""
    named = [{"configurable": {"tuppence": {"call_id": f"{name}-{number}"}}} for number in range(len(questions))]
    answers = llm.batch(questions, named)
    return [f" {cost(one)} " in answer.text for one, answer in zip(questions, answers, strict=True)]


def record_a_week(questions: list[str]) -> None:
    Path("tuppence.yaml").write_text(WATCHED)
    llm = from_config("tuppence.yaml")
    with spend() as spent:
        ask(questions, llm, "week")
    llm.record.flush()
    print(f"{spent.calls:,} calls answered by the large model and recorded, ${spent.usd:.4f}")


def draw_and_label(count: int) -> None:
    sample = sample_questions(read_traffic("traffic.jsonl"), count, seed=7)
    write_questions("drawn.jsonl", sample.calls)
    print(sample.words)
    rows = [json.loads(line) for line in Path("drawn.jsonl").read_text().splitlines()]
    labelled = [row | {"answer": cost(row["query"])} for row in rows]
    Path("questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in labelled))


def replay_bill() -> None:
    """Say what the labelled questions would have cost; `tuppence replay` shows more, and draws it."""
    Path("certified.yaml").write_text(CERTIFIED)
    certified, watched = (load_config(name).policy() for name in ("certified.yaml", "tuppence.yaml"))
    found = replay(read_outcomes("outcomes.jsonl"), certified, against=watched)
    told = {
        "certified": found.policy,
        "as it was": found.against,
        "a random mix at that price": found.controls["random"],
    }
    for name, one in told.items():
        quality, usd_per_call, saved = one.quality.value, one.usd_per_call.value, one.saved.value
        print(f"{name:27} {quality:6.1%} right  ${1000 * usd_per_call:.4f} in 1,000 calls  {saved:6.1%} saved")


def run_certified(questions: list[str]) -> None:
    llm = from_config("certified.yaml")
    with spend() as spent:
        right = ask(questions, llm, "new")
    llm.ledger.flush()
    alone = usd(sum(attempt.baseline_pico or 0 for attempt in spent.attempts))
    print(f"{len(right):,} new orders: {sum(right) / len(right):.1%} right")
    print(f"${spent.usd:.4f}, and ${alone:.4f} with the large model alone: {1 - spent.usd / alone:.1%} saved")


def main() -> None:
    os.chdir(tempfile.mkdtemp(prefix="certificate-"))
    draw = random.Random(11)
    with ProviderServer() as server:
        os.environ |= dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), server.base_url)
        os.environ["OPENAI_API_KEY"] = "none"
        server.model("gpt-4o-mini", replies=model("small", short=0.995, long=0.4))
        server.model("gpt-4o", replies=model("large", short=0.98, long=0.98))

        step("1. Record a week")
        record_a_week([order(draw) for _ in range(1200)])
        step("2. Draw questions, and have right answers written")
        draw_and_label(1000)
        step("3. Ask the small model the same")
        command(
            "bench-models questions.jsonl -c tuppence.yaml --recorded traffic.jsonl --grader contains "
            "--output outcomes.jsonl"
        )
        step("4. Certify")
        command(
            "calibrate outcomes.jsonl --tiers small,large -c tuppence.yaml --target .95 --delta .1 "
            "--out certificate.json"
        )
        step("5. Replay the bill")
        replay_bill()
        step("6. Run it, and look")
        run_certified([order(draw) for _ in range(300)])
        command("report --ledger spent.sqlite --certificate certificate.json")
    print(f"\nEverything lies in {Path.cwd()}")


if __name__ == "__main__":
    main()
