"""Sessions of every task that streams: the items are the task's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from serving import Serving
from small_runs import made_run
from websockets.sync.client import connect

from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import load_models

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


KINDS = (
    "tag", "forecast", "classify texts", "classify labels of texts", "classify series", "regress", "sound", "speech",
    "anomaly", "draw", "music nade", "music events", "music stack",
)  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, list[Any]]:
    """The kind, a run of it, and items."""
    return request.param, *made_run(request.param, tmp_path_factory.mktemp("made") / "run")


def test_a_session_answers_as_the_stream(made: tuple[str, str, list[Any]], tmp_path: Path) -> None:
    kind, run, items = made
    models = load_models([run])
    stream = models["run"].stream
    assert stream is not None
    state = stream.new_state()
    expected = [json.loads(json.dumps(stream.step([item], [state])[0])) for item in items]
    with Serving(models, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")) as server:
        (listed,) = server.get("/v1/models").json["models"]
        assert (listed["task"], listed["streams"]) == (kind.split()[0], True)
        session = server.session(model="run")
        for number, (item, result) in enumerate(zip(items, expected, strict=True), start=1):
            answer = server.step(session, number, item)
            assert answer.status == 200, answer
            assert answer.json["result"] == result
        refused = server.step(session, len(items) + 1, {"ds": "soon", "y": 1})
        assert (refused.status, refused.code) == (422, "invalid_item")
        assert server.step(server.session(model="run"), 1, listed["example"]).status == 200
        _check_socket(server, items, expected)


def _check_socket(server: Serving, items: list[Any], expected: list[Any]) -> None:
    """The same items over a WebSocket, with one between them that cannot be read."""
    with connect(f"ws://127.0.0.1:{server.port}{server.session(model='run')}/socket") as socket:
        for number, (item, result) in enumerate(zip(items, expected, strict=True), start=1):
            socket.send(json.dumps({"step": number, "item": {"no": "item"}}))
            assert json.loads(socket.recv(20))["error"]["code"] == "invalid_item"
            socket.send(json.dumps({"step": number, "item": item}))
            assert json.loads(socket.recv(20)) == {"step": number, "result": result}
