"""The detector that writes windows again."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from made_machines import csv, detections_of, frame, machine, tiny

import recurra
from recurra.cli.main import main
from recurra.errors import DataError, StreamError
from recurra.tasks.anomaly import AnomalyDetector

START, END = 300, 360


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    options = {"hidden_size": 16, "max_steps": 200, "seed": 1, "device": "cpu", "code_size": 4}
    return AnomalyDetector(budget="1 in 5000", detector="reconstruction", **options).fit(
        frame(machine(1500, 7)), progress=False
    )


@pytest.mark.parametrize("hindsight", [False, True])
def test_a_stretch_unlike_the_others_is_found(detector: AnomalyDetector, hindsight: bool) -> None:
    values = machine(600, 3)
    values[START:END, 0] = values[START, 0]
    found = detections_of(detector, frame(values), hindsight=hindsight)
    assert 40 <= detector.fitted.learned.window <= 60
    assert found.events.height >= 1
    assert any(event.start < END and event.end > START for event in found.scored[0].events)
    scores = found.values["score"].to_numpy()
    inside = scores[START + 25 : END].mean()
    assert inside > 2 * np.median(scores[60:])


def test_later_values_change_nothing_before_them(detector: AnomalyDetector) -> None:
    values = machine(300, 5)
    values[40:60:3, 1] = np.nan
    for row in (20, 150):
        changed = values.copy()
        changed[row:] += 50
        one, other = (detections_of(detector, frame(rows)).scored[0] for rows in (values, changed))
        assert np.array_equal(one.scores[:row], other.scores[:row])
        assert np.array_equal(one.threshold[:row], other.threshold[:row])
        assert np.array_equal(one.alarms[:row], other.alarms[:row])
        assert not np.array_equal(one.scores, other.scores)


def test_fewer_rows_than_a_window_are_not_judged(detector: AnomalyDetector) -> None:
    found = detector.predict(frame(machine(10)))
    assert found["score"].to_list() == [0] * 10
    assert found["alarm"].sum() == 0
    assert detector.predict(frame(machine(10)), hindsight=True).height == 10
    with pytest.raises(DataError, match="rows, up to the one looked at"):
        detector.inspect(frame(machine(30)), progress=False)


def test_saved_evaluated_and_inspected(detector: AnomalyDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    data = frame(machine(300, 1), np.arange(300) == 200)
    assert again.predict(data).equals(detector.predict(data))
    assert np.isfinite(again.evaluate(data).score)
    found = again.inspect(data, row=250, progress=False)
    assert found.words.output.startswith("row written again of ")
    assert "from 4 numbers, 2 rows at a step" in found.words.facts["network"]


@pytest.mark.parametrize("contamination", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_resumed_is_as_undisturbed(tmp_path: Path, contamination: float) -> None:
    options = {"detector": "reconstruction", "schedule": "constant", "contamination": contamination, "cell": "gru"}
    values = machine(300)
    values[100, 1] = np.nan
    whole = tiny(**options, max_steps=6).fit(frame(values), progress=False)
    tiny(**options, max_steps=3).fit(frame(values), folder=tmp_path / "run", progress=False)
    resumed = tiny(**options, max_steps=6).fit(frame(values), folder=tmp_path / "run", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert torch.equal(value, resumed.fitted.network.state_dict()[name]), name
    assert resumed.predict(frame(values)).equals(whole.predict(frame(values)))


def test_validation_data_set_the_threshold() -> None:
    fitted = tiny(detector="reconstruction").fit(frame(machine(300)), validation=frame(machine(700, 1)), progress=False)
    errors = fitted.fitted.learned.errors
    assert errors is not None
    assert len(errors.scores) == 700 - fitted.fitted.learned.window + 1


def test_one_row_at_a_time_and_exports_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = csv(tmp_path / "train.csv"), tmp_path / "run"
    small = ["--hidden-size=4", "--max-steps=3", "--batch-size=4", "--device=cpu", "--detector=reconstruction"]
    assert main(["train", "anomaly", "--data", str(data), "--out", str(run), *small]) == 0
    with pytest.raises(StreamError, match="detector='forecast'"):
        recurra.load(run).open_stream()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data.read_bytes())))
    capsys.readouterr()
    for command in (["predict", "--data", "-"], ["export", "--to", "c"]):
        assert main([command[0], str(run), *command[1:]]) != 0
        assert "detector='forecast'" in capsys.readouterr().err
