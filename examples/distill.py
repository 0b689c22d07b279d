"""The whole path: record a teacher, train a small model on that, judge it, deploy it before the teacher, take it back.

    python examples/distill.py .venv-vllm/bin/python .venv-vllm/smollm2

The interpreter has vLLM and peft, the folder holds the small model; `make test-vllm` makes both. A scripted provider
stands in for the teacher. Training and serving are real: some minutes on two processors, without a GPU.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import openai

from tuppence.clients import result_of, via, wrap
from tuppence.context import spend
from tuppence.distill import Dataset, Shares, export
from tuppence.distill.calibrating import calibrate
from tuppence.distill.deploying import deploy, deployed, rollback
from tuppence.distill.evaluation import Served, Tfidf, evaluate, fit_words, read_held_out
from tuppence.distill.local import LocalLora, merged_model
from tuppence.distill.seconded import Seconded
from tuppence.prices import PriceBook, token_rate
from tuppence.recording import Recorder
from tuppence.selfhost import Preset, VllmServer
from tuppence.testing import ProviderServer

INSTRUCTION = "Which team answers this? One word: delivery, billing or account."
SAYS = {
    "delivery": "has not come|arrived broken|went to a wrong address|is late again|lies in the rain",
    "billing": "was charged twice|needs an invoice|is to be refunded|cost more than you said|has no receipt",
    "account": "is under my old name|shows after my login fails|hangs on a password I lost|asks me to log in",
}
OPENERS = "hello|good morning|listen|excuse me|one question|please help|urgent|sorry to ask|hi there".split("|")
THINGS = "lamp|kettle|red chair|garden hose|phone case|blue coat|desk|rug|clock|mirror|bike|toaster|sofa".split("|")
ENDINGS = "what now|thanks|can you look|I wait since Monday|it is for my aunt|call me back|that is all".split("|")
USD_PER_MTOK = ("0.05", "0.05")
"""Of the small model, in and out; for a server of your own `tuppence selfhost price` measures it."""
RATE = token_rate(input=USD_PER_MTOK[0], output=USD_PER_MTOK[1])


def traffic(count: int) -> dict[str, str]:
    """Make up questions with the team that answers each."""
    draw, found = random.Random(5), dict[str, str]()
    while len(found) < count:
        team = draw.choice(sorted(SAYS))
        said = draw.choice(SAYS[team].split("|"))
        opener, thing, ending = map(draw.choice, (OPENERS, THINGS, ENDINGS))
        found[f"{opener}, the {thing} of order {draw.randint(10, 9_999)} {said}, {ending}"] = team
    return found


def ask(client: openai.OpenAI, questions: list[str]) -> str:
    """Ask, and say who answered and what it cost."""
    by: Counter[str] = Counter()
    with spend() as spent:
        for one in questions:
            asked: list[Any] = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": one}]
            answer = client.chat.completions.create(model="auto", messages=asked, temperature=0, logprobs=True)
            by[result_of(answer).attempts[-1].tier] += 1
    return f"{dict(by)}, ${spent.usd:f}"


def main(python: str, model: str, folder: Path) -> None:
    truth = traffic(340)
    questions = list(truth)
    with ProviderServer() as provider:
        provider.model("gpt-4o", replies=lambda request: truth[request["messages"][-1]["content"]])
        api = openai.OpenAI(base_url=provider.base_url, api_key="none")
        recorder = Recorder(folder / "traffic.jsonl")
        print("recorded:", ask(wrap(api, tiers=["gpt-4o"], record=recorder, ledger=None), questions[:300]))
        recorder.flush()
        with Dataset.from_traffic(recorder.path, shares=Shares(calibration=0.3, test=0.2)) as data:
            made = export(data, folder / "data")
        print("data set:", dict(made.lines))
        trained = LocalLora(model, python=python).train(made.training, out=folder / "model")
        print(f"trained: {trained.model} in {trained.seconds:.0f} s, {dict(trained.metrics)}")
        # Merged it answers several times faster on a processor; on a GPU, load its adapter into the server of the base.
        merged = merged_model(trained)
        with VllmServer(merged, served_name=trained.model, python=python, preset=Preset.busy_cpu()) as server:
            small = Served(trained.model, server.base_url, trained.model, max_tokens=8)
            train = read_held_out(made.files["train"])
            judged = evaluate(read_held_out(made.files["test"]), small, [Tfidf(train)])
            for name, one in judged.measured.items():
                print(f"judged: {name} is right on {one.value:.1%} ({one.low:.1%} to {one.high:.1%})")
            rows, state = read_held_out(made.files["calibration"]), folder / "deployed.json"
            words = fit_words(train)
            answers = Seconded(small, words).answer(rows)
            known = calibrate(rows, answers, small=RATE, teacher=PriceBook.default().rate("gpt-4o"))
            print("calibrated:", known.words)
            if known.threshold is not None:
                deploy(
                    trained, state, url=server.url, threshold=known.threshold, usd_per_mtok=USD_PER_MTOK, share=1.0,
                    words=words, merged=True,
                )  # fmt: skip
                own = openai.OpenAI(base_url=server.base_url, api_key="none")
                tiers = [via(own, trained.model, rate=RATE, self_hosted=True), "gpt-4o"]
                cascade = wrap(api, tiers=tiers, ledger=None, **deployed(state))
                print("deployed:", ask(cascade, questions[300:]))
                rollback(state)
                print("rolled back:", ask(cascade, questions[300:]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__)
    else:
        with tempfile.TemporaryDirectory() as place:
            main(sys.argv[1], sys.argv[2], Path(place))
