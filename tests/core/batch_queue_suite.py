"""What every queue of requests that can wait must do, wherever it is kept."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tuppence.attempts import Attempt
from tuppence.batch.queue import Gathering, LaneQueue
from tuppence.batch.queue.errands import Claim, Done, Errand, Waiting, waiting
from tuppence.batch.written import spelt
from tuppence.usage import Usage

HERE = "https://api.openai.com/v1"
CHAT = "/v1/chat/completions"
DUE = Gathering(most=1000, gather_s=0.0)
USED = Usage(input=7, output=3, processing="batch")
PAID = spelt(Attempt("", "m", "draft", "abandoned", USED, 5, "exact", "", 0.0, 0.0))

Make = Callable[[], LaneQueue]


def request(name: str, *, at: float = 0.0, deadline: float = 1000.0, endpoint: str = HERE) -> Waiting:
    errand = Errand(name, "small", at, {"user": "ann"})
    body = {"model": "m", "messages": [{"role": "user", "content": name}]}
    return waiting(endpoint, CHAT, body, errand, put_at=at, deadline_at=deadline)


def requests(count: int, **options: float) -> list[Waiting]:
    return [request(f"call-{n}", **options) for n in range(count)]


def claim(queue: LaneQueue, *, now: float = 1.0, when: Gathering = DUE, lease_s: float = 10.0) -> Claim | None:
    return queue.claim(HERE, CHAT, when, now=now, lease_s=lease_s)


def claimed(queue: LaneQueue, *, now: float = 1.0, lease_s: float = 10.0) -> Claim:
    found = claim(queue, now=now, lease_s=lease_s)
    assert found is not None
    return found


def names(queue: LaneQueue, one: Claim) -> list[str]:
    return [name for name, _, _ in queue.claimed(one)]


def answers(ids: Iterable[str], *, attempt: str | None = PAID) -> list[Done]:
    return [Done(one, f'{{"answer":"{one}"}}', attempt=attempt) for one in ids]


class QueueSuite:
    """Wants a fixture `queue` with an empty queue, and `again` that opens the same one anew."""

    def test_what_was_put_is_claimed_and_its_answer_comes_back(self, queue: LaneQueue, again: Make) -> None:
        """A request crosses from its caller to a worker, and its answer back, through nothing but the queue."""
        put = requests(3)
        queue.put(put)
        worker = again()
        mine = claimed(worker)
        assert {name: body for name, _, body in worker.claimed(mine)} == {one.id: one.body for one in put}
        assert queue.landed([one.id for one in put]) == []
        worker.finish(mine, answers(one.id for one in put), now=2.0)
        found = {one.id: one for one in queue.landed([one.id for one in put])}
        assert {name: one.body for name, one in found.items()} == {n: f'{{"answer":"{n}"}}' for n in found}
        assert [one.usage for one in found.values()] == [USED] * 3

    def test_the_same_request_is_one_however_often_it_is_put(self, queue: LaneQueue) -> None:
        """Who was killed before he knew puts again, and is answered once."""
        for _ in range(3):
            queue.put(requests(2))
        mine = claimed(queue)
        queue.put(requests(2))
        assert len(names(queue, mine)) == 2
        assert claim(queue) is None

    def test_another_body_for_the_same_call_is_another_request(self) -> None:
        """A call that asks two tiers has two answers."""
        errand = Errand("call", "small", 0.0, {})
        first, second = (
            waiting(HERE, CHAT, {"model": model}, errand, put_at=0.0, deadline_at=1.0) for model in ("small", "large")
        )
        assert first.id != second.id

    def test_claims_never_overlap(self, queue: LaneQueue, again: Make) -> None:
        """Workers that claim side by side share the requests out."""
        put = requests(60)
        queue.put(put)
        start = threading.Barrier(4)

        def work() -> list[str]:
            own, mine = again(), []
            start.wait()
            while (found := claim(own, when=Gathering(most=7, gather_s=0.0))) is not None:
                mine += names(own, found)
            return mine

        with ThreadPoolExecutor(4) as pool:
            shares = [job.result() for job in [pool.submit(work) for _ in range(4)]]
        assert sorted(name for share in shares for name in share) == sorted(one.id for one in put)

    def test_a_batch_is_made_when_enough_wait_or_one_has_waited_or_a_deadline_is_near(self, queue: LaneQueue) -> None:
        """Gathering ends at whatever comes first."""
        when = Gathering(most=3, gather_s=60.0, takes_s=100.0)
        queue.put(requests(2, at=0.0, deadline=1000.0))
        assert claim(queue, now=59.0, when=when) is None
        assert claim(queue, now=60.0, when=when) is not None
        queue.put([request("near", at=100.0, deadline=250.0)])
        assert claim(queue, now=149.0, when=when) is None
        assert claim(queue, now=150.0, when=when) is not None
        queue.put(requests(5, at=200.0)[2:])
        assert claim(queue, now=201.0, when=when) is not None

    def test_the_nearest_deadlines_go_first(self, queue: LaneQueue) -> None:
        """A full batch leaves those behind that can wait longest."""
        queue.put([request(f"by-{due}", deadline=due) for due in (300.0, 100.0, 200.0)])
        found = claim(queue, when=Gathering(most=2, gather_s=0.0))
        assert found is not None
        assert {name.rsplit("-", 1)[0] for name in names(queue, found)} == {"by-100.0", "by-200.0"}

    def test_what_is_late_is_not_claimed(self, queue: LaneQueue) -> None:
        """Nobody waits for it any more."""
        queue.put([request("late", deadline=5.0)])
        assert claim(queue, now=5.0) is None

    def test_another_endpoints_requests_are_left_alone(self, queue: LaneQueue) -> None:
        """A key is used only where its worker says."""
        queue.put([request("elsewhere", endpoint="http://localhost:8000/v1")])
        assert claim(queue) is None
        assert queue.claim("http://localhost:8000/v1", "/v1/messages", DUE, now=1.0, lease_s=1.0) is None

    def test_a_killed_workers_claim_is_taken_over_whole(self, queue: LaneQueue, again: Make) -> None:
        """A claim whose lease ran out goes on under its own name, so that what was sent is found."""
        queue.put(requests(3))
        mine = claimed(queue, now=1.0, lease_s=10.0)
        other = again()
        assert other.take_over([(HERE, CHAT)], now=10.0, lease_s=10.0) == []
        assert queue.renew([mine], now=10.0, lease_s=10.0) == [mine]
        assert other.take_over([(HERE, CHAT)], now=19.0, lease_s=10.0) == []
        assert other.take_over([(HERE, CHAT)], now=21.0, lease_s=10.0) == [mine]
        assert len(names(other, mine)) == 3
        assert other.take_over([(HERE, CHAT)], now=22.0, lease_s=10.0) == []

    def test_an_answer_counts_once(self, queue: LaneQueue) -> None:
        """Two workers that both took a claim for theirs tell the same story once."""
        queue.put(requests(1))
        (name,) = names(queue, mine := claimed(queue))
        queue.finish(mine, answers([name]), now=2.0)
        queue.finish(mine, [Done(name, '{"answer":"another"}', attempt=PAID)], now=3.0)
        (landed,) = queue.landed([name])
        assert landed.body == f'{{"answer":"{name}"}}'
        assert queue.renew([mine], now=3.0, lease_s=1.0) == []

    def test_what_a_batch_says_nothing_of_is_missed(self, queue: LaneQueue) -> None:
        """No request waits for ever."""
        queue.put(requests(2))
        first, second = names(queue, mine := claimed(queue))
        queue.finish(mine, [Done(first, None, "expired")], now=2.0)
        assert [(one.fate, bool(one.error)) for one in queue.landed([first, second])] == [("missed", True)] * 2

    def test_who_leaves_early_cancels_and_who_leaves_late_is_billed(self, queue: LaneQueue) -> None:
        """What nobody has claimed is never sent; what was sent is paid for, by the worker."""
        early, late = request("early"), request("late")
        queue.put([late])
        mine = claimed(queue)
        queue.put([early])
        assert queue.leave([early.id, late.id]) == {early.id: "cancelled", late.id: "claimed"}
        assert claim(queue) is None
        assert queue.deserted(mine)
        queue.finish(mine, answers([late.id]), now=2.0)
        (due,) = queue.unbilled(now=3.0, grace_s=0.0)
        assert (due.id, due.errand.tags, due.left_behind) == (late.id, {"user": "ann"}, True)
        queue.settled([late.id])
        assert queue.unbilled(now=3.0, grace_s=0.0) == []

    def test_who_comes_back_waits_again(self, queue: LaneQueue) -> None:
        """A request that was given up and is put again is neither lost nor left to the worker to bill."""
        gone = request("gone")
        queue.put([gone])
        queue.leave([gone.id])
        queue.put([gone])
        mine = claimed(queue)
        queue.leave([gone.id])
        queue.put([gone])
        assert not queue.deserted(mine)
        queue.finish(mine, answers([gone.id]), now=2.0)
        assert queue.unbilled(now=3.0, grace_s=0.0) == []
        assert [one.usage for one in queue.landed([gone.id])] == [USED]

    def test_an_answer_that_is_settled_costs_the_next_caller_nothing(self, queue: LaneQueue) -> None:
        """A request that is put again after it was answered is served, and not billed a second time."""
        one = request("once")
        queue.put([one])
        queue.finish(claimed(queue), answers([one.id]), now=2.0)
        queue.settled([one.id])
        queue.put([one])
        (landed,) = queue.landed([one.id])
        assert (landed.fate, landed.usage) == ("answered", None)

    def test_an_answer_that_nobody_came_for_is_billed_after_its_deadline(self, queue: LaneQueue) -> None:
        """A caller that was killed leaves a bill; one that may still settle does not."""
        queue.put([request("killed", deadline=100.0)])
        queue.finish(mine := claimed(queue), answers(names(queue, mine)), now=2.0)
        assert queue.unbilled(now=100.0, grace_s=60.0) == []
        assert len(queue.unbilled(now=161.0, grace_s=60.0)) == 1

    def test_what_is_owed_is_never_forgotten(self, queue: LaneQueue) -> None:
        """Old requests go, those in a batch or with an open bill stay."""
        queue.put([request("owed", deadline=100.0)])
        queue.finish(mine := claimed(queue), answers(names(queue, mine)), now=2.0)
        queue.put([request("sent", deadline=100.0)])
        claimed(queue)
        queue.put([request("nobody's", deadline=50.0)])
        assert queue.forget(before=200.0) == 1
        assert queue.standing() == {(HERE, "answered"): 1, (HERE, "claimed"): 1}
        queue.settled([one.id for one in queue.unbilled(now=1e6, grace_s=0.0)])
        assert queue.forget(before=200.0) == 1
