"""A headless Chromium that is spoken to over two pipes, by the protocol of its developer tools: JSON, each
message ended by a zero byte. So nothing is needed but the browser and this file.

    with Browser(directory) as browser:
        browser.open("http://127.0.0.1:9201/", width=1000, height=900)
        browser.value("document.title")
        browser.screenshot(path)
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.harness.servers import die_with_parent
from tests.harness.wait import eventually

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
    "--force-color-profile=srgb",
)  # fmt: skip
TO_BROWSER, FROM_BROWSER = 3, 4
"""Its descriptors"""


class Browser:
    def __init__(self, directory: Path) -> None:
        program = next(filter(None, map(shutil.which, PROGRAMS)))
        its_input, self._input = os.pipe()
        self._output, its_output = os.pipe()

        def take_pipes() -> None:
            die_with_parent()
            # By way of numbers that are neither of the two.
            first, second = os.dup(its_input), os.dup(its_output)
            os.dup2(first, TO_BROWSER)
            os.dup2(second, FROM_BROWSER)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={directory}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": str(directory)},
            close_fds=False,
            preexec_fn=take_pipes,
        )
        os.close(its_input)
        os.close(its_output)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.messages: list[dict[str, Any]] = []
        """Events, such as errors of scripts and what the page asks for"""
        (target,) = (
            each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        )
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        self._call("Browser.close")
        self._process.wait(20)
        os.close(self._input)
        os.close(self._output)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._input, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return dict(heard["result"])
            self.messages.append(heard)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._output, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def open(self, url: str, width: int, height: int) -> None:
        self.resize(width, height)
        self._call("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`"""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def value(self, expression: str) -> Any:
        """Of JavaScript, in the page. Promises are awaited."""
        told = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def press(self, key: str) -> None:
        """One of those that write nothing: `ArrowUp`, `End`, …"""
        for kind in ("rawKeyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def await_true(self, expression: str, timeout: float = 30) -> None:
        eventually(lambda: bool(self.value(expression)), expression, timeout=timeout)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    @property
    def complaints(self) -> list[str]:
        """Errors of scripts, and what the browser did not allow or did not get."""
        return [
            json.dumps(each["params"])
            for each in self.messages
            if each["method"] == "Runtime.exceptionThrown"
            or (each["method"] == "Log.entryAdded" and each["params"]["entry"]["level"] == "error")
        ]

    @property
    def asked_for(self) -> list[str]:
        return [
            each["params"]["request"]["url"]
            for each in self.messages
            if each["method"] == "Network.requestWillBeSent"
        ]
