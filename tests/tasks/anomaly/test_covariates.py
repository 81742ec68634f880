"""Columns that the network reads beside the channels: they explain, and raise no alarm."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_machines import detections_of, hours, machine, tiny
from numpy.testing import assert_allclose, assert_array_equal

import recurra
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError
from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading

READING = AnomalyReading(covariates=("heat",))


def gappy(rows: int = 200, seed: int = 0) -> pl.DataFrame:
    """The machine, with missing values in a channel and in the covariate, which stands between the channels."""
    values = np.where(np.random.default_rng(seed).random((rows, 3)) < 0.1, np.nan, machine(rows, seed))
    values[:, 0] = machine(rows, seed)[:, 0]
    columns = {name: pl.Series(values[:, k]).fill_nan(None) for k, name in ((0, "speed"), (2, "heat"), (1, "current"))}
    return pl.DataFrame({"time": hours(rows)} | columns)


@pytest.fixture(
    scope="module",
    params=[{}, {"times": True}, {"members": 2}, {"detector": "reconstruction"}],
    ids=["alone", "times", "members", "autoencoder"],
)
def detector(request: pytest.FixtureRequest) -> AnomalyDetector:
    return tiny(**request.param).fit(gappy(), reading=READING, progress=False)


def test_a_covariate_is_read_and_not_judged(detector: AnomalyDetector, tmp_path: Path) -> None:
    data = gappy(150, 1)
    whole = detections_of(detector, data)
    assert whole.data.channels == ("speed", "current")
    assert whole.scored[0].parts.shape == (150, 2)
    assert set(whole.values["channel"]) <= {"speed", "current"}
    changed = data.with_columns(heat=pl.when(pl.Series(np.arange(150) >= 100)).then(1e3).otherwise("heat"))
    other = detections_of(detector, changed).scored[0]
    # In its own row the covariate says nothing: the forecast was made before. (An autoencoder has read the row.)
    known = 100 if detector.detector == "reconstruction" else 101
    assert_array_equal(other.scores[:known], whole.scored[0].scores[:known])
    assert (other.expected[101:] != whole.scored[0].expected[101:]).any()
    detector.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert again == detector
    assert again.predict(data).equals(whole.values)
    whole.write(tmp_path / "alarms.csv")
    with pytest.raises(DataError, match="heat"):
        detector.predict(data.drop("heat"))


def test_a_stream_reads_it_too(detector: AnomalyDetector) -> None:
    if detector.detector == "reconstruction":
        pytest.skip("an autoencoder is not streamed")
    data = gappy(120, 1)
    scored = detections_of(detector, data).scored[0]
    stream = detector.open_stream()
    state = stream.new_state()
    items = [row | {"time": 3600} for row in data.iter_rows(named=True)]
    if not detector.times:
        items = [{name: row[name] for name in ("speed", "current", "heat")} for row in items]
    results = [stream.step([item], [state])[0] for item in items]
    assert_allclose([one["score"] for one in results], scored.scores, rtol=1e-3, atol=1e-5)
    assert_allclose([one["fast"] for one in results], scored.distances, rtol=1e-3, atol=1e-5)
    assert results[-1]["expected"].keys() == {"speed", "current"}
    assert detector.view(data, row=100).loss
    if not detector.times:
        assert detector.export_network()[1]["covariates"] == ["heat"]


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    training, today = tmp_path / "a.csv", tmp_path / "b.csv"
    gappy().write_csv(training)
    gappy(120, 3).with_columns(label=pl.Series(np.arange(120) == 90).cast(int)).write_csv(today)
    options = ["--hidden-size", "4", "--max-steps", "3", "--batch-size", "4", "--horizon", "2"]
    run = str(tmp_path / "run")
    wanted = ["--data", str(training), "--out", run, "--covariates", "heat"]
    assert main(["train", "anomaly", *wanted, *options]) == 0
    assert "1 covariate" in capsys.readouterr().out
    assert main(["predict", run, "--data", str(today), "--out", str(tmp_path / "alarms.csv")]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(today.read_bytes())))
    assert main(["predict", run, "--data", "-"]) == 0
    live, whole = pl.read_csv(io.StringIO(capsys.readouterr().out)), pl.read_csv(tmp_path / "alarms.csv")
    assert_allclose(live["score"].to_numpy(), whole["score"].to_numpy(), rtol=1e-3, atol=1e-4)
    learned = json.loads((Path(run) / "learned.json").read_text(encoding="utf-8"))
    assert learned["covariates"] == ["heat"]


@pytest.mark.slow  # the isolation forest takes most of it
def test_simple_detectors_do_not_watch_it() -> None:
    own = tiny().fit(gappy(), reading=READING, progress=False)
    labels = (np.arange(150) == 100).astype(int)
    changed = gappy(150, 1).with_columns(pl.Series("label", labels))
    tables = [own.evaluate(one).methods for one in (changed, changed.with_columns(heat=pl.lit(50.0)))]
    assert tables[0]["model"] != tables[1]["model"]
    for name in tables[0].keys() - {"model"}:
        assert tables[0][name] == tables[1][name]


def test_arrays_have_covariates_last() -> None:
    own = tiny().fit(machine(), reading=READING, progress=False)
    assert own.fitted.learned.channels == ("1", "2")
    assert detections_of(own, machine(100, 1)).scored[0].parts.shape == (100, 2)


@pytest.mark.parametrize(
    ("reading", "error"),
    [
        ({"covariates": ("heat",), "channels": ("heat",)}, ParameterError),
        ({"covariates": ("heat",), "ignore": ("heat",)}, ParameterError),
        ({"covariates": ("hat",)}, DataError),
        ({"covariates": ("speed", "current", "heat")}, DataError),
    ],
)
def test_what_cannot_be(reading: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"heat|hat|channels|watch"):
        tiny().fit(gappy(), reading=AnomalyReading(**reading), progress=False)
