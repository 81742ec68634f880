"""Sessions of every task that streams: the items are the task's own."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from serving import Serving
from websockets.sync.client import connect

from made_sentences import sentences
from recurra import Classifier, Forecaster, Regressor, Tagger
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import load_models

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


def _run(estimator: Any, data: Any, folder: Path, truth: Any = None) -> str:
    estimator.fit(data, *(() if truth is None else (truth,)), progress=False).save(folder)
    return str(folder)


def _observations(count: int) -> list[dict[str, Any]]:
    days = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=k) for k in range(count)]
    return [{"ds": day.isoformat(), "y": float(np.sin(k) + 2)} for k, day in enumerate(days)]


def _made(kind: str, folder: Path) -> tuple[str, list[Any]]:
    """A run of a small model, and items for a session of it."""
    small: dict[str, Any] = {"hidden_size": 4, "max_steps": 2, "device": "cpu"}
    one_way: dict[str, Any] = {**small, "bidirectional": False, "batch_size": 8}
    if kind == "tag":
        return _run(Tagger(**one_way), sentences(12), folder), ["Ann", "sees", "Bob", "unheard-of"]
    if kind == "forecast":
        rows = _observations(60)
        frame = pl.DataFrame(rows).with_columns(pl.col("ds").str.to_datetime())
        return _run(Forecaster(horizon=2, **small), frame, folder), [*rows[:12], rows[14], {**rows[15], "y": None}]
    if kind in ("classify texts", "classify labels of texts"):
        texts = ["not bad at all", "bad indeed", "all good", "good and bad", "not at all good"] * 4
        labels = [[one for one in ("good", "bad") if one in text] for text in texts]
        classifier = Classifier(evidence=False, **one_way)
        truth = labels if "labels" in kind else [one[0] for one in labels]
        return _run(classifier, texts, folder, truth), ["not", "bad", "unheard-of", "!"]
    generator = np.random.default_rng(0)
    series = [generator.standard_normal((9, 2)) for _ in range(20)]
    series[3][2, 1] = np.nan
    items = [[0.5, -1], {"2": 2.0, "1": -0.25}, [None, 1.5], [1e6, 0]]
    if kind == "classify series":
        labels = ["up" if np.nanmean(one) > 0 else "down" for one in series]
        return _run(Classifier(filters=0, normalization="channel", **one_way), series, folder, labels), items
    numbers = [float(np.nanmean(one)) for one in series]
    return _run(Regressor(filters=0, normalization="channel", **one_way), series, folder, numbers), items


KINDS = ("tag", "forecast", "classify texts", "classify labels of texts", "classify series", "regress")


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, list[Any]]:
    """The kind, a run of it, and items."""
    return request.param, *_made(request.param, tmp_path_factory.mktemp("made") / "run")


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
