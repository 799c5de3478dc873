"""Headless Chromium over a pipe: the few calls of the DevTools protocol that tests of pages need."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = ("--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu-sandbox", "--use-gl=angle",
         "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars", "--no-first-run",
         "--disable-extensions", "--disable-background-networking", "--disable-component-update",
         "--disable-default-apps", "--disable-sync", "--mute-audio", "--disable-dev-shm-usage")  # fmt: skip
PATIENCE_S = 120  # of a loaded machine


class Page:
    """A tab: what it asked for (`requests`), and what it complained about (`complaints`)."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._buffer, self._calls = read, write, b"", 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a protocol command."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._calls:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url: str, *, width: int = 1440, height: int = 900, phone: bool = False, light: bool = False) -> None:
        """Load a page in a window of this size and wait until it has."""
        scheme = [{"name": "prefers-color-scheme", "value": "light" if light else "dark"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(str(done["exceptionDetails"])[:2000])
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.run(condition):
            assert time.monotonic() < end, f"never true: {condition}; {self.complaints}"
            time.sleep(0.05)

    def mouse(self, kind: str, x: float, y: float, buttons: int = 0) -> None:
        """`kind` is mousePressed, mouseMoved or mouseReleased, of the left button."""
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_S)
            data = os.read(self._read, 1 << 16) if ready else b""
            assert data, "the browser does not answer"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        name, said = event.get("method"), event.get("params", {})
        if name == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif name == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([a.get("value") for a in said["args"]]))
        elif name == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")


@contextmanager
def chromium(program: str, profile: Path) -> Iterator[Page]:
    """A page of a fresh browser, which keeps its files in the folder `profile`."""
    (their_read, write), (read, their_write) = os.pipe(), os.pipe()
    # The browser reads from 3 and writes to 4: from ends that are neither.
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (their_read, their_write)]
    command = ["/bin/bash", "-c", f'exec "$@" 3<&{high[0]} 4>&{high[1]}', "chromium", program, *FLAGS,
               f"--user-data-dir={profile}"]  # fmt: skip
    with subprocess.Popen(command, pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        for end in (their_read, their_write, *high):
            os.close(end)
        try:
            page = Page(read, write)
            yield page
            page._session = None
            page.call("Browser.close")
        finally:
            os.close(read)
            os.close(write)
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
