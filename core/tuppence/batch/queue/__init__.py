"""The queue of live traffic that can wait: callers put requests in, workers make batches of them and hand answers back.

    lane = Lane("lane.sqlite")                                        # a model's end: ChatTuppence(lane=lane)
    worker = LaneWorker(lane.queue, [(endpoint_of(client), BatchJobs(store, OpenAIBatches(client)))])
    worker.run(stop)                                                  # as does `tuppence batch work`

Whoever is killed when, a request is answered once and paid once; the caller never has its answer late without a word.
"""

from tuppence.batch.queue.database import QueueError
from tuppence.batch.queue.hosting import run_all
from tuppence.batch.queue.lane import Lane, deadline_without_lane, open_lane
from tuppence.batch.queue.port import HostedPort, LanePort
from tuppence.batch.queue.queue import Gathering, LaneQueue
from tuppence.batch.queue.transport import endpoint_of, over_lane
from tuppence.batch.queue.worker import LaneWorker

__all__ = [
    "Gathering",
    "HostedPort",
    "Lane",
    "LanePort",
    "LaneQueue",
    "LaneWorker",
    "QueueError",
    "deadline_without_lane",
    "endpoint_of",
    "open_lane",
    "over_lane",
    "run_all",
]
