"""The estimator: what it takes, what it returns, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from made_machines import CHANNELS, csv, detections_of, frame, hours, machine, tiny
from numpy.testing import assert_allclose
from sklearn.base import clone

import recurra
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading

COLUMNS = ["time", "score", "probability", "alarm", "event", "channel", "value", "expected"]


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return tiny().fit(frame(), progress=False)


def test_a_row_for_each_that_came(detector: AnomalyDetector) -> None:
    data = frame(machine(60, 1))
    found = detector.predict(data)
    assert found.columns == COLUMNS
    assert found["time"].equals(data["time"])
    assert set(found["channel"]) <= set(CHANNELS)
    assert found["probability"].is_between(0, 1).all()
    assert np.isfinite(found["score"].to_numpy()).all()
    assert found["expected"][0] is None
    assert found["expected"][1:].null_count() == 0
    row = found.row(40, named=True)
    assert row["value"] == data[row["channel"]][40]


def test_saved_and_loaded(detector: AnomalyDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "run")
    again = recurra.load(tmp_path / "run")
    assert again == detector
    assert isinstance(again, AnomalyDetector)
    assert again.get_params() == detector.get_params()
    data = frame(machine(60, 1), np.arange(60) == 30)
    assert again.predict(data).equals(detector.predict(data))
    assert again.predict(data, hindsight=True).equals(detector.predict(data, hindsight=True))
    assert again.evaluate(data).to_dict() == detector.evaluate(data).to_dict()


def test_cloned() -> None:
    one = tiny(budget="1 a week", contamination=0.1)
    copied: Any = clone(one)
    assert copied is not one
    assert copied.get_params() == one.get_params()


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(detector: AnomalyDetector) -> None:
    same, other = (tiny(seed=seed).fit(frame(), progress=False).predict(frame()) for seed in (0, 1))
    assert same.equals(detector.predict(frame()))
    assert not same["score"].equals(other["score"])


@pytest.mark.parametrize("contamination", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_resumed_is_as_undisturbed(tmp_path: Path, contamination: float) -> None:
    options = {"schedule": "constant", "num_layers": 2, "dropout": 0.2, "contamination": contamination}
    whole = tiny(**options, max_steps=9).fit(frame(), progress=False)
    tiny(**options, max_steps=5).fit(frame(), folder=tmp_path / "run", progress=False)
    resumed = tiny(**options, max_steps=9)
    resumed.fit(frame(), folder=tmp_path / "run", resume=True, progress=False)
    weights = resumed.fitted.network.state_dict()
    for name, value in whole.fitted.network.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert resumed.predict(frame()).equals(whole.predict(frame()))
    with pytest.raises(RunError, match="cannot resume with other data"):
        resumed.fit(frame(machine(200, 5)), folder=tmp_path / "run", resume=True, progress=False)


def test_a_run_interrupted_before_its_end_says_so(detector: AnomalyDetector, tmp_path: Path) -> None:
    unfinished = tiny()
    unfinished._fitted = replace(detector.fitted, learned=replace(detector.fitted.learned, errors=None))
    unfinished.save(tmp_path / "run")
    for verb in ("predict", "evaluate", "inspect"):
        with pytest.raises(RunError, match="--resume"):
            getattr(recurra.load(tmp_path / "run"), verb)(frame(labels=np.arange(200) == 50))


@pytest.mark.parametrize("cell", ["gru", "elman", "min_lstm", "layer_norm_lstm"])
def test_other_cells(cell: str) -> None:
    found = tiny(cell=cell, num_layers=2).fit(frame(), progress=False).predict(frame())
    assert np.isfinite(found["score"].to_numpy()).all()


def test_series_with_ids() -> None:
    data = pl.concat(
        frame(machine(rows, rows)).with_columns(unique_id=pl.lit(name))
        for name, rows in (("b", 90), ("a", 60), ("c", 1))
    )
    detector = tiny().fit(data, progress=False)
    found = detections_of(detector, data)
    assert found.values.columns == ["unique_id", *COLUMNS]
    assert found.values["unique_id"].to_list() == ["b"] * 90 + ["a"] * 60 + ["c"]
    alone = detector.predict(data.filter(pl.col("unique_id") == "a"))
    assert_allclose(alone["score"].to_numpy(), found.values["score"][90:150].to_numpy(), rtol=1e-5)
    assert "151 rows" in "".join(found.text())


def test_a_column_of_ids_may_have_the_name_of_a_result() -> None:
    data = pl.concat(frame(machine(60, k)).with_columns(channel=pl.lit(f"P-{k}")) for k in range(2))
    reading = AnomalyReading(id_column="channel")
    found = tiny().fit(data, reading=reading, progress=False).predict(data)
    assert set(found["channel"]) == {"P-0", "P-1"}
    assert set(found["channel_"]) <= set(CHANNELS)


def test_missing_values_train_and_predict() -> None:
    values = machine()
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    values[50:70] = np.nan
    detector = tiny().fit(frame(values), progress=False)
    assert detector.fitted.learned.statistics.input_size == 6
    found = detector.predict(frame(values))
    assert np.isfinite(found["score"].to_numpy()).all()
    whole, empty = detector.predict(frame()), frame().with_columns(heat=pl.lit(None, pl.Float64))
    assert np.isfinite(whole["score"].to_numpy()).all()
    assert "heat" not in set(detector.predict(empty)["channel"][30:])


def test_arrays(detector: AnomalyDetector) -> None:
    values = machine()
    found = tiny().fit(values, progress=False).predict(values)
    assert found.columns == COLUMNS[1:]
    assert set(found["channel"]) <= {"1", "2", "3"}
    assert_allclose(found["score"].to_numpy(), detector.predict(frame())["score"].to_numpy(), rtol=1e-6)
    one = tiny().fit(values[:, 0], progress=False)
    assert set(one.predict(values[:, 0])["channel"]) == {"y"}
    several = one.predict([values[:70, 0], values[:3, 0]])
    assert several["unique_id"].to_list() == ["0"] * 70 + ["1"] * 3
    labels = np.arange(200) == 120
    assert set(one.evaluate(values[:, 0], labels).methods) == {
        *("model", "moving deviation", "seasonal change", "windows (PCA)", "random", "isolation forest")
    }
    assert one.score(values[:, 0], labels) == one.evaluate(values[:, 0], labels).scores["VUS-PR"]
    named = tiny().fit(values, reading=AnomalyReading(channels=CHANNELS), progress=False)
    assert set(named.predict(values)["channel"]) <= set(CHANNELS)


def test_frames_and_files_are_the_same_data(detector: AnomalyDetector, tmp_path: Path) -> None:
    expected = detector.predict(frame())
    pandas = pd.DataFrame(frame().to_dict(as_series=False))
    for came in (pandas, pandas.set_index("time").rename_axis("time")):
        pd.testing.assert_frame_equal(detector.predict(came), pd.DataFrame(expected.to_dict(as_series=False)))
    frame().write_parquet(tmp_path / "rows.parquet")
    assert detector.predict(tmp_path / "rows.parquet").equals(expected)
    found = detector.predict(csv(tmp_path / "rows.csv"))
    assert_allclose(found["score"].to_numpy(), expected["score"].to_numpy(), rtol=1e-5)
    shuffled = frame().sample(fraction=1, shuffle=True, seed=1).select(*CHANNELS[::-1], "time")
    assert detector.predict(shuffled)["score"].equals(expected["score"])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+05:30", None])
def test_stamps_of_pandas_come_back_in_their_zone(detector: AnomalyDetector, zone: str | None) -> None:
    stamps = pd.date_range("2024-03-31", periods=40, freq="h", tz=zone)
    values = dict(zip(CHANNELS, machine(40).T, strict=True))
    found = detector.predict(pd.DataFrame({"time": stamps} | values))["time"]
    assert found.dt.tz == stamps.tz
    assert found.to_list() == stamps.to_list()
    if zone is None:
        periods = stamps.to_period("h")
        found = detector.predict(pd.DataFrame({"time": periods} | values))["time"]
        assert found.dtype == periods.dtype
        assert found.to_list() == periods.to_list()


def test_constant_channels() -> None:
    values = machine()
    values[:, 1] = 5
    detector = tiny(max_steps=40, learning_rate=0.02).fit(frame(values), progress=False)
    changed = values.copy()
    changed[120:, 1] = 9
    found = detections_of(detector, frame(changed))
    assert found.scored[0].parts[125].argmax() == 1
    assert tiny().fit(np.full(100, 3.0), progress=False).predict(np.full(20, 3.0))["alarm"].sum() == 0


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
@pytest.mark.parametrize("hindsight", [False, True])
def test_few_rows_are_scored(detector: AnomalyDetector, rows: int, hindsight: bool) -> None:
    found = detector.predict(frame(machine(rows)), hindsight=hindsight)
    assert found.height == rows
    assert np.isfinite(found["score"].to_numpy()).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_unit_of_the_values_changes_nothing(detector: AnomalyDetector, scale: float) -> None:
    values, labels = machine(), np.arange(200) == 120
    other = tiny().fit(values * scale, progress=False)
    assert_allclose(
        other.predict(values * scale)["score"].to_numpy(), detector.predict(frame())["score"].to_numpy(), rtol=1e-3
    )
    assert np.isfinite(other.evaluate(values * scale, labels).score)
    assert np.isfinite(detector.predict(frame(values * scale))["score"].to_numpy()).all()


def test_contamination_sets_the_least_likely_rows_aside() -> None:
    values = machine(400)
    values[200:204] += 50
    plain, robust = (tiny(contamination=c, max_steps=30).fit(frame(values), progress=False) for c in (0.0, 0.05))
    score = [one.predict(frame(values))["score"].to_numpy() for one in (plain, robust)]
    assert score[1].max() / np.median(score[1]) > 2 * score[0].max() / np.median(score[0])
    errors = robust.fitted.learned.errors
    assert errors is not None
    assert robust.predict(frame(values))["alarm"].sum() > 0
    assert errors.scores.max() < score[1].max() / 10
    few = tiny(contamination=0.49).fit(frame(machine(52)), progress=False)
    assert few.predict(frame(machine(52))).height == 52


def test_other_channels_are_refused(detector: AnomalyDetector) -> None:
    with pytest.raises(DataError, match="no column 'current'"):
        detector.predict(frame().drop("current"))
    with pytest.raises(DataError, match=r"3 channels \(speed, current, heat\), got 2"):
        detector.predict(machine()[:, :2])
    assert detector.predict(frame().with_columns(more=1.0)).height == 200


def test_a_budget_in_time_needs_times(detector: AnomalyDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnomalyDetector, "objective", lambda *_: pytest.fail("it is trained"))
    with pytest.raises(ParameterError, match=r"budget: .*no dates"):
        tiny(budget="1 a week").fit(machine(), progress=False)
    # A step is that of training if the rows have no times.
    for rows in (frame(), frame().with_columns(time=pl.int_range(200))):
        assert detector.predict(rows, budget="1 a week").height == 200
    for budget in ("few", "0", "1 a second"):
        with pytest.raises(ParameterError, match="budget: expected"):
            detector.predict(frame(), budget=budget)
    with pytest.raises(ParameterError, match="budget: expected"):
        tiny(budget="few").fit(frame())


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (machine(51), {}, ("at least 52 rows", "the longest has 51")),
        (machine(200), {"horizon": 160}, ("at least 210 rows", "horizon")),
        (machine(70), {"horizon": 15, "validation_fraction": 0.85}, ("validation_fraction",)),
        (machine() * [1, np.nan, 1], {}, ("2 has no value",)),
        ([machine(60), machine(60)[:, :2]], {}, ("as many channels",)),
        (np.zeros((60, 0)), {}, ("expected finite numbers",)),
    ],
)
def test_data_that_cannot_be_learned_from(values: Any, options: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        tiny(**options).fit(values, progress=False)
    assert all(word in str(caught.value) for word in words), caught.value


def test_evaluation_counts_events(detector: AnomalyDetector, tmp_path: Path) -> None:
    labels = np.isin(np.arange(200), [50, 51, 120])
    by_column = detector.evaluate(frame(labels=labels))
    assert "2 labelled events" in by_column.title
    assert set(by_column.scores) >= {"VUS-PR", "AUC-PR", "event precision", "event recall", "event F1"}
    assert "false alarms a day" in by_column.scores
    stamps = [str(stamp)[:19] for stamp in hours(200)]
    (tmp_path / "windows.csv").write_text(f"start,end\n{stamps[50]},{stamps[51]}\n{stamps[120]},\n")
    assert (
        detector.evaluate(frame(), windows=tmp_path / "windows.csv").to_dict()["methods"]
        == by_column.to_dict()["methods"]
    )
    assert detector.evaluate(frame(labels=labels), hindsight=True).scores["VUS-PR"] != by_column.scores["VUS-PR"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [(None, "anomalies are not known"), (np.zeros(200), "no row is labelled"), (np.ones(200), "no series has both")],
)
def test_labels_that_nothing_can_be_compared_with(detector: AnomalyDetector, labels: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        detector.evaluate(frame(labels=labels))


def test_series_without_anomalies_count_for_false_alarms_alone(detector: AnomalyDetector) -> None:
    parts = [(np.arange(200) == 50, "a"), (np.zeros(200), "b"), (np.ones(200), "c")]
    data = pl.concat(frame(labels=labels).with_columns(unique_id=pl.lit(name)) for labels, name in parts)
    found = detector.evaluate(data, reading=AnomalyReading(time_column="time"))
    alone = detector.evaluate(data.filter(pl.col("unique_id") == "a"))
    assert found.scores["VUS-PR"] == pytest.approx(alone.scores["VUS-PR"], rel=1e-4)
    assert "600 rows, 2 labelled events" in found.title


def test_inspect(detector: AnomalyDetector, tmp_path: Path) -> None:
    found = detector.inspect(frame(labels=np.arange(200) == 120), row=121, name="runs/x", progress=False)
    assert found.attribution is not None
    assert "series, up to row 121 (2024-03-06)" in found.words.facts["looked at"]
    expected = detections_of(detector, frame()).scored[0].expected[120]
    learned = detector.fitted.learned
    channel = CHANNELS.index(found.words.output.removeprefix("forecast of "))
    standard = (expected[channel] - learned.statistics.centre[channel]) / learned.statistics.scale[channel]
    assert found.attribution.output[0] == pytest.approx(standard, abs=0.05)
    for row in (1, 201):
        with pytest.raises(ParameterError, match="row: expected 2 to 200"):
            detector.inspect(frame(), row=row)
    with pytest.raises(DataError, match="at least 3"):
        detector.inspect(frame(machine(2)))


@pytest.mark.parametrize("options", [{"detector": "both"}, {"times": True}], ids=str)
def test_networks_that_are_stacks(options: dict[str, Any]) -> None:
    detector = tiny(architecture=("rglru", "attention:4"), **options).fit(frame(), progress=False)
    found = detector.predict(frame(machine(40, 1)))
    assert np.isfinite(found["score"].to_numpy()).all()
    assert "1 x (rglru, attention:4) of 4 units" in detector.view(frame()).words.facts["network"]
