"""Thousands of WebSocket sessions in one process, each with little work: the load of a measurement of servers."""

import asyncio
import json
import struct
from collections.abc import Callable, Sequence

__all__ = ["Load", "measure_load"]


class Load:
    """What a measurement saw.

    Attributes:
        seconds: from a step's message to its answer, of each that is answered within the window.
        window: seconds.
        steps: answered in all, before the window and after it too.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.window, self.steps = 0.0, 0

    @property
    def rate(self) -> float:
        """Steps a second."""
        return len(self.seconds) / self.window

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


class _Connection(asyncio.Protocol):
    """One session: a step, its answer, the next step; as soon as possible, or at its own times.

    Frames are made here, which costs a fraction of a library that checks them.
    """

    def __init__(self, path: str, items: Sequence[str], answered: Callable[[float, float], None], pace: float) -> None:
        self._path, self._items, self._answered, self._pace = path, items, answered, pace
        self._loop = asyncio.get_running_loop()
        self.opened, self.closed = self._loop.create_future(), self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._received, self._is_open, self.steps, self._sent, self.stopped = b"", False, 0, 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        lines = (
            *(f"GET {self._path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""),
        )
        transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open:
            head, found, self._received = self._received.partition(b"\r\n\r\n")
            if not found:
                self._received = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.opened.set_exception(RuntimeError(f"refused: {head[:200]!r}"))
                return
            self._is_open = True
            self.opened.set_result(None)
        while (message := self._next_message()) is not None:
            now = self._loop.time()
            if b'"error"' in message:
                raise RuntimeError(f"refused: {message[:300]!r}")
            self._answered(self._sent, now)
            if self.stopped:
                continue
            if self._pace:
                self._loop.call_later(max(0.0, self._sent + self._pace - now), self.send)
            else:
                self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before it was open"))
        self.closed.set_result(None)

    def send(self) -> None:
        """Send the next step."""
        if self.stopped or self._transport is None:
            return
        self.steps += 1
        item = self._items[self.steps % len(self._items)]
        content = json.dumps({"step": self.steps, "item": item}).encode()
        assert len(content) < 126
        self._sent = self._loop.time()
        # Of a final frame of text, masked with zeros.
        self._transport.write(bytes((0x81, 0x80 | len(content), 0, 0, 0, 0)) + content)

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _next_message(self) -> bytes | None:
        received = self._received
        if len(received) < 2:
            return None
        length, start = received[1], 2
        if length == 126:
            if len(received) < 4:
                return None
            (length,), start = struct.unpack(">H", received[2:4]), 4
        if length == 127 or len(received) < start + length:
            return None
        self._received = received[start + length :]
        kind = received[0] & 0x0F
        return received[start : start + length] if kind == 1 else self._next_message()  # pings are left unanswered


async def measure_load(
    port: int,
    paths: Sequence[str],
    items: Sequence[str],
    seconds: float,
    pace: float = 0.0,
    when_open: Callable[[], None] = lambda: None,
) -> Load:
    """Step sessions all at once, for a time.

    Args:
        port: of the server, on loopback.
        paths: of the sessions' WebSockets.
        items: of which each session sends one after the other.
        seconds: to measure, after a fifth of it has passed unmeasured.
        pace: seconds between two steps of a session; 0: each step follows the answer before it.
        when_open: called when all sessions are connected.
    """
    loop, load = asyncio.get_running_loop(), Load()
    begin = end = float("inf")

    def answered(sent: float, now: float) -> None:
        load.steps += 1
        if begin <= now < end:
            load.seconds.append(now - sent)

    connections = [_Connection(path, items, answered, pace) for path in paths]
    for start in range(0, len(connections), 100):
        chosen = connections[start : start + 100]
        await asyncio.gather(
            *(loop.create_connection(lambda one=one: one, "127.0.0.1", port) for one in chosen),
        )
        await asyncio.gather(*(one.opened for one in chosen))
    when_open()
    for k, one in enumerate(connections):
        loop.call_later(pace * k / len(connections), one.send)
    begin = loop.time() + seconds / 5 + pace
    end = begin + seconds
    await asyncio.sleep(end - loop.time())
    load.window = seconds
    for one in connections:
        one.stopped = True
    await asyncio.sleep(0.5)
    for one in connections:
        one.close()
    await asyncio.gather(*(one.closed for one in connections))
    return load
