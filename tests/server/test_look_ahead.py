"""Sessions of a model that also reads backward: results come some items later, with the index of their item."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Serving
from websockets.sync.client import connect

from made_sentences import sentences
from recurra import Tagger
from recurra.client import Client
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.server.session import Session
from recurra.server.sqlite_store import SqliteStore
from recurra.server.stepping import Step, Stepping
from recurra.streaming import ItemStream

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")

ITEMS: list[Any] = ["Ann", "sees", "Bob", "in", "Rome", None, "Bob", None]
COUNTS = [0, 0, 1, 1, 1, 2, 0, 1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of a tagger that reads sentences in both directions."""
    folder = tmp_path_factory.mktemp("made") / "run"
    Tagger(hidden_size=12, max_steps=2, device="cpu", batch_size=8).fit(sentences(12), progress=False).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def models(run: str) -> dict[str, ServedModel]:
    return load_models([run], look_ahead=2)


@pytest.fixture
def server(models: dict[str, ServedModel], tmp_path: Path) -> Iterator[Serving]:
    with Serving(models, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}", look_ahead=2)) as server:
        yield server


def _stream(models: dict[str, ServedModel]) -> ItemStream:
    stream = models["run"].stream
    assert stream is not None
    return stream


def _expected(models: dict[str, ServedModel]) -> list[Any]:
    stream = _stream(models)
    state = stream.new_state()
    return [json.loads(json.dumps(stream.step([item], [state])[0])) for item in ITEMS]


def test_without_a_look_ahead_the_reason_says_what_to_write(run: str) -> None:
    model = load_models([run])["run"]
    assert model.stream is None
    assert "`recurra serve RUN --look-ahead 8`" in model.reason


def test_a_session_answers_as_the_stream(models: dict[str, ServedModel], server: Serving) -> None:
    expected = _expected(models)
    assert [len(one) for one in expected] == COUNTS
    assert [answer["index"] for one in expected for answer in one] == [0, 1, 2, 3, 4, 0]
    (listed,) = server.get("/v1/models").json["models"]
    assert (listed["streams"], listed["ends"]) == (True, True)
    assert "null" in listed["item"]
    session = server.session(model="run")
    for number, (item, result) in enumerate(zip(ITEMS, expected, strict=True), start=1):
        refused = server.step(session, number, 7)
        assert (refused.status, refused.code) == (422, "invalid_item")
        for _ in range(2):  # sent again it is answered again
            answer = server.step(session, number, item)
            assert (answer.status, answer.json["result"]) == (200, result)
    with connect(f"ws://127.0.0.1:{server.port}{server.session(model='run')}/socket") as socket:
        for number, (item, result) in enumerate(zip(ITEMS, expected, strict=True), start=1):
            socket.send(json.dumps({"step": number, "item": item}))
            assert json.loads(socket.recv(20)) == {"step": number, "result": result}
    with Client(server.url).open("run") as opened:
        assert [opened.step(item) for item in ITEMS] == expected


def test_a_state_begins_another_session(models: dict[str, ServedModel], server: Serving) -> None:
    session = server.session(model="run")
    for number, item in enumerate(ITEMS[:4], start=1):
        server.step(session, number, item)
    state = server.get(f"{session}/state").json["state"]
    begun = server.post("/v1/models/run/sessions", {"state": state}).json["session"]
    other = f"/v1/models/run/sessions/{begun}"
    answers = [server.step(other, number, item).json["result"] for number, item in enumerate(ITEMS[4:], start=1)]
    assert answers == _expected(models)[4:]


def test_clients_cannot_run_its_steps(server: Serving) -> None:
    (listed,) = server.get("/v1/models").json["models"]
    assert "steps ahead" in listed["server_only"]
    assert server.get("/v1/models/run/module").code == "server_only"


def test_a_result_does_not_depend_on_the_batch(models: dict[str, ServedModel], tmp_path: Path) -> None:
    stream = _stream(models)
    store = SqliteStore(tmp_path / "sessions.db", 60.0)
    stepping = Stepping("run", stream, store, 10)
    names = [f"s{k}" for k in range(11)]
    for name in (*names, *(f"alone {name}" for name in names)):
        store.create(Session(name, "run", "", 0, stream.new_state().to_bytes()), 100)
    for number in range(1, 9):
        items = [ITEMS[(k + number) % len(ITEMS)] for k in range(len(names))]
        together = stepping([Step(name, "", number, item) for name, item in zip(names, items, strict=True)])
        for name, item, result in zip(names, items, together, strict=True):
            assert stepping([Step(f"alone {name}", "", number, item)]) == [result]
    stored = store.load([*names, *(f"alone {name}" for name in names)])
    assert all(stored[name].state == stored[f"alone {name}"].state for name in names)
    store.close()
