"""Stand-ins for vLLM servers: the scripted provider, with a page of metrics that a test sets."""

from __future__ import annotations

import threading
from typing import Any

from tuppence.testing import ProviderServer

PAGE = """\
# TYPE process_start_time_seconds gauge
process_start_time_seconds {started}
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="small"}} {running}
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="small"}} {waiting}
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="small"}} {prompt}
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="small"}} {generated}
# TYPE vllm:prompt_tokens_by_source_total counter
vllm:prompt_tokens_by_source_total{{engine="0",model_name="small",source="local_compute"}} {computed}
# TYPE vllm:request_prefill_time_seconds histogram
vllm:request_prefill_time_seconds_count{{engine="0",model_name="small"}} 1
vllm:request_prefill_time_seconds_sum{{engine="0",model_name="small"}} {prefill_s}
# TYPE vllm:request_decode_time_seconds histogram
vllm:request_decode_time_seconds_count{{engine="0",model_name="small"}} 1
vllm:request_decode_time_seconds_sum{{engine="0",model_name="small"}} {decode_s}
"""
NOTHING = {
    "started": 1.0, "running": 0, "waiting": 0, "prompt": 0, "generated": 0, "computed": 0, "prefill_s": 0,
    "decode_s": 0,
}  # fmt: skip


def page(**figures: float) -> str:
    return PAGE.format(**{**NOTHING, **figures})


class OwnServer(ProviderServer):
    """A server that says how busy it is; `None` for one without metrics."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.page: str | None = page()
        self.looks = 0
        self._looked = threading.Condition()
        connection: Any = self._http.RequestHandlerClass
        own = self

        class WithMetrics(connection):  # type: ignore[misc]
            def do_GET(self) -> None:
                if self.path != "/metrics":
                    super().do_GET()
                    return
                body = (own.page or "").encode()
                self.send_response(200 if own.page is not None else 404)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with own._looked:
                    own.looks += 1
                    own._looked.notify_all()

            def log_message(self, *_said: Any) -> None: ...

        self._http.RequestHandlerClass = WithMetrics

    @property
    def url(self) -> str:
        return self.anthropic_url

    def await_looks(self, count: int) -> None:
        """Wait until the page has been read so many times."""
        with self._looked:
            assert self._looked.wait_for(lambda: self.looks >= count, 10), f"looked at {self.looks} times, not {count}"
