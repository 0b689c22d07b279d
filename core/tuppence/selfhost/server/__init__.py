"""vLLM servers: started, watched and stopped here, or running already."""

from tuppence.selfhost.server.preset import Preset
from tuppence.selfhost.server.running import RunningServer
from tuppence.selfhost.server.vllm import VllmServer

__all__ = ["Preset", "RunningServer", "VllmServer"]
