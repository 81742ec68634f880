"""Rows that come when they come: the detector reads the times between them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_machines import CHANNELS, detections_of, machine, tiny
from numpy.testing import assert_allclose, assert_array_equal

import recurra
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError, StreamError
from recurra.streaming import StreamState
from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading

START = np.datetime64("2024-03-01", "us")


def irregular(rows: int = 200, seed: int = 0) -> pl.DataFrame:
    """Rows of the machine whose gaps are from half a minute to ten hours, with missing values."""
    generator = np.random.default_rng(seed)
    seconds = np.round(generator.exponential(600, rows) + 30).cumsum().astype(np.int64)
    seconds += 36_000 * (np.arange(rows) > rows // 2)
    values = np.where(generator.random((rows, 3)) < 0.1, np.nan, machine(rows, seed))
    columns = {name: pl.Series(column).fill_nan(None) for name, column in zip(CHANNELS, values.T, strict=True)}
    return pl.DataFrame({"time": START + seconds * np.timedelta64(1, "s")} | columns)


def items(data: pl.DataFrame) -> list[dict[str, Any]]:
    passed = [0.0, *(data["time"].diff().dt.total_microseconds() / 1e6).to_list()[1:]]
    return [row | {"time": gap} for row, gap in zip(data.iter_rows(named=True), passed, strict=True)]


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return tiny(times=True, cell="gru_d").fit(irregular(), progress=False)


def test_scores_use_no_row_and_no_stamp_that_comes_later(detector: AnomalyDetector) -> None:
    data = irregular(150, 1)
    whole = detections_of(detector, data).scored[0]
    rows = np.arange(150)
    later = data.with_columns(
        time=data["time"] + pl.Series(rows - 99).clip(0) * pl.duration(hours=1),
        speed=pl.when(pl.Series(rows >= 100)).then(1e4).otherwise("speed"),
    )
    changed = detections_of(detector, later).scored[0]
    for name in ("scores", "threshold", "probability", "expected"):
        assert_array_equal(getattr(changed, name)[:100], getattr(whole, name)[:100])
    assert (changed.scores[100:] != whole.scores[100:]).all()


def test_a_gap_changes_what_is_expected_and_how_large_an_error_is(detector: AnomalyDetector) -> None:
    data = irregular(150, 1)
    delayed = data.with_columns(time=data["time"] + pl.Series((np.arange(150) >= 100) * 7200) * pl.duration(seconds=1))
    before, after = (detections_of(detector, one).scored[0] for one in (data, delayed))
    assert (before.expected[100] != after.expected[100]).all()
    assert before.distances[100] != after.distances[100]


def test_a_stream_judges_as_a_file_is_judged(detector: AnomalyDetector) -> None:
    data = irregular(150, 1)
    scored = detections_of(detector, data).scored[0]
    stream = detector.open_stream()
    state, results = stream.new_state(), []
    for row, item in enumerate(items(data)):
        if row == 70:
            state = stream.read_state(state.to_bytes())
        results += stream.step([item], [state])
    assert_allclose([one["score"] for one in results], scored.scores, rtol=1e-4, atol=1e-6)
    assert_allclose([one["fast"] for one in results], scored.distances, rtol=1e-4, atol=1e-6)
    expected = [list(one["expected"].values()) for one in results[1:]]
    assert_allclose(expected, scored.expected[1:], rtol=1e-4)
    # Without its time a row cannot be judged, and the state stays as it was.
    for item in ({"speed": 3.0}, {"speed": 3.0, "time": -1.0}, {"speed": 3.0, "time": "now"}, [1.0, 2.0, 3.0]):
        bytes_before = state.to_bytes()
        with pytest.raises(DataError, match="time"):
            stream.step([item], [state])
        assert state.to_bytes() == bytes_before
    assert isinstance(state, StreamState)
    assert stream.step([[1.0, 2.0, None, 60.0]], [state])[0]["score"] > 0


def test_no_line_is_drawn_across_a_gap(detector: AnomalyDetector, tmp_path: Path, drawn: list[Any]) -> None:
    data = irregular(150, 1)
    detections_of(detector, data).plot(tmp_path / "alarms.png")
    for ax in drawn[0].axes:
        for line in (one for one in ax.lines if one.get_linestyle() != "None"):
            at, there = line.get_xdata(orig=True), np.isfinite(line.get_ydata(orig=True))
            joined = there[1:] & there[:-1]
            assert (np.diff(at)[joined] < np.timedelta64(9, "h")).all()
    assert (np.diff(data["time"].to_numpy()) > np.timedelta64(9, "h")).any()


def test_saved_and_loaded(detector: AnomalyDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert again == detector
    assert again.predict(irregular(60, 2)).equals(detector.predict(irregular(60, 2)))


@pytest.mark.slow
def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    training, today = tmp_path / "a.csv", tmp_path / "b.csv"
    irregular().write_csv(training)
    irregular(120, 3).with_columns(label=pl.Series(np.arange(120) == 90).cast(int)).write_csv(today)
    options = ["--hidden-size", "4", "--max-steps", "3", "--batch-size", "4", "--horizon", "2"]
    assert main(["train", "anomaly", "--data", str(training), "--out", str(tmp_path / "plain"), *options]) == 0
    assert "--times" in capsys.readouterr().out
    run = str(tmp_path / "run")
    assert main(["train", "anomaly", "--data", str(training), "--out", run, "--times", *options]) == 0
    assert "--times" not in capsys.readouterr().out
    assert main(["predict", run, "--data", str(today), "--out", str(tmp_path / "alarms.csv")]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(today.read_bytes())))
    assert main(["predict", run, "--data", "-"]) == 0
    live, whole = pl.read_csv(io.StringIO(capsys.readouterr().out)), pl.read_csv(tmp_path / "alarms.csv")
    assert_allclose(live["score"].to_numpy(), whole["score"].to_numpy(), rtol=1e-3, atol=1e-4)
    assert live["alarm"].to_list() == whole["alarm"].to_list()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"speed,current,heat\n1,2,3\n")))
    assert main(["predict", run, "--data", "-"]) != 0
    assert "time" in capsys.readouterr().err
    assert main(["evaluate", run, "--data", str(today)]) == 0
    assert main(["inspect", run, "--data", str(today), "--row", "100"]) == 0
    learned = json.loads((Path(run) / "learned.json").read_text(encoding="utf-8"))
    assert learned["times"]["column"] == "time"


@pytest.mark.parametrize("options", [{"detector": "reconstruction"}, {"detector": "both"}, {"members": 2}, {}])
def test_times_are_proposed_to_those_that_take_them(options: dict[str, Any]) -> None:
    proposing = AnomalyDetector(**options)
    described = proposing.describe(proposing.read(irregular(), None, AnomalyReading(), False), None)
    assert ("--times" in described) == (not options)


def test_what_cannot_be(detector: AnomalyDetector) -> None:
    with pytest.raises(ParameterError, match="times"):
        AnomalyDetector(times=True, detector="both")
    with pytest.raises(ParameterError, match="times"):
        AnomalyDetector(times=True, members=2)
    with pytest.raises(DataError, match="column of times"):
        tiny(times=True).fit(machine(), progress=False)
    with pytest.raises(StreamError, match="times"):
        detector.export_network()
