"""A headless Chromium by its DevTools protocol: what a test says to it, and what its page answers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_S, WAIT_S = 60.0, 30.0
NOT_THERE = "there is no chromium on this machine"

# What Chromium calls the keys that tests press.
_CODES = {"/": ("Slash", 191), "Enter": ("Enter", 13), "Escape": ("Escape", 27), "Tab": ("Tab", 9)}


def found() -> str | None:
    """The program, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page.

    Attributes:
        complaints: what it wrote to its console as errors, exceptions and broken policies among them.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._socket, self._number = socket, 0
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers to a command."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=WAIT_S))
            if told.get("id") == self._number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._hear(told)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script: str) -> Any:
        """The value of an expression once it is true."""
        ends_s = time.monotonic() + WAIT_S
        while not (value := self.run(script)):
            assert time.monotonic() < ends_s, f"never true: {script}"
            time.sleep(0.02)
        return value

    def open(self, address: str) -> None:
        """Go to an address; what only differs behind the # is loaded anew too."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)

    def size(self, width: int, height: int, *, scheme: str = "light") -> None:
        """Of the window, in pixels, and whether the reader wants it light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        """A key, down and up."""
        code, number = _CODES[key] if key in _CODES else (f"Key{key.upper()}", ord(key.upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        about = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def write(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def shot(self) -> bytes:
        """A picture of the window, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def overflow(self) -> list[str]:
        """What sticks out of the window to the side."""
        found: list[str] = self.run(
            "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('svg') && "
            "(e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5))"
            ".map(e => e.tagName + '#' + e.id).concat("
            "document.documentElement.scrollWidth > innerWidth ? ['the whole page'] : [])"
        )
        return found

    def _hear(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif told.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])


class Chromium:
    """A browser with one page, until its `with` ends."""

    def __init__(self, folder: Path) -> None:
        program = found()
        assert program is not None, NOT_THERE
        self._process = subprocess.Popen(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--no-first-run", "--hide-scrollbars", "--remote-debugging-port=0",
                f"--user-data-dir={folder}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._port_file = folder / "DevToolsActivePort"

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Its page."""
        with connect(self._page_address(), max_size=None) as socket:
            yield Page(socket)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()

    def _page_address(self) -> str:
        ends_s = time.monotonic() + START_S
        while True:
            assert time.monotonic() < ends_s and self._process.poll() is None, "chromium did not start"
            try:
                port = int(self._port_file.read_text().splitlines()[0])
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=WAIT_S) as answer:
                    pages = [one for one in json.load(answer) if one["type"] == "page"]
                return str(pages[0]["webSocketDebuggerUrl"])
            except (OSError, ValueError, IndexError):
                time.sleep(0.05)
