"""Slow clients and too many of them: what the server waits for, what it says, and that others are served meanwhile."""

import json
import socket
import time
from typing import Any

import pytest
from serving import Serve, Serving
from websockets.sync.client import connect

HEAD = b"POST /v1/models/book/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def _connected(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def _answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and the error of an answer, after which the connection is closed."""
    content = b""
    while piece := client.recv(65_536):
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "sent",
    [b"GET /healthz HT", HEAD, HEAD + b"Content-Length: 2\r\n\r\n", HEAD + b"Content-Length: 2\r\n\r\n{"],
    ids=["half a line", "half a header", "no body", "half a body"],
)
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"], ids=["first", "second"])
def test_half_a_request_is_not_waited_for(serve: Serve, sent: bytes, before: bytes) -> None:
    server = serve(receive_seconds=0.5)
    with _connected(server) as client:
        if before:
            client.sendall(before)
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        client.sendall(sent)
        status, error = _answer(client)
        assert (status, error["code"]) == (408, "too_slow")
        assert time.monotonic() - began > 0.3
    assert server.post("/v1/models/book/sessions", {}).status == 201


def test_drops_do_not_prolong_it(serve: Serve) -> None:
    server = serve(receive_seconds=0.6)
    with _connected(server) as client:
        began = time.monotonic()
        for byte in HEAD:
            try:
                client.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
            if time.monotonic() - began > 1.5:
                break
        client.settimeout(5)
        try:
            content = client.recv(65_536)
        except ConnectionResetError:
            content = b"HTTP/1.1 408"
        assert content.startswith(b"HTTP/1.1 408")


def test_a_connection_that_says_nothing_is_closed(serve: Serve) -> None:
    server = serve(receive_seconds=0.3)
    with _connected(server) as client:
        assert client.recv(100) == b""


def test_an_idle_connection_is_closed_in_its_own_time(serve: Serve) -> None:
    server = serve(receive_seconds=0.3, keep_alive_seconds=1)
    with _connected(server) as client:
        for _ in range(2):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)
        assert client.recv(100) == b""


def test_a_websocket_may_be_silent(serve: Serve) -> None:
    server = serve(receive_seconds=0.3, keep_alive_seconds=1)
    with connect(f"ws://127.0.0.1:{server.port}{server.session()}/socket") as client:
        time.sleep(1.3)
        client.send(json.dumps({"step": 1, "item": "fox"}))
        assert json.loads(client.recv(20))["step"] == 1


def test_a_slow_step_is_waited_for(serve: Serve) -> None:
    server = serve(receive_seconds=0.2, deadline_ms=800.0)
    assert server.step(server.session(), 1, "fox").status == 200


def test_connections_are_bounded(serve: Serve) -> None:
    server = serve(max_connections=3)
    clients = [_connected(server) for _ in range(3)]
    for client in clients:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    with _connected(server) as surplus:
        surplus.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        status, error = _answer(surplus)
        assert (status, error["code"], error["retry_after"]) == (503, "too_many_connections", 1)
    with _connected(server) as silent:
        assert silent.recv(100) == b""
    for client in clients:
        client.close()
    end = time.monotonic() + 10
    while server.get("/healthz").status != 200:
        assert time.monotonic() < end
