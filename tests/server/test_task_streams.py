"""Sessions of every task that streams: the items are the task's own."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from serving import Serving

from made_sentences import sentences
from recurra import Forecaster, Tagger
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import load_models

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


def _run(estimator: Any, data: Any, folder: Path) -> str:
    estimator.fit(data, progress=False).save(folder)
    return str(folder)


def _observations(count: int) -> list[dict[str, Any]]:
    days = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=k) for k in range(count)]
    return [{"ds": day.isoformat(), "y": float(np.sin(k) + 2)} for k, day in enumerate(days)]


@pytest.mark.parametrize("task", ["tag", "forecast"])
def test_a_session_answers_as_the_stream(task: str, tmp_path: Path) -> None:
    if task == "tag":
        tagger = Tagger(hidden_size=4, max_steps=2, batch_size=8, device="cpu", bidirectional=False)
        run, items = _run(tagger, sentences(12), tmp_path / "run"), ["Ann", "sees", "Bob", "unheard-of"]
    else:
        rows = _observations(60)
        frame = pl.DataFrame(rows).with_columns(pl.col("ds").str.to_datetime())
        forecaster = Forecaster(horizon=2, max_steps=2, hidden_size=4, device="cpu")
        run, items = _run(forecaster, frame, tmp_path / "run"), [*rows[:12], rows[14], {**rows[15], "y": None}]
    models = load_models([run])
    stream = models["run"].stream
    assert stream is not None
    state = stream.new_state()
    with Serving(models, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")) as server:
        (listed,) = server.get("/v1/models").json["models"]
        assert (listed["task"], listed["streams"]) == (task, True)
        session = server.session(model="run")
        for number, item in enumerate(items, start=1):
            answer = server.step(session, number, item)
            assert answer.status == 200, answer
            assert answer.json["result"] == json.loads(json.dumps(stream.step([item], [state])[0]))
        refused = server.step(session, len(items) + 1, {"ds": "soon", "y": 1})
        assert (refused.status, refused.code) == (422, "invalid_item")
        assert server.step(server.session(model="run"), 1, listed["example"]).status == 200
