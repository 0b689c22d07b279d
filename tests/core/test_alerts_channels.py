"""Where alerts are told: posted to a real server, again when it is away, and never at the caller's cost."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tuppence.errors import ConfigError
from tuppence.spend.alerts import Alert, Webhook, log, slack, slack_message

SECRET = "T0/B0/not-to-be-seen"
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
ALERT = Alert(
    "spend", "/chat", AT, AT, "spend of /chat: $9.00, usually $3.00 (+200%)", 9.0, 3.0, 6 * 10**12,
    {("prompt", "/chat"): 4 * 10**12, ("calls", None): 2 * 10**12}, "tuppence report --by user",
)  # fmt: skip


class Receiver(ThreadingHTTPServer):
    """Answers with a script of statuses, the last one for ever, and keeps what it was sent."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    with Receiver(*statuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_gets_every_digit_and_its_headers() -> None:
    """As JSON, money as text."""
    with receiving(200) as server:
        assert Webhook(server.url, headers={"authorization": "Bearer k"})([ALERT])
    ((headers, body),) = server.got
    assert headers["authorization"] == "Bearer k"
    (one,) = body["alerts"]
    assert (one["extra_usd"], one["drivers"][0]["driver"], one["scope"]) == ("6.000000000000", "prompt", "/chat")


def test_a_server_that_is_busy_is_asked_again() -> None:
    """Until it takes it."""
    with receiving(503, 429, 204) as server:
        assert Webhook(server.url, wait_s=0.0)([ALERT])
    assert len(server.got) == 3


@pytest.mark.parametrize(("statuses", "posts"), [((404,), 1), ((500,), 3)])
def test_what_is_refused_is_logged_without_its_secrets(
    statuses: tuple[int, ...], posts: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong address is not tried again; nothing is raised, and the log holds the host alone."""
    with receiving(*statuses) as server, caplog.at_level(logging.DEBUG, "tuppence"):
        assert not Webhook(server.url, headers={"x-key": "k3y"}, wait_s=0.0)([ALERT])
    assert len(server.got) == posts
    said = "".join(record.getMessage() for record in caplog.records if record.name.startswith("tuppence"))
    assert f"answered {statuses[0]}" in said
    assert "127.0.0.1" in said
    assert SECRET not in said
    assert "k3y" not in said


def test_a_server_that_is_away_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The port of a server that has gone."""
    with receiving(200) as server:
        url = server.url
    assert not slack(url)([ALERT]) or server.got
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("tuppence"))
    assert SECRET not in repr(Webhook(url))


def test_nothing_is_posted_when_nothing_rang() -> None:
    """An empty message is noise too."""
    with receiving(200) as server:
        assert slack(server.url)([])
    assert server.got == []


def test_slack_gets_blocks_in_which_labels_are_no_markup() -> None:
    """A tag that holds a mention notifies nobody; a hundred alerts still fit into a message."""
    hostile = Alert(
        "spend", "<!channel>", AT, AT, "spend of <!channel> & co", 2.0, 1.0, 1, {}, "x" * 5000
    )  # fmt: skip
    message = slack_message([hostile] * 100)
    text = json.dumps(message)
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp; co" in text
    assert len(message["blocks"]) <= 50
    assert max(len(one["elements"][0]["text"]) for one in message["blocks"] if one["type"] == "context") <= 3000


def test_the_log_gets_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """As a warning."""
    with caplog.at_level(logging.WARNING, "tuppence.alerts"):
        assert log([ALERT, ALERT])
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "Look at: tuppence report" in caplog.records[0].getMessage()


@pytest.mark.parametrize("url", ["", "hooks.slack.com/x", "ftp://host/x"])
def test_an_address_that_cannot_be_posted_to_is_refused(url: str) -> None:
    """Without being quoted."""
    with pytest.raises(ConfigError, match="give https://host/path"):
        Webhook(url)
