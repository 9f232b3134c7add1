"""A headless Chromium, driven over a pipe by its DevTools protocol: no driver, no library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 30.0
DESKTOP = (1440, 900)
PHONE = (390, 844)


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Screen:
    """What a page is shown on."""

    size: tuple[int, int] = DESKTOP
    dark: bool = False
    is_phone: bool = False


class Chromium:
    """A browser with one page.

    Messages are JSON, each ended by a zero byte: to the browser on its descriptor 3, back on 4.
    """

    def __init__(self, program: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def place_pipes() -> None:
            # By way of high numbers: either may be 3 or 4 already.
            for source, place in ((to_browser, 93), (from_browser, 94), (93, 3), (94, 4)):
                os.dup2(source, place)

        command = [program, "--headless=new", "--no-sandbox", "--remote-debugging-pipe"]
        command += ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        command += ["--no-first-run", f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=place_pipes,  # noqa: PLW1509 - system calls only
        )
        os.close(to_browser)
        os.close(from_browser)
        self._pending = b""
        self._number = 0
        self.console: list[str] = []  # errors and exceptions of the page
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attach = {"targetId": page["targetId"], "flatten": True}
        self._session = self._call("Target.attachToTarget", attach)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def open(self, url: str, screen: Screen | None = None) -> None:
        """Load a page on a given screen."""
        screen = screen or Screen()
        width, height = screen.size
        scale = 2 if screen.is_phone else 1
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.call("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": screen.is_phone})
        self.call("Emulation.setTouchEmulationEnabled", {"enabled": screen.is_phone})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.call("Page.navigate", {"url": url})

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of its promise, in the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression of the page is true."""

        def is_true() -> bool:
            try:
                return bool(self.evaluate(f"Boolean({expression})"))
            except RuntimeError:  # the page is not there yet
                return False

        wait_until(is_true, expression)

    def screenshot(self, path: Path, whole_page: bool = False) -> None:
        """Save what the page looks like as PNG."""
        asked = {"format": "png", "captureBeyondViewport": whole_page}
        if whole_page:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            asked["clip"] = {**size, "scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", asked)["data"]))

    def key(self, key: str, code: str) -> None:
        """Press a key."""
        asked = {"key": key, "code": code, "text": key if len(key) == 1 else ""}
        self.call("Input.dispatchKeyEvent", {**asked, "type": "keyDown"})
        self.call("Input.dispatchKeyEvent", {**asked, "type": "keyUp"})

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> Any:
        """Call a method of the protocol on the page."""
        return self._call(method, parameters, self._session)

    def _call(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._read(deadline)
            self._note(answer)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            if not select([self._from], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise RuntimeError("Chromium has ended")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(parameters["exceptionDetails"])[:2000])
        if message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.console.append(f"{entry['text']} {entry.get('url', '')}")


def wait_until(value: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return what a function returns as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = value()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"never came true: {what}")
