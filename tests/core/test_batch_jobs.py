"""Batch jobs: each line answered once and billed once, at batch prices, in the order of the lines, whatever fails."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuppence import Budget, Budgets, PriceBook, SqliteLedger, tags, wrap
from tuppence.batch import (
    AnthropicBatches,
    BatchError,
    BatchJobs,
    BatchStore,
    ClientCache,
    Limits,
    Line,
    OpenAIBatches,
    Pace,
)
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.prices import usd
from tuppence.testing import Fault, ProviderServer, Turn

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

QUICK = Pace(0.01, 0.05)
MODEL, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"


def chat(number: int, text: str, **params: Any) -> Line:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **params}
    return Line(f"line {number}", body)


def message(number: int, text: str) -> Line:
    body = {"model": CLAUDE, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return Line(f"line {number}", body, "/v1/messages")


@pytest.fixture
def client(server: ProviderServer) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        yield client


@pytest.fixture
def claude(server: ProviderServer) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="k") as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return BatchStore(tmp_path / "jobs.sqlite")


def jobs_of(store: BatchStore, client: Any, **options: Any) -> BatchJobs:
    options = {"pace": QUICK, "grace_s": 0.0, **options}
    limits = options.pop("limits", None)
    kind: Any = OpenAIBatches if hasattr(client, "chat") else AnthropicBatches
    return BatchJobs(store, kind(client) if limits is None else kind(client, limits=limits), **options)


def fated(server: ProviderServer, fates: Mapping[str, Any], *, times: int = 1) -> None:
    """Have lines fail or expire, by their text, the first `times` that they are run."""
    seen: Counter[str] = Counter()

    def fate(_: str, body: Mapping[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        seen[text] += 1
        return fates.get(text) if seen[text] <= times else None

    server.batches.fate(fate)


def ledger_rows(path: Path) -> list[sqlite3.Row]:
    with sqlite3.connect(path) as rows:
        rows.row_factory = sqlite3.Row
        return rows.execute("SELECT * FROM attempts ORDER BY id").fetchall()


@pytest.mark.parametrize("line", [chat, message])
def test_answers_come_in_the_order_of_the_lines(
    line: Any, store: BatchStore, client: Any, claude: Any, server: ProviderServer
) -> None:
    """Providers shuffle; who reads the results does not notice."""
    jobs = jobs_of(store, client if line is chat else claude)
    job = jobs.submit(line(n, f"item {n}") for n in range(600))
    status = jobs.wait(job.id)
    answers = list(jobs.results(job.id))
    assert [one.custom_id for one in answers] == [f"line {n}" for n in range(600)]
    assert all(str(one.body).count(f"item {n}'") == 1 for n, one in enumerate(answers))
    assert status.done and status.answered == 600 and status.failed == 0 and status.eta_s == 0


def test_nothing_is_sent_before_all_is_on_disk(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """A line that cannot be sent, the last too, leaves no job and no request."""
    jobs = jobs_of(store, client)
    with pytest.raises(BatchError, match="two lines are called 'line 1'"):
        jobs.submit([chat(0, "a"), chat(1, "b"), chat(1, "c")])
    assert jobs.statuses() == [] and server.served == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (Line("a", {"messages": []}), "names the model None"),
        (Line("", {"model": MODEL}), "custom_id is ''"),
        (Line("a", {"model": MODEL, "messages": [], "stream": True}), "batches have none"),
        (Line("a", {"model": MODEL, "messages": "hello"}), "messages is 'hello'"),
        (Line("a", {"model": MODEL, "messages": [{"x": float("nan")}]}), "cannot be written as JSON"),
        (Line("a", {"model": MODEL, "messages": []}, "/v1/audio/speech"), "takes batches for"),
    ],
)
def test_a_line_that_cannot_be_sent_is_named(line: Line, said: str, store: BatchStore, client: Any) -> None:
    """With what is wrong with it."""
    with pytest.raises(BatchError, match=said):
        jobs_of(store, client).submit([line])


def test_equal_requests_are_sent_and_billed_once(
    store: BatchStore, client: Any, server: ProviderServer, tmp_path: Path
) -> None:
    """And answered to each line; the ledger knows the others as hits."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    jobs = jobs_of(store, client, ledger=ledger)
    job = jobs.submit([chat(0, "same"), chat(1, "other"), chat(2, "same")])
    assert (job.lines, job.requests) == (3, 2)
    jobs.wait(job.id)
    first, _, third = jobs.results(job.id)
    assert first.body == third.body and first.pico_usd and third.pico_usd == 0
    assert len(list(server.batches.ran())) == 2
    rows = ledger_rows(ledger.path)
    assert Counter(row["outcome"] for row in rows) == {"accepted": 2, "hit": 1}
    assert sum(row["pico_usd"] for row in rows) == sum(one.pico_usd or 0 for one in jobs.results(job.id))
    ledger.close()


def test_batch_prices_are_paid_and_what_they_spare_is_shown(
    store: BatchStore, client: Any, server: ProviderServer, tmp_path: Path
) -> None:
    """One row a line, at half the standard price, with the job's tags."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    jobs = jobs_of(store, client, ledger=ledger)
    server.model(MODEL, replies=Turn("a b c", usage={"prompt_tokens": 1000, "completion_tokens": 100}))
    with tags(tenant="acme"):
        job = jobs.submit([chat(0, "hello")], tags={"task": "label"})
    status = jobs.wait(job.id)
    (row,) = ledger_rows(ledger.path)
    # gpt-4o-mini: $0.15 and $0.60 for a million tokens, batches at half of it.
    assert row["pico_usd"] == 105_000_000 and row["baseline_pico"] == 210_000_000 and row["batch_pico"] == 105_000_000
    assert (row["processing"], row["mode"], row["tenant"], row["task"]) == ("batch", "batch", "acme", "label")
    assert status.usd == usd(105_000_000) and status.worst_usd is not None and status.worst_usd > status.usd
    ledger.close()


def test_a_model_without_a_price_is_unpriced(store: BatchStore, client: Any, tmp_path: Path) -> None:
    """Never free, and never at its standard price where no batch price is known."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    book = PriceBook.default().with_overrides({"known-at-once": {"input": "1", "output": "2"}})
    jobs = jobs_of(store, client, ledger=ledger, price_book=book)
    body = {"messages": [{"role": "user", "content": "hello"}]}
    job = jobs.submit([Line("a", {"model": "nobody-knows", **body}), Line("b", {"model": "known-at-once", **body})])
    assert jobs.wait(job.id).worst_usd is None
    assert [row["pico_usd"] for row in ledger_rows(ledger.path)] == [None, None]
    assert [row["status"] for row in ledger_rows(ledger.path)] == ["unpriced", "unpriced"]
    assert all(one.pico_usd is None for one in jobs.results(job.id))
    ledger.close()


def test_parts_keep_to_the_providers_limits(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """By lines, by bytes, and by model."""
    jobs = jobs_of(store, client, limits=Limits(lines=4, bytes=1000))
    lines = [chat(n, f"item {n}") for n in range(10)] + [chat(10, "x" * 600), chat(11, "y" * 600)]
    other = Line("other", {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hello"}]})
    job = jobs.submit([*lines, other])
    assert jobs.wait(job.id).answered == 13
    sizes = Counter(one.batch for one in server.batches.ran())
    assert max(sizes.values()) <= 4
    assert all(file.bytes <= 1000 for file in client.files.list(purpose="batch"))
    with pytest.raises(BatchError, match="larger than one batch"):
        jobs.submit([chat(0, "z" * 1000)])


@pytest.mark.parametrize("line", [chat, message])
def test_only_what_failed_or_expired_is_sent_again(
    line: Any, store: BatchStore, client: Any, claude: Any, server: ProviderServer, tmp_path: Path
) -> None:
    """Its tries are attempts of one call; the others were run once."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    fated(server, {"item 3": "fail", "item 5": "expire"})
    jobs = jobs_of(store, client if line is chat else claude, ledger=ledger)
    job = jobs.submit(line(n, f"item {n}") for n in range(8))
    status = jobs.wait(job.id)
    assert (status.answered, status.failed, status.parts) == (8, 0, 2)
    times = Counter(one.body for one in server.batches.ran())
    assert sorted(times.values()) == [1] * 6 + [2] * 2
    rows = ledger_rows(ledger.path)
    tries = [row for row in rows if row["call_id"] == f"batch-{job.id}-3"]
    assert [(row["cause"], row["outcome"]) for row in tries] == [("draft", "failed"), ("retry", "accepted")]
    assert tries[0]["pico_usd"] == 0 and tries[1]["pico_usd"] > 0
    ledger.close()


def test_a_job_that_is_done_can_be_forgotten(store: BatchStore, client: Any) -> None:
    """With all its texts, and not before."""
    jobs = jobs_of(store, client)
    job, other = jobs.submit([chat(0, "a secret")]), jobs.submit([chat(0, "another")])
    with pytest.raises(BatchError, match="is not done"):
        jobs.forget(job.id)
    jobs.wait(job.id)
    jobs.forget(job.id)
    assert [one.id for one in jobs.statuses()] == [other.id]
    with sqlite3.connect(store.path) as rows:
        assert not [line for line in rows.iterdump() if "a secret" in line]


def test_a_line_is_not_tried_for_ever(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """After so many tries its error is its answer."""
    fated(server, {"item 1": "fail"}, times=99)
    jobs = jobs_of(store, client, tries=2)
    job = jobs.submit([chat(0, "item 0"), chat(1, "item 1")])
    status = jobs.wait(job.id)
    good, bad = jobs.results(job.id)
    assert good.body and good.error is None
    assert bad.body is None and bad.error and bad.error.startswith("500") and bad.usage is None and bad.pico_usd == 0
    assert (status.answered, status.failed, status.parts) == (1, 1, 2)


@pytest.mark.parametrize("line", [chat, message])
def test_what_would_fail_the_same_way_is_not_tried_again(
    line: Any, store: BatchStore, client: Any, claude: Any, server: ProviderServer
) -> None:
    """A request at fault is answered by its error, once."""
    for model in (MODEL, CLAUDE):
        server.model(model, replies=Fault(status=400, message="too long a prompt"))
    jobs = jobs_of(store, client if line is chat else claude)
    job = jobs.submit([line(0, "hello")])
    assert jobs.wait(job.id).parts == 1
    (answer,) = jobs.results(job.id)
    assert answer.error is not None and "too long a prompt" in answer.error


def test_a_batch_that_is_refused_for_one_line_runs_without_it(store: BatchStore, client: Any) -> None:
    """OpenAI validates a file as a whole: the line at fault has its error, the others are sent again."""
    # The model of a line, as the provider reads it, differs in a way that the SDK's types allow.
    provider = OpenAIBatches(client)
    spell = provider.spell
    provider.spell = (  # type: ignore[method-assign]
        lambda custom_id, url, body: spell(custom_id, "/v1/moderations" if "bad" in body else url, body)
    )
    jobs = BatchJobs(store, provider, pace=QUICK, grace_s=0.0)
    job = jobs.submit([chat(0, "good"), chat(1, "bad"), chat(2, "also good")])
    assert jobs.wait(job.id).answered == 2
    errors = [one.error for one in jobs.results(job.id)]
    assert errors[0] is errors[2] is None and errors[1] is not None and "mismatched_url" in errors[1]


def test_embeddings_are_a_job_like_any_other(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """Billed by their input, and never more inputs in a batch than allowed."""
    prices: dict[str, Any] = {"input": "0.02", "output": "0", "batch": {"input": "0.01", "output": "0"}}
    book = PriceBook.default().with_overrides({"text-embedding-3-small": prices})
    jobs = jobs_of(store, client, limits=Limits(lines=100, bytes=100_000, inputs=4), price_book=book)
    lines = [
        Line(f"{n}", {"model": "text-embedding-3-small", "input": [f"a {n}", f"b {n}", f"c {n}"]}, "/v1/embeddings")
        for n in range(3)
    ]
    job = jobs.submit(lines)
    assert jobs.wait(job.id).parts == 3
    answers = list(jobs.results(job.id))
    assert all(len(one.body["data"]) == 3 for one in answers if one.body)
    # "a 0", "b 0", "c 0": six tokens, at a cent for a million.
    assert [one.pico_usd for one in answers] == [60_000] * 3


# -- more than one process


def test_one_at_a_time_drives_a_job(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """Whoever comes meanwhile is told so, and does nothing."""
    jobs, others = jobs_of(store, client), jobs_of(BatchStore(store.path), client)
    job = jobs.submit([chat(0, "hello")])
    with store.driving(job.id) as alone:
        assert alone
        assert others.advance(job.id).elsewhere and server.served == []
    assert not others.advance(job.id).elsewhere and server.served


def test_the_same_name_is_the_same_job(store: BatchStore, client: Any) -> None:
    """Who was killed before he learned the id submits again; the lines are not even read."""
    jobs = jobs_of(store, client)
    job = jobs.submit([chat(0, "hello")], name="nightly")

    assert jobs.submit(iter(()), name="nightly") == job == jobs.find("nightly")
    with pytest.raises(BatchError, match="has no lines"):
        jobs.submit(iter(()), name="weekly")


def test_a_store_goes_on_where_it_is_copied_to(
    store: BatchStore, client: Any, server: ProviderServer, tmp_path: Path
) -> None:
    """Another machine with the file fetches what this one sent."""
    server.batches.hold()
    job = jobs_of(store, client).submit([chat(0, "hello")])
    jobs_of(store, client).advance(job.id)
    (tmp_path / "elsewhere").mkdir()
    with sqlite3.connect(store.path) as here, sqlite3.connect(tmp_path / "elsewhere" / "jobs.sqlite") as there:
        here.backup(there)
    server.batches.release()
    jobs = jobs_of(BatchStore(tmp_path / "elsewhere" / "jobs.sqlite"), client)
    assert jobs.wait(job.id).answered == 1
    assert len(list(server.batches.ran())) == 1


def test_a_batch_of_anothers_is_not_taken_for_ours(store: BatchStore, claude: Any, server: ProviderServer) -> None:
    """Anthropic's batches bear no name: one of the same size is given back when its lines prove to be another's."""
    line = message(0, "hello")
    params = {"model": CLAUDE, "max_tokens": 50, "messages": [{"role": "user", "content": "not ours"}]}
    theirs = claude.messages.batches.create(requests=[{"custom_id": "theirs", "params": params}])
    jobs = jobs_of(store, claude)
    job = jobs.submit([line])
    with store.writing() as rows:
        rows.execute("UPDATE parts SET state = 'creating', intended_at = ?", (time.time(),))
    jobs.wait(job.id)
    (answer,) = jobs.results(job.id)
    assert answer.body is not None and "hello" in str(answer.body)
    assert {one.batch for one in server.batches.ran()} > {theirs.id}


# -- budgets, cancelling, the cache


def test_budgets_are_reserved_before_and_settled_after(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """What runs is held, what it cost is charged, and nothing is left held."""
    server.batches.hold()
    budgets = Budgets(Budget(usd="5", per="month"))
    jobs = jobs_of(store, client, budgets=budgets)
    job = jobs.submit([chat(n, f"item {n}") for n in range(5)])
    worst = jobs.advance(job.id).worst_usd
    assert budgets.standing()[0].held_usd == worst and worst
    server.batches.release()
    spent = jobs.wait(job.id).usd
    (standing,) = budgets.standing()
    assert not standing.held_usd and standing.spent_usd == spent and 0 < spent < worst


def test_what_no_budget_has_room_for_is_not_sent(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """And is sent once there is room."""
    jobs = jobs_of(store, client, budgets=Budgets(Budget(usd="0.000001", per="month")))
    job = jobs.submit([chat(0, "hello")])
    with pytest.raises(BatchError, match="budget month has"):
        jobs.wait(job.id)
    assert server.served == []
    assert jobs_of(store, client, budgets=Budgets(Budget(usd="1", per="month"))).wait(job.id).answered == 1


def test_parts_wait_for_the_room_that_others_leave(store: BatchStore, client: Any) -> None:
    """A budget for less than all parts at their worst is no reason to stop while they cost less."""
    line = chat(0, "x")
    one = jobs_of(store, client)
    worst = one.status(one.submit([line]).id).worst_usd
    assert worst is not None
    budgets = Budgets(Budget(usd=worst * 2, per="month"))
    jobs = jobs_of(store, client, budgets=budgets, limits=Limits(lines=1, bytes=10_000))
    job = jobs.submit([chat(n, f"{n}") for n in range(6)])
    assert jobs.wait(job.id).answered == 6


def test_room_that_a_part_leaves_in_the_same_step_counts(store: BatchStore, client: Any) -> None:
    """A part that was asked before another one ended waits for the next step: the job is not blocked."""
    one = jobs_of(store, client)
    worst = one.status(one.submit([chat(0, "x")]).id).worst_usd
    assert worst is not None
    jobs = jobs_of(
        store, client, budgets=Budgets(Budget(usd=worst * 3 / 2, per="month")), limits=Limits(lines=1, bytes=10_000)
    )
    job = jobs.submit([chat(n, f"{n}") for n in range(2)])
    due(store, first=time.time() + 60, second=0.0)
    assert jobs.advance(job.id).note == ""
    due(store, first=0.0, second=0.0)
    status = jobs.advance(job.id)
    assert (status.answered, status.blocked) == (1, "")
    assert jobs.wait(job.id).answered == 2


def due(store: BatchStore, *, first: float, second: float) -> None:
    """Set when the two parts of the latest job are looked at."""
    with store.writing() as rows:
        (job,) = rows.execute("SELECT MAX(job) FROM parts").fetchone()
        (number,) = rows.execute("SELECT MIN(part) FROM parts WHERE job = ?", (job,)).fetchone()
        for part, at in ((number, first), (number + 1, second)):
            rows.execute("UPDATE parts SET next_at = ? WHERE job = ? AND part = ?", (at, job, part))


def test_a_line_may_cost_too_much_for_one_call(store: BatchStore, client: Any) -> None:
    """Then the job is refused before anything is sent; so is one that no budget can count."""
    with pytest.raises(BudgetExceeded, match="line 'line 0' may cost up to"):
        jobs_of(store, client, budgets=Budgets(Budget(usd="0.000001", per="call"))).submit([chat(0, "hello")])
    jobs = jobs_of(store, client, budgets=Budgets(Budget(usd="1", per="month", each="tenant")))
    with pytest.raises(BudgetError, match="goes by the tag 'tenant'"):
        jobs.submit([chat(0, "hello")])
    with pytest.raises(BudgetError, match="no batch price is known"):
        jobs.submit([Line("a", {"model": "x", "messages": [{"role": "user", "content": "y"}]})], tags={"tenant": "t"})


def test_a_cancelled_job_keeps_what_was_answered(store: BatchStore, client: Any, server: ProviderServer) -> None:
    """What is under way ends early; what was not sent never is; every line has an answer or an error."""
    jobs = jobs_of(store, client, limits=Limits(lines=2, bytes=10_000))
    first = jobs.submit([chat(n, f"item {n}") for n in range(2)])
    jobs.wait(first.id)
    server.batches.hold()
    job = jobs.submit([chat(n, f"more {n}") for n in range(4)])
    jobs.advance(job.id)
    jobs.cancel(job.id)
    status = jobs.wait(job.id)
    assert [one.error for one in jobs.results(job.id)] == ["cancelled"] * 4
    assert (status.answered, status.failed) == (0, 4) and all(one.body for one in jobs.results(first.id))


def test_a_job_that_is_cancelled_before_it_is_sent_costs_nothing(
    store: BatchStore, client: Any, server: ProviderServer, tmp_path: Path
) -> None:
    """No request, and no row in the ledger."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    jobs = jobs_of(store, client, ledger=ledger)
    job = jobs.submit([chat(0, "hello")])
    jobs.cancel(job.id)
    jobs.wait(job.id)
    assert server.served == [] and ledger_rows(ledger.path) == []
    ledger.close()


@pytest.mark.parametrize("line", [chat, message])
def test_a_later_live_question_is_a_hit(
    line: Any, store: BatchStore, client: Any, claude: Any, server: ProviderServer
) -> None:
    """Answers go into the cache of a wrapped client, under the job's tenant and no other's."""
    sdk = client if line is chat else claude
    live: Any = wrap(sdk, cache=True, ledger=False)
    jobs = jobs_of(store, sdk, cache=ClientCache(live))
    asked = line(0, "hello")
    jobs.wait(jobs.submit([asked], tags={"tenant": "acme"}).id)
    create = live.chat.completions.create if line is chat else live.messages.create
    before = len(server.served)
    with tags(tenant="acme"):
        assert "hello" in str(create(**asked.body))
    assert len(server.served) == before
    with tags(tenant="other"):
        create(**asked.body)
    assert len(server.served) == before + 1


# -- providers that are away, or say no


def test_a_key_that_is_refused_stops_the_job_and_says_so(store: BatchStore, tmp_path: Path) -> None:
    """With the right one it goes on."""
    with ProviderServer(api_key="right") as server:
        with openai.OpenAI(base_url=server.base_url, api_key="wrong") as wrong:
            jobs = jobs_of(store, wrong)
            job = jobs.submit([chat(0, "hello")])
            with pytest.raises(BatchError, match="Incorrect API key"):
                jobs.wait(job.id)
        with openai.OpenAI(base_url=server.base_url, api_key="right") as right:
            assert jobs_of(store, right).wait(job.id).answered == 1
        assert len(list(server.batches.ran())) == 1


def test_a_provider_that_is_away_is_asked_again(store: BatchStore, client: Any) -> None:
    """A job takes a connection that breaks for what it is: a note, until it works."""
    with openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k") as nowhere:
        jobs = jobs_of(store, nowhere)
        job = jobs.submit([chat(0, "hello")])
        status = jobs.advance(job.id)
        assert "Connection error" in status.note and not status.blocked and not status.done
    assert jobs_of(store, client).wait(job.id).answered == 1


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.integers(0, 8), min_size=1, max_size=24),
    fates=st.dictionaries(st.integers(0, 8), st.sampled_from(["fail", "expire"])),
    times=st.integers(1, 3),
    most=st.integers(1, 5),
)
def test_whatever_happens_the_books_agree(
    texts: list[int], fates: dict[int, str], times: int, most: int, client: Any, server: ProviderServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """Any lines, equal or not, in parts of any size, failing as they may: one answer a line, billed as it was run."""
    folder = tmp_path_factory.mktemp("job")
    fated(server, {f"item {n}": fate for n, fate in fates.items()}, times=times)
    ledger = SqliteLedger(folder / "ledger.sqlite")
    jobs = jobs_of(BatchStore(folder / "jobs.sqlite"), client, ledger=ledger, limits=Limits(lines=most, bytes=10_000))
    before = len(list(server.batches.ran()))
    job = jobs.submit(chat(n, f"item {text}") for n, text in enumerate(texts))
    status = jobs.wait(job.id)
    answers = list(jobs.results(job.id))
    assert [one.custom_id for one in answers] == [f"line {n}" for n in range(len(texts))]
    for text, answer in zip(texts, answers, strict=True):
        lost = text in fates and times >= 3
        assert (answer.body is None) == lost == (answer.error is not None)
        assert lost or f"item {text}'" in str(answer.body)
    billed = [one for one in list(server.batches.ran())[before:] if one.status == 200]
    assert len(billed) == status.answered == len({text for text in texts if times < 3 or text not in fates})
    rows = ledger_rows(folder / "ledger.sqlite")
    assert sum(row["pico_usd"] > 0 for row in rows) == len(billed)
    assert usd(sum(row["pico_usd"] for row in rows)) == status.usd
    ledger.close()
