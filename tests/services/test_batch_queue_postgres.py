"""The queue of many machines: what every queue does, in PostgreSQL, and no worker that waits for another."""

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url

from tuppence.batch.queue import Gathering, LaneQueue

_CORE = f"{(__package__ or '').rpartition('.')[0]}.core"
pytest.register_assert_rewrite(f"{_CORE}.batch_queue_suite")

from ..core.batch_queue_suite import QueueSuite, claim, claimed, names, requests  # noqa: E402, TID252

pytestmark = pytest.mark.services


@pytest.fixture
def again(postgres_address: str) -> Callable[[], LaneQueue]:
    return lambda: LaneQueue(postgres_address)


@pytest.fixture
def queue(again: Callable[[], LaneQueue]) -> LaneQueue:
    return again()


class TestPostgresQueue(QueueSuite):
    """All of it, in a database."""


def test_a_worker_passes_over_what_another_is_about_to_claim(queue: LaneQueue, postgres_address: str) -> None:
    """Nobody waits for a transaction of another machine: its rows are left to it, the rest is claimed."""
    put = requests(3)
    queue.put(put)
    plain = make_url(postgres_address).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as other:
        other.execute("SELECT 1 FROM lane_requests_v1 WHERE id = %s FOR UPDATE", (put[0].id,))
        mine = claimed(queue)
        assert sorted(names(queue, mine)) == sorted(one.id for one in put[1:])
    assert claim(queue, when=Gathering(gather_s=0.0)) is not None


def test_a_takeover_passes_over_a_claim_that_another_takes(queue: LaneQueue, postgres_address: str) -> None:
    """Two machines never go on with one claim."""
    queue.put(requests(1))
    mine = claimed(queue, now=1.0, lease_s=1.0)
    plain = make_url(postgres_address).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as other:
        other.execute("SELECT 1 FROM lane_claims_v1 WHERE id = %s FOR UPDATE", (mine.id,))
        assert queue.take_over([(mine.endpoint, mine.url)], now=9.0, lease_s=1.0) == []
    assert queue.take_over([(mine.endpoint, mine.url)], now=9.0, lease_s=1.0) == [mine]
