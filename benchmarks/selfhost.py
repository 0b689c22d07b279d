"""What a token of a real vLLM server costs, worked out twice, and what four times too many calls come to.

    python benchmarks/selfhost.py --python .venv-vllm/bin/python --model .venv-vllm/smollm2 [--gpu-hour 2.50]

Starts the server on this machine's processors (`make test-vllm` installs vLLM and builds the model), or uses the one at
`--url`. First some calls, then nothing for a while: the price is of all that time. `usd_per_mtok` is ours, from two
readings of the meter; `independent_usd_per_mtok` is worked out from the text of the metrics by a parser of the
benchmark's own. `calls_share` is what the calls come to at the price by kind of token, by the usage that each was
told, over the cost of the machine. Then `--times` the calls that the server can answer arrive, with a scripted provider
behind it that is as fast as the server alone: `failed` is what users saw fail, `spilled_share` what the ledger says the
provider answered, `added_ms_p50` how much later than from the unloaded server answers came. `overload_unwatched`
repeats it without a look at the queue: a call spills over only when the server turns it away with 503.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
from selfhost_parts.overload import Load, overloaded, question
from selfhost_parts.raw import fetched, prices

from tuppence.prices.catalogue import price_rows
from tuppence.selfhost import Meter, Preset, VllmServer, amortised
from tuppence.usage import Usage, read_usage

AT_ONCE, QUEUED = 4, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=".venv-vllm/bin/python", help="the interpreter that has vLLM")
    parser.add_argument("--model", default=".venv-vllm/smollm2", help="a model's folder")
    parser.add_argument("--url", help="a server that runs already, and serves the model as `small`")
    parser.add_argument("--gpu-hour", default="2.50", help="dollars")
    parser.add_argument("--calls", type=int, default=32, help="for the price")
    parser.add_argument("--idle-s", type=float, default=10.0, help="without a call, for the price")
    parser.add_argument("--times", type=float, default=4.0, help="of the calls that the server can answer")
    parser.add_argument("--seconds", type=float, default=30.0, help="of overload")
    parser.add_argument("--answer-tokens", type=int, default=24)
    args = parser.parse_args()
    load = Load(args.answer_tokens, args.times, args.seconds, 2 * AT_ONCE, waiting=AT_ONCE)
    with ExitStack() as stack:
        url = args.url or stack.enter_context(started(args)).url
        found = priced(url, args)
        found["overload"] = asyncio.run(overloaded([url], load))
        found["overload_unwatched"] = asyncio.run(overloaded([url], replace(load, waiting=None)))
    print(json.dumps(found))


def started(args: argparse.Namespace) -> VllmServer:
    """Make a server that is soon full: few answers at once, a short queue."""
    full = ("--max-num-seqs", str(AT_ONCE), "--max-num-queued-reqs", str(AT_ONCE + QUEUED))
    preset = Preset.busy_cpu().with_flags(*full)
    return VllmServer(args.model, served_name="small", python=args.python, preset=preset)


def priced(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Have some calls answered, wait, and work out the price twice."""
    with tempfile.TemporaryDirectory() as folder:
        meter = Meter(url, Path(folder) / "readings.sqlite")
        before, since = fetched(url), meter.read()[0].at
        used = called(url, args)
        time.sleep(args.idle_s)
        until, after = meter.read()[0].at, fetched(url)
        served = meter.readings.served(meter.servers[0], since=since, until=until)
    assert served is not None
    ours, theirs = amortised(served, args.gpu_hour), prices(before, after, float(args.gpu_hour))
    rate = ours.rate()
    by_kind = {row.unit: float(row.usd) for row in price_rows(rate)}
    calls = sum(rate.cost(one) or 0 for one in used)
    return {
        "usd_per_mtok": float(ours.usd_per_million), "independent_usd_per_mtok": round(theirs.blended, 6),
        "off_share": round(abs(float(ours.usd_per_million) / theirs.blended - 1), 6),
        "usd_per_mtok_by_kind": by_kind,
        "independent_usd_per_mtok_by_kind": {"input": round(theirs.input, 6), "output": round(theirs.output, 6)},
        "machine_usd": float(Decimal(ours.pico_usd).scaleb(-12)), "calls_share": round(calls / ours.pico_usd, 6),
        "tokens": {
            "prompt": served.prompt_tokens, "computed": served.computed_tokens, "generated": served.generated_tokens,
            "prefix_hit_share": served.prefix_hit_share,
        },
    }  # fmt: skip


def called(url: str, args: argparse.Namespace) -> list[Usage]:
    """Send the calls, a few at a time, and return what each was told that it used."""

    async def all_of_them() -> list[Usage]:
        room = asyncio.Semaphore(AT_ONCE)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

            async def one(number: int) -> Usage:
                async with room:
                    answer = await client.chat.completions.create(
                        model="small", messages=question(number), max_tokens=args.answer_tokens
                    )
                return read_usage("chat", answer)

            return await asyncio.gather(*map(one, range(args.calls)))

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main()
