"""What a small model makes of a narrow task after it was trained on a few hundred answers of a teacher.

    python benchmarks/distill.py --data intents.jsonl.gz --python VLLM/bin/python --model FOLDER
        [--first 0 --intents 15 --epochs 4 --usd-per-hour 0.0832 --work FOLDER]

`--data` has one utterance a line: {source, text, intent, split}; the first fifteen intents of CLINC150 by name are the
task. The teacher is the data set itself. A LoRA adapter of the model in `--model` learns twenty rows of each intent, in
a process of `--python`; merged into the model it is served by a real vLLM of the same interpreter, as is the model by
itself (`prompt_only`). `tfidf` learns the same rows. All are asked the data's test rows. The cascade believes an answer
as far as model and classifier together do; its threshold is chosen on the data's validation rows, which nothing else
uses. `accuracy` is that of the answers which are kept. `cascade_alone` has the model's confidence alone.
`usd` is the price of the training: its seconds at `--usd-per-hour` (the list price of two virtual processors and 8 GiB
at a large provider, t3.large on demand). `--work` keeps rows and training, so that a run goes on. How it learns,
what is believed and what is promised were chosen on other intents (`--first 15`, and since then `--first 45`). The last
line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from distill_parts.judged import figures, judged
from distill_parts.task import task

from tuppence.distill import Progress
from tuppence.distill.local import LocalLora, merged_model


def main() -> None:
    args = _arguments()
    with ExitStack() as stack:
        work = args.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = task(args.data, work / "rows", first=args.first, count=args.intents)
        trainer = LocalLora(
            args.model, python=args.python, epochs=args.epochs, usd_per_hour=args.usd_per_hour
        )  # fmt: skip
        trained = trainer.train(made.data, out=work / "model", on_progress=_say)
        found = judged(made, base=args.model, merged=merged_model(trained), python=args.python)
    usd = None if trained.usd is None else round(float(trained.usd), 6)
    print(json.dumps({**figures(found), "train_seconds": round(trained.seconds, 1), "usd": usd}))


def _say(progress: Progress) -> None:
    if progress.message:
        print(progress.message, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parents[1] / ".venv-vllm"
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=here / "bin" / "python")
    parser.add_argument("--model", type=Path, default=here / "smollm2")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--intents", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--usd-per-hour", type=Decimal, default=Decimal("0.0832"))
    parser.add_argument("--work", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
