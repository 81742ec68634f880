"""Limits on connections: how many there are, and how long a request may take to arrive."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recurra.server.options import ServerOptions
from recurra.server.refusal import Refusal
from recurra.server.strict_json import write_json

__all__ = ["protocol_of"]

_SURPLUS_SECONDS = 1.0  # after which a connection too many is closed that sends nothing


def protocol_of(options: ServerOptions) -> type[H11Protocol]:
    """uvicorn's HTTP with the limits of a server, which uvicorn has no settings for.

    A request has to arrive as a whole, headers and body, within `receive_seconds` of the connection or of the answer
    before it: a client that sends slower, or nothing, holds a connection for no longer. Between requests
    `keep_alive_seconds` is the limit. An upgraded WebSocket leaves both behind.

    Args:
        options: with the limits.
    """

    class LimitedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None
        _is_surplus = _is_upgraded = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._is_surplus = len(self.connections) > options.max_connections
            self._expect(_SURPLUS_SECONDS if self._is_surplus else options.receive_seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            self._expect(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._is_surplus:
                # What was sent has been read: the answer is not lost by a reset.
                self._refuse(Refusal(503, "too_many_connections", "the server has too many connections", 1))
                return
            super().data_received(data)
            self._update()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._is_upgraded = True
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._update()

        def _update(self) -> None:
            """Start the clock if a part of a request is there, stop it if a whole one is."""
            begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
            arriving = begun or self.conn.their_state is h11.SEND_BODY
            if self._is_upgraded or not arriving:
                self._expect(None)
            elif self._deadline is None:
                self._expect(options.receive_seconds)

        def _expect(self, seconds: float | None) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

        def _late(self) -> None:
            self._deadline = None
            silent = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
            is_answered = self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)
            if self._is_surplus or silent or is_answered:
                self.transport.close()
                return
            message = f"the request did not arrive within {options.receive_seconds:g} seconds"
            self._refuse(Refusal(408, "too_slow", message))

        def _refuse(self, refusal: Refusal) -> None:
            content = write_json(refusal.to_json()).encode()
            phrase = {408: "Request Timeout", 503: "Service Unavailable"}[refusal.status_code]
            headers = {
                "content-type": "application/json",
                "content-length": str(len(content)),
                "connection": "close",
                **(refusal.headers or {}),
            }
            lines = [f"HTTP/1.1 {refusal.status_code} {phrase}", *(f"{name}: {one}" for name, one in headers.items())]
            if not self.transport.is_closing():
                self.transport.write("\r\n".join([*lines, "", ""]).encode() + content)
                self.transport.close()

    return LimitedProtocol
