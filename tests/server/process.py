"""`recurra serve` as a process, which can be killed at any moment."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


class ServerProcess:
    """A server of one run, as a context that ends it.

    Attributes:
        port: that it listens at.
        log: its lines of JSON so far.
    """

    def __init__(self, run: Path, *options: str) -> None:
        command = [sys.executable, "-m", "recurra", "serve", str(run), *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log: list[dict[str, Any]] = []
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(60), self.log
        (listening,) = [line for line in self.log if line["message"] == "listening"]
        self.port: int = listening["port"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit status; that of a signal is negative."""
        status = self._process.wait(30)
        self._reader.join(10)
        return status

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.wait()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["message"] == "listening":
                self._listening.set()
        self._process.stderr.close()
        self._listening.set()
