"""A job that a vLLM answers which runs for it alone: `run-batch` as a child process, the engine the same for it all."""

from __future__ import annotations

from pathlib import Path

from tuppence import PriceBook, SqliteLedger, gpu_hour_rate
from tuppence.batch import BatchJobs, BatchStore, Line, Pace, VllmBatches
from tuppence.prices import usd


def test_a_job_is_answered_by_a_vllm_of_its_own(tmp_path: Path, vllm_python: Path, small_model: Path) -> None:
    """In the order of the lines, equal ones once, paid by the time that the machine ran."""
    runner = VllmBatches(
        tmp_path / "work", model=str(small_model), python=vllm_python,
        arguments=["--served-model-name", "small", "--dtype", "bfloat16", "--enforce-eager", "--block-size", "32",
                   "--max-model-len", "512"],
        environment={
            "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
        },
    )  # fmt: skip
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    book = PriceBook.default().with_overrides({"small": gpu_hour_rate("3.60")})
    jobs = BatchJobs(
        BatchStore(tmp_path / "jobs.sqlite"), runner, ledger=ledger, price_book=book, pace=Pace(0.5, 2.0)
    )  # fmt: skip
    texts = ["Say hello", "Name a colour", "Say hello", "Count to three"]
    job = jobs.submit(
        Line(f"{n}", {"model": "small", "max_tokens": 8, "messages": [{"role": "user", "content": text}]})
        for n, text in enumerate(texts)
    )
    status = jobs.wait(job.id)
    answers = list(jobs.results(job.id))
    assert [one.error for one in answers] == [None] * 4
    assert [one.custom_id for one in answers] == ["0", "1", "2", "3"] and answers[0].body == answers[2].body
    assert all(one.usage.output > 0 and one.usage.gpu_ms > 0 for one in answers if one.usage is not None)
    # A tenth of a cent for every second of the machine.
    ran_ms = sum(one.usage.gpu_ms for one in answers if one.usage is not None)
    assert status.usd == usd(ran_ms * 1_000_000)
    ledger.close()
