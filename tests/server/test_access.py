"""Tokens, owners, and what is refused from elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from serving import Serve, Serving
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from recurra.errors import ParameterError
from recurra.server import ServerOptions

TOKEN, OTHER = "token-of-the-first", "token-of-the-other"


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Serving:
    (tmp_path / "tokens").write_text(f"{TOKEN}\n{OTHER}\n")
    return serve(token_file=str(tmp_path / "tokens"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/models/book/predict"),
        ("POST", "/v1/models/book/sessions"),
        ("GET", "/v1/models/book/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
        ("POST", "/v1/models/book/sessions/AAAAAAAAAAAAAAAAAAAAAA/step"),
        ("GET", "/v1/models/book/sessions/AAAAAAAAAAAAAAAAAAAAAA/state"),
        ("DELETE", "/v1/models/book/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/nothing"),
    ],
)
def test_everything_but_health_needs_a_token(server: Serving, method: str, path: str) -> None:
    for token in ("", "wrong-token-of-some-length", TOKEN[:-1], TOKEN + "x"):
        refused = server.request(method, path, {} if method == "POST" else None, token=token)
        assert (refused.status, refused.code) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert server.request(method, path, {} if method == "POST" else None, token=TOKEN).status != 401


def test_health_and_the_page_need_none(server: Serving) -> None:
    assert [server.get(path).status for path in ("/healthz", "/readyz", "/", "/page/main.js")] == [200] * 4


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", TOKEN, f"Bearer {TOKEN} more", "Bearer \xe9" * 9])
def test_other_authorizations_are_refused(server: Serving, header: str) -> None:
    assert server.get("/v1/models", Authorization=header).status == 401


def test_a_session_belongs_to_the_token_that_made_it(server: Serving) -> None:
    session = server.session(TOKEN)
    answers = [
        server.step(session, 1, "the ", OTHER),
        server.get(session, token=OTHER),
        server.get(f"{session}/state", token=OTHER),
        server.request("DELETE", session, token=OTHER),
    ]
    unknown = server.get(f"{session[:-22]}{'A' * 22}", token=OTHER)
    for refused in answers:
        assert (refused.status, refused.content) == (unknown.status, unknown.content)
    assert server.step(session, 1, "the ", TOKEN).status == 200


def _connect(server: Serving, session: str, **more: Any) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}{session}/socket", **more)


def test_a_websocket_has_its_token_in_a_header_or_a_subprotocol(server: Serving) -> None:
    session = server.session(TOKEN)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with _connect(server, session, additional_headers=bearer) as socket:
        socket.send('{"step": 1, "item": "the "}')
        assert json.loads(socket.recv())["step"] == 1
    with _connect(server, session, subprotocols=["recurra.v1", f"bearer.{TOKEN}"]) as socket:
        assert socket.subprotocol == "recurra.v1"
        socket.send('{"step": 2, "item": "fox"}')
        assert json.loads(socket.recv())["step"] == 2


@pytest.mark.parametrize("protocols", [None, ["recurra.v1"], ["recurra.v1", f"bearer.{OTHER}"], ["bearer.x"]])
def test_a_websocket_with_another_token_is_refused(server: Serving, protocols: Any) -> None:
    session = server.session(TOKEN)
    with pytest.raises(InvalidStatus) as refused:
        _connect(server, session, subprotocols=protocols)
    assert refused.value.response.status_code == (404 if protocols and OTHER in protocols[-1] else 401)


def test_without_a_token_pages_of_other_sites_are_refused(serve: Serve) -> None:
    server = serve()
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "["}):
        refused = server.get("/v1/models", **headers)
        assert (refused.status, refused.code) == (403, "forbidden"), headers
    assert server.get("/v1/models", Origin=server.url).status == 200
    assert server.get("/v1/models", Host=f"localhost:{server.port}").status == 200
    session = server.session()
    with pytest.raises(InvalidStatus) as refused:
        _connect(server, session, origin="http://evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(ParameterError, match="host: expected a loopback address"):
        ServerOptions(host=host)
    assert ServerOptions(host=host, token=TOKEN).tokens() == [TOKEN]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_none_is_needed(host: str) -> None:
    assert ServerOptions(host=host).tokens() == []


@pytest.mark.parametrize(
    "token", ["short", "with spaces in the middle", "slashes/slashes/slashes", "ü" * 20, "a" * 257]
)
def test_tokens_of_another_form_are_refused(token: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="token") as refused:
        ServerOptions(token=token)
    assert token not in str(refused.value)
    (tmp_path / "tokens").write_text(f"{TOKEN}\n{token.replace(' ', '')[:15]}\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="token 2"):
        ServerOptions(token_file=str(tmp_path / "tokens")).tokens()


def test_a_file_of_tokens_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name, message in (("none", "none"), ("empty", "an empty file")):
        with pytest.raises(ParameterError, match=message):
            ServerOptions(token_file=str(tmp_path / name)).tokens()


@pytest.mark.parametrize("store", ["", "memory", "sqlite:", "http://example.org", "redis:", "redis://"])
def test_a_store_of_another_form_is_refused(store: str) -> None:
    with pytest.raises(ParameterError, match="store"):
        ServerOptions(store=store)
