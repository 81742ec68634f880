"""Malformed requests: a precise 4xx in one form, no leak, and a session that is unharmed."""

import asyncio
import json
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Answer, Serve, Serving
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from recurra.server import ServerOptions
from recurra.server.refusal import Refusal
from recurra.server.served_model import ServedModel
from recurra.server.strict_json import read_json, write_json

LEAKS = (b"Traceback", b"recurra.server", b"/src/", b"site-packages", b'File "', b"sqlite", b"0x7f", b".py")


@pytest.fixture(scope="module")
def server(models: dict[str, ServedModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    store = f"sqlite:{tmp_path_factory.mktemp('malformed') / 's.db'}"
    with Serving(models, ServerOptions(port=0, store=store, max_message_bytes=20_000)) as serving:
        yield serving


def _check_refusal(answer: Answer) -> None:
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"error"}
    assert answer.json["error"]["status"] == answer.status
    _check_no_leak(answer.content)


def _check_no_leak(content: bytes) -> None:
    for leak in (*LEAKS, os.getcwd().encode()):
        assert leak not in content, content


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid"),
        (b"{", 400, "invalid_json"),
        (b'{"step": 1, "item": NaN}', 400, "invalid_json"),
        (b'{"step": 1, "item": -Infinity}', 400, "invalid_json"),
        (b'{"step": 1, "item": 1e999}', 400, "invalid_json"),
        (b'{"step": 1, "item": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
        (b'{"step": 1, "item": "\\ud800"}', 400, "invalid_json"),
        (b'{"step": 1, "item": "\xff"}', 400, "invalid_json"),
        (b"\x00\x01\x02", 400, "invalid_json"),
        (b"[" * 9000, 400, "invalid_json"),
        (b'{"step": 1, "item": ' + b"[" * 900 + b"]" * 900 + b"}", 422, "invalid_item"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'{"item": "fox"}', 422, "invalid"),
        (b'{"step": 1}', 422, "invalid"),
        (b'{"step": 0, "item": "fox"}', 422, "invalid"),
        (b'{"step": -1, "item": "fox"}', 422, "invalid"),
        (b'{"step": 1.0, "item": "fox"}', 422, "invalid"),
        (b'{"step": true, "item": "fox"}', 422, "invalid"),
        (b'{"step": "1", "item": "fox"}', 422, "invalid"),
        (b'{"step": 99999999999999999999, "item": "fox"}', 422, "invalid"),
        (b'{"step": 1, "item": "fox", "more": 1}', 422, "invalid"),
        (b'{"step": 1, "item": null}', 422, "invalid_item"),
        (b'{"step": 1, "item": []}', 422, "invalid_item"),
        (b'{"step": 1, "item": 1e308}', 422, "invalid_item"),
        (b'{"step": 1, "item": {"a": [1]}}', 422, "invalid_item"),
        (b'{"step": 1, "item": ""}', 422, "invalid_item"),
        (b'{"step": 1, "item": "\\u0000"}', 422, "invalid_item"),
        (b'{"step": 1, "item": "' + b"a" * 30_000 + b'"}', 413, "too_large"),
        (b'{"step": 1, "item": "' + b"a" * 10_000 + b'"}', 413, "item_too_long"),
    ],
    ids=lambda value: (
        None if isinstance(value, int) else value[:40].decode("latin-1") if isinstance(value, bytes) else value
    ),
)
def test_a_malformed_step_is_refused(server: Serving, body: bytes, status: int, code: str) -> None:
    session = server.session()
    refused = server.post(f"{session}/step", body)
    _check_refusal(refused)
    assert (refused.status, refused.code) == (status, code)
    assert server.get(session).json["step"] == 0
    assert server.step(session, 1, "fox").status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"])
def test_another_media_type_is_refused(server: Serving, kind: str) -> None:
    refused = server.post("/v1/models/book/predict", b'{"data": "a"}', Content_Type=kind)
    _check_refusal(refused)
    assert refused.status == 415


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/page/../app.py", 404),
        ("GET", "/page/%2e%2e/app.py", 404),
        ("GET", "/v1/models/other", 404),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/healthz", 405),
        ("POST", "/v1/models/other/sessions", 404),
        ("POST", "/v1/models/%00/predict", 404),
        ("POST", "/v1/models/book/sessions/x/step", 404),
        ("GET", "/v1/models/book/sessions/%27%20OR%201=1", 404),
        ("GET", "/v1/models/book/sessions/" + "A" * 22, 404),
        ("GET", "/v1/models/book/sessions/" + "A" * 5000, 404),
    ],
)
def test_what_is_not_there_is_refused(server: Serving, method: str, path: str, status: int) -> None:
    bodies: dict[str, Any] = {"sessions": {}, "predict": {"data": "a"}, "step": {"step": 1, "item": "a"}}
    body = bodies[path.rpartition("/")[2]] if method == "POST" else None
    refused = server.request(method, path, body)
    _check_refusal(refused)
    assert refused.status == status


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_bodies = st.one_of(
    st.binary(max_size=60),
    _json.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"step": _json, "item": _json}).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"step": st.just(1), "item": _json}).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"data": _json}).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"state": _json}).map(lambda value: json.dumps(value).encode()),
)


@given(st.sampled_from(["step", "predict", "sessions"]), _bodies)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_answered(server: Serving, route: str, body: bytes) -> None:
    _send_any(server, route, body)


def _send_any(server: Serving, route: str, body: bytes) -> None:
    session = server.session()
    path = f"{session}/step" if route == "step" else f"/v1/models/book/{route}"
    answer = server.post(path, body)
    _check_no_leak(answer.content)
    if answer.status < 400:
        assert answer.json
    else:
        _check_refusal(answer)
    if route == "step" and answer.status != 200:
        assert server.step(session, 1, "fox").status == 200
    server.request("DELETE", session)


@pytest.mark.parametrize(
    "head", [b"", b"GET", b"\x16\x03\x01", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"A" * 100_000, b"\r\n" * 50]
)
def test_what_is_not_http_harms_nobody(server: Serving, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
        try:
            raw.sendall(head)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(65_536)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    _check_no_leak(answer)
    assert server.get("/healthz").status == 200


def test_an_unknown_version_of_http_is_refused(server: Serving) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
        raw.sendall(b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"http_version"' in answer


def _message(chance: random.Random) -> str | bytes:
    """A message of a WebSocket: of random bytes, or a good one with a fault."""
    item: Any = chance.choice([None, 1, -1.5, "", "fox", "§", "\ud800", [], {}, [[1]], {"a": 1}, "x" * 500, True])
    step: Any = chance.choice([None, 0, -1, 2, 10**30, 1.5, "1", [], True, 7])
    values: Any = chance.choice([{"step": step, "item": item}, {"step": 3}, {"item": item}, [step, item], item, step])
    text = json.dumps(values)
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(60))
    if kind == 1:
        at = chance.randrange(len(text) + 1)
        return text[:at] + chance.choice(["", "\x00", "}", '"', "NaN", "1e999", "\\u12", "[[[["]) + text[at + 1 :]
    return text if kind < 4 else text.encode("utf-8", "surrogatepass")


async def _fuzz(server: Serving, session: str, count: int, seed: int) -> dict[int, int]:
    """Send malformed messages to a session; how often each status came back."""
    chance, statuses = random.Random(seed), dict[int, int]()
    url = f"ws://127.0.0.1:{server.port}{session}/socket"
    sent = 0
    while sent < count:
        try:
            async with connect(url, compression=None) as one:
                while sent < count:
                    sent += 1
                    await one.send(_message(chance))
                    answer = json.loads(await asyncio.wait_for(one.recv(), 20))
                    _check_no_leak(json.dumps(answer).encode())
                    status = answer["error"]["status"] if "error" in answer else 200
                    statuses[status] = statuses.get(status, 0) + 1
        except WebSocketException:
            statuses[1000] = statuses.get(1000, 0) + 1
    return statuses


def test_malformed_messages_are_answered(server: Serving) -> None:
    session = server.session()
    server.step(session, 1, "fox")
    statuses = asyncio.run(_fuzz(server, session, 300, 5))
    assert set(statuses) <= {200, 400, 409, 413, 422}
    assert statuses[400] > 20
    assert statuses[422] > 20
    assert server.get("/healthz").status == 200


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_malformed_requests_leave_no_trace(serve: Serve) -> None:
    server = serve(max_message_bytes=20_000)

    async def rounds(first: int) -> None:
        sessions = [server.session() for _ in range(4)]
        found = await asyncio.gather(*(_fuzz(server, one, 1000, first + k) for k, one in enumerate(sessions)))
        assert {status for statuses in found for status in statuses} <= {200, 400, 409, 413, 422}
        for one in sessions:
            server.request("DELETE", one)

    chance = random.Random(8)

    def requests(count: int) -> None:
        for _ in range(count):
            message = _message(chance)
            body = message if isinstance(message, bytes) else message.encode("utf-8", "surrogatepass")
            _send_any(server, chance.choice(["step", "predict", "sessions"]), body)
            server.app.service._store.expire()

    asyncio.run(rounds(100))
    requests(500)
    before = _memory()
    asyncio.run(rounds(200))
    asyncio.run(rounds(300))
    requests(1500)
    assert _memory() - before < 30_000_000
    metrics = server.get("/metrics").content.decode()
    assert 'code="internal"' not in metrics
    assert 'status="5' not in metrics


@given(_json)
def test_strict_json_reads_what_it_writes(value: Any) -> None:
    try:
        text = write_json(value)
    except ValueError:  # a number that is not finite
        return
    try:
        content = text.encode()
    except UnicodeEncodeError:
        return
    assert read_json(content) == value


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e400", "-1e999", '"\\udc00"', "9" * 4400, "'a'"]
)
def test_strict_json_refuses(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_json(text)
    assert (refused.value.status_code, refused.value.code) == (400, "invalid_json")
