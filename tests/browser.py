"""A headless Chromium that a test uses as a person would: with pointer and keyboard, over the DevTools protocol."""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
_KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    " ": (32, " "),
    "ArrowDown": (40, ""),
    "ArrowRight": (39, ""),
    "Escape": (27, ""),
}
_OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking "
    "--disable-component-update --disable-extensions --disable-sync --mute-audio --remote-debugging-port=0"
)


class Page:
    """A tab.

    Attributes:
        faults: what the browser reported of scripts, of the policy and of files that are missing.
        addresses: of every request.
    """

    def __init__(self, socket: Any, width: int, height: int, dark: bool, reduced_motion: bool) -> None:
        self._socket, self._id = socket, 0
        self.faults: list[str] = []
        self.addresses: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        features["prefers-reduced-motion"] = "reduce" if reduced_motion else "no-preference"
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=media)

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the DevTools protocol."""
        self._id += 1
        self._socket.send(json.dumps({"id": self._id, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(20))
            if message.get("id") == self._id:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> None:
        navigated = self.call("Page.navigate", url=url)
        assert "errorText" not in navigated, navigated
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or of the promise that it is."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, (expression, self.evaluate("document.body.innerText"), self.faults)
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """What a person reads in an element; empty if it is hidden."""
        return self.evaluate(f"{_node(selector)}.innerText")

    def click(self, selector: str) -> None:
        """Press the pointer on the middle of an element."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def move(self, x: float, y: float) -> None:
        """Move the pointer to a point of the window, in pixels."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def tap(self, x: float, y: float) -> None:
        """Touch a point of the window, and lift the finger."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, shift: bool = False) -> None:
        code, text = _KEYS.get(key, (0, ""))
        event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        node = _node(selector)
        self.evaluate(f"{node}.value = {json.dumps(value)}; {node}.dispatchEvent(new Event('change'))")

    def choose_file(self, selector: str, file: Path) -> None:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def drop_file(self, selector: str, file: Path) -> None:
        """Drag a file over an element and let it go."""
        x, y = self._middle(selector)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def accessibility(self) -> list[dict[str, Any]]:
        """The nodes of the accessibility tree that are not ignored."""
        return [node for node in self.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]

    def screenshot(self, file: Path) -> None:
        """Write a picture of the whole page, as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(picture["data"]))

    def _middle(self, selector: str) -> list[float]:
        """Where the middle of an element is, after it is scrolled into view."""
        return self.evaluate(
            "(node => { node.scrollIntoView({block: 'center'}); const box = node.getBoundingClientRect(); "
            f"return [box.x + box.width / 2, box.y + box.height / 2]; }})({_node(selector)})"
        )

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(parameters["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.faults.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif event["method"] == "Network.requestWillBeSent":
            self.addresses.append(parameters["request"]["url"])


def _node(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


class Browser:
    """Opens tabs, each without what the others know."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def page(
        self, width: int = 1280, height: int = 900, *, dark: bool = False, reduced_motion: bool = True
    ) -> Iterator[Page]:
        from websockets.sync.client import connect

        host = re.sub(r"/devtools/.*", "", self._url)
        with connect(self._url, max_size=None, compression=None) as socket:
            socket.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
            target = json.loads(socket.recv(20))["result"]["targetId"]
        with connect(f"{host}/devtools/page/{target}", max_size=None, compression=None) as socket:
            page = Page(socket, width, height, dark, reduced_motion)
            yield page
            page.call("Page.close")


@contextmanager
def browser(folder: Path, *options: str) -> Iterator[Browser]:
    """A Chromium with an empty profile; skips if there is none."""
    if PROGRAM is None:
        pytest.skip("Chromium is not installed (on Debian: apt install chromium)")
    command = [PROGRAM, *_OPTIONS.split(), *options, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield Browser(_address(folder / "DevToolsActivePort", process))
        finally:
            process.terminate()


def _address(file: Path, process: "subprocess.Popen[bytes]") -> str:
    """Where a Chromium listens, which it writes to a file of its profile."""
    end = time.monotonic() + 60
    while not file.exists() or file.read_text().count("\n") != 1:
        assert process.poll() is None, "chromium ended before it listened"
        assert time.monotonic() < end, "chromium does not listen"
        time.sleep(0.02)
    port, path = file.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"
