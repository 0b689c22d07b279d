"""Models on your own machines: a vLLM server as a plain tier, what its tokens really cost, and when that pays."""

from tuppence.selfhost.adapters import AdapterClient
from tuppence.selfhost.admission import SpillOver
from tuppence.selfhost.amortised import Amortised, MeteredRate, amortised
from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.fleet import AsyncLeastWaiting, LeastWaiting, http_clients
from tuppence.selfhost.meter import Meter
from tuppence.selfhost.offline import OfflineRun, answer_offline
from tuppence.selfhost.server import Preset, RunningServer, VllmServer
from tuppence.selfhost.servers import Servers

__all__ = [
    "AdapterClient",
    "Amortised",
    "AsyncLeastWaiting",
    "LeastWaiting",
    "Meter",
    "MeteredRate",
    "OfflineRun",
    "Preset",
    "RunningServer",
    "SelfHostError",
    "Servers",
    "SpillOver",
    "VllmServer",
    "amortised",
    "answer_offline",
    "http_clients",
]
