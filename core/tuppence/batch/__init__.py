"""Jobs that may wait, at the providers' batch prices: each line answered once, billed once, whatever is killed when.

    jobs = BatchJobs(BatchStore("jobs.sqlite"), OpenAIBatches(openai.OpenAI()), ledger=ledger, budgets=budgets)
    job = jobs.submit(Line(f"row-{n}", {"model": "gpt-4o-mini", "messages": [...]}) for n in range(100_000))
    jobs.wait(job.id)                       # or jobs.advance(job.id): one step, never sleeps, may be called for ever
    for answer in jobs.results(job.id): ... # in the order of the lines: custom_id, body or error, usage, pico_usd

`submit` has everything on disk before it returns, and nothing is sent before that. `advance` is safe to call again
after anything, from any process: one at a time drives a job, others are told so by `JobStatus.elsewhere`. `find` tells
a job by the name it was given; `cancel` ends one and still fetches what was answered. A job without a ledger or budgets
leaves the accounting to whoever reads `Answer.usage` and `Answer.pico_usd`, as the flow does for its own calls.
"""

from tuppence.batch.anthropic import AnthropicBatches
from tuppence.batch.jobs import BatchJobs
from tuppence.batch.keeping import ClientCache, Keeper
from tuppence.batch.lines import Answer, BatchError, Job, JobStatus, Line
from tuppence.batch.openai import OpenAIBatches
from tuppence.batch.pace import Pace
from tuppence.batch.provider import BatchProvider, Limits, Outcome, Parcel, Progress, Trouble
from tuppence.batch.store import BatchStore
from tuppence.batch.vllm import VllmBatches

__all__ = [
    "Answer",
    "AnthropicBatches",
    "BatchError",
    "BatchJobs",
    "BatchProvider",
    "BatchStore",
    "ClientCache",
    "Job",
    "JobStatus",
    "Keeper",
    "Limits",
    "Line",
    "OpenAIBatches",
    "Outcome",
    "Pace",
    "Parcel",
    "Progress",
    "Trouble",
    "VllmBatches",
]
