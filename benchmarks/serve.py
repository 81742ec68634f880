"""`recurra serve` under thousands of sessions on loopback: steps a second, latency, memory a session.

Micro-batching beside one by one, and beside the same model in a plain FastAPI handler with torch.nn. A language model
with an LSTM is trained for a few steps first; an item is one character. Server and load run in a process each.
"""

import asyncio
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import recurra
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._socket_load import Load, measure_load

REDIS = shutil.which("redis-server")
SERVERS: tuple[tuple[str, list[str]], ...] = (
    ("recurra serve, sqlite", []),
    ("recurra serve, sqlite, one by one", ["--max-batch=1", "--deadline-ms=0"]),
    ("recurra serve, redis", ["--store=redis"]),
)
TEXT = "the quick brown fox jumps over the lazy dog. " * 400


@dataclass(frozen=True)
class Server:
    """A process that serves.

    Attributes:
        process: id.
        port: on loopback.
        store: file of its sessions; None: it stores none.
    """

    process: int
    port: int
    store: Path | None

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def processor_seconds(self) -> float:
        """That the process has used."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--window", type=float, default=10.0, help="seconds of each measurement")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between steps of a session, at the paced load")


def measure(options: Namespace, report: Report) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    table = report.table(
        f"{options.sessions} sessions, LSTM of {options.hidden}, a character a step",
        {
            "server": "42s",
            "steps a second": "8,.0f",
            "p50, ms": "8.1f",
            "p99, ms": "8.1f",
            "processor a step, µs": "6.0f",
            "memory a session, KiB": "6.1f",
            "store a session, KiB": "6.1f",
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "model"
        _train(options.hidden, run)
        rates = {}
        for name, arguments in SERVERS:
            if "redis" in name and REDIS is None:
                print("(redis-server is not installed)")
                continue
            for pace in (0.0, options.pace):
                with _recurra_serve(run, Path(folder), arguments) as server:
                    paths = _open_sessions(server.port, options.sessions)
                    row, load = _measured(server, paths, options, pace)
                table.add(_named(name, pace), *row)
                rates[name, pace] = load.rate
        for pace in (0.0, options.pace):
            with _plain(run) as server:
                row, load = _measured(server, ["/socket"] * options.sessions, options, pace)
            table.add(_named("plain FastAPI with torch.nn, nothing stored", pace), *row)
            rates["plain", pace] = load.rate
    fastest = rates["recurra serve, sqlite", 0.0]
    print(f"\nmicro-batching over one by one: {fastest / rates['recurra serve, sqlite, one by one', 0.0]:.2f} times")
    print(f"micro-batching over plain FastAPI with torch.nn: {fastest / rates['plain', 0.0]:.2f} times")


def _named(name: str, pace: float) -> str:
    return f"{name}, a step each {pace:g} s" if pace else name


def _measured(server: Server, paths: list[str], options: Namespace, pace: float) -> tuple[list[float | None], Load]:
    memory, used = [server.memory], [0.0]

    def when_open() -> None:
        memory.append(server.memory)
        used[0] = server.processor_seconds

    load = asyncio.run(measure_load(server.port, paths, _items(), options.window, pace, when_open))
    memory.append(server.memory)
    stored = None
    if server.store is not None:
        files = (server.store, server.store.with_name(server.store.name + "-wal"))
        stored = sum(file.stat().st_size for file in files if file.exists()) / len(paths) / 1024
    a_session = (max(memory[1:]) - memory[0]) / len(paths) / 1024
    a_step = 1e6 * (server.processor_seconds - used[0]) / load.steps
    return [load.rate, load.percentile(50), load.percentile(99), a_step, a_session, stored], load


def _items() -> list[str]:
    return list(TEXT[:90])


def _train(hidden: int, folder: Path) -> None:
    model = recurra.LanguageModel(hidden_size=hidden, max_steps=4, batch_size=4, device="cpu")
    model.fit({"train": TEXT, "validation": TEXT[:2000]}, progress=False).save(folder)


@contextmanager
def _recurra_serve(run: Path, folder: Path, arguments: list[str]) -> Iterator[Server]:
    port = _free_port()
    command = [sys.executable, "-m", "recurra", "serve", str(run), f"--port={port}"]
    if "--store=redis" in arguments:
        assert REDIS is not None
        at = _free_port()
        # Every change is on the disk before it is answered, as with SQLite.
        settings = [f"--port {at}", f"--dir {folder}", "--appendonly yes", "--appendfsync always"]
        with (
            _process([REDIS, *" ".join(settings).split(), "--save", ""], at),
            _process([*command, f"--store=redis://127.0.0.1:{at}/0"], port) as process,
        ):
            yield Server(process, port, None)
        return
    store = folder / f"sessions-{port}.db"
    with _process([*command, f"--store=sqlite:{store}", *arguments], port) as process:
        yield Server(process, port, store)


@contextmanager
def _plain(run: Path) -> Iterator[Server]:
    port = _free_port()
    with _process([sys.executable, "-m", "benchmarks._plain_server", str(run), str(port)], port) as process:
        yield Server(process, port, None)


@contextmanager
def _process(command: list[str], port: int) -> Iterator[int]:
    with subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.1)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _open_sessions(port: int, count: int) -> list[str]:
    """The paths of new sessions' WebSockets."""
    connection, paths = http.client.HTTPConnection("127.0.0.1", port), []
    for _ in range(count):
        connection.request("POST", "/v1/models/model/sessions", b"{}", {"Content-Type": "application/json"})
        made = json.loads(connection.getresponse().read())
        paths.append(f"/v1/models/model/sessions/{made['session']}/socket")
    connection.close()
    return paths


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
