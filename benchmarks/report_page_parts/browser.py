"""A headless Chromium that shows one page and tells what went on in it.

It is spoken to over two pipes by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/), messages
ending in NUL: no port, no library.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
_DRAWN = """
    new Promise(done => {
        const look = () => document.documentElement.dataset.drawn ? done(true) : setTimeout(look, 20);
        look();
    })
"""


class Browser:
    """One tab. Everything the page asks for or complains of is kept."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = os.fdopen(reader, "rb"), os.fdopen(writer, "wb")
        self._number = 0
        self._session: str | None = None
        self._rest = b""
        self._loaded = False
        self.requests: list[str] = []
        """Addresses that were asked for, of the page itself and of data in it left out."""
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, and what the content policy stopped."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return what it gives."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self._note(told)

    def open(self, page: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Load a page and wait until its pictures are drawn."""
        self.size(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.load(page)
        self.wait_drawn()

    def load(self, page: Path) -> None:
        self._loaded = False
        self.ask("Page.navigate", url=page.resolve().as_uri())
        self._wait_loaded()

    def reloaded(self) -> None:
        """Wait until the page has loaded itself anew."""
        self._loaded = False
        self._wait_loaded()
        self.wait_drawn()

    def size(self, width: int, height: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def wait_drawn(self) -> None:
        assert self.value(_DRAWN, wait=True)

    def _wait_loaded(self) -> None:
        while not self._loaded:
            self._note(self._next())

    def value(self, expression: str, *, wait: bool = False) -> Any:
        """Return what a piece of JavaScript gives, as JSON."""
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=wait)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def picture(self) -> bytes:
        """Return a PNG of the whole page."""
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])

    def paper(self) -> bytes:
        """Return the page as it prints, a PDF."""
        told = self.ask("Page.printToPDF", printBackground=False, paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(told["data"])

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._reader.read1(1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        match told.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith("data:") and url != params.get("documentURL"):
                    self.requests.append(url)
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(params["entry"]))

    def close(self) -> None:
        self._writer.close()
        self._reader.close()


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in `folder`, and end it with the block."""
    assert CHROMIUM is not None, "there is no Chromium on PATH: install one"
    to_read, to_tell = os.pipe(), os.pipe()
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")
    command = [CHROMIUM, *options, "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
    # The browser reads commands from descriptor 3 and answers on 4.
    with subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{to_read[0]} 4>&{to_tell[1]}', "bash", *command],
        pass_fds=(to_read[0], to_tell[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(to_read[0])
        os.close(to_tell[1])
        tab = Browser(to_tell[0], to_read[1])
        try:
            yield tab
        finally:
            tab.close()
            process.terminate()
