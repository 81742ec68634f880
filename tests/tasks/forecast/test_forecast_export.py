"""Forecasters as ONNX: raw values in, the forecaster's own quantiles out, at any batch and length of the past."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_series import days, long_frame, series_set, tiny, weekly_values

import covering
from recurra.data.series.series_set import SeriesSet
from recurra.errors import ExportError
from recurra.models.forecasting.conformal import apply_margins, find_margins
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.forecast.model import ForecastModel
from recurra.tasks.forecast.training import model_of

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Exported:
    """A forecaster's file, as a program without Recurra uses it."""

    def __init__(self, forecaster: Forecaster, folder: Path) -> None:
        [path] = forecaster.export().write(folder)
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.inputs = {one.name: one.shape for one in self._session.get_inputs()}
        properties = self._session.get_modelmeta().custom_metadata_map
        self.facts = {name: json.loads(value) for name, value in properties.items() if name != "recurra.model"}

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        [quantiles] = self._session.run(["quantiles"], inputs)
        return quantiles


def expected(model: ForecastModel, data: SeriesSet) -> np.ndarray:
    """What the forecaster says after the end of each series."""
    return model.quantiles(data, np.arange(len(data)), data.lengths)


def padded(series: list[np.ndarray]) -> np.ndarray:
    """Series (N, ...) of several lengths as a batch: the past that one has not is missing."""
    longest = max(map(len, series))
    whole = np.full((len(series), longest, *series[0].shape[1:]), np.nan)
    for row, one in zip(whole, series, strict=True):
        row[longest - len(one) :] = one
    return whole


@covering.parametrize(
    {
        "cell": ["lstm", "mgu"],
        "num_layers": [1, 2],
        "output": ["quantiles", "normal"],
        "quantiles": [(0.1, 0.5, 0.9), (0.5,), (0.2, 0.3, 0.5), (0.5, 0.75)],
        "seasons": [(7,), (1,), (3, 12)],
        "past": [0, 2],
        "known": [0, 1],
        "nonnegative": [False, True],
    }
)
def test_the_quantiles_are_the_forecaster_s(
    cell: str,
    num_layers: int,
    output: Any,
    quantiles: tuple[float, ...],
    seasons: tuple[int, ...],
    past: int,
    known: int,
    nonnegative: bool,
    tmp_path: Path,
) -> None:
    values = [weekly_values(60), 1e6 + 1e3 * weekly_values(43, 1), weekly_values(30, 2) - 20]
    values[0][[2, 40, 58]] = np.nan
    data = series_set(*values, seasons=seasons, past=past, known=known, ahead=5)
    options = {"cell": cell, "num_layers": num_layers, "output": output, "quantiles": quantiles, "seasons": seasons}
    forecaster = tiny(conformal=False, nonnegative=nonnegative, **options).fit(data, progress=False)
    exported = Exported(forecaster, tmp_path)
    inputs = {"history": padded([one.y for one in data])}
    if past:
        inputs["past"] = padded([one.past for one in data])
    if known:
        inputs["known"] = padded([one.known for one in data])
    right = expected(model_of(forecaster), data)
    scale = np.abs(right).max((1, 2), keepdims=True) + 1e-9
    assert set(inputs) == set(exported.inputs)
    assert (np.abs(exported(**inputs) - right) / scale).max() < 1e-5
    alone = exported(**{name: array[1:2] for name, array in inputs.items()})
    assert (np.abs(alone - right[1:2]) / scale[1:2]).max() < 1e-5
    assert exported.facts["quantiles"] == list(quantiles)
    assert exported.facts["horizon"] == 5
    assert exported.facts["past"] == [f"p{k}" for k in range(past)]


def test_calendar_and_static_attributes(tmp_path: Path) -> None:
    frame = long_frame({"a": 60, "b": 70}).with_columns(
        pl.col("unique_id").replace_strict({"a": "north", "b": "south"}).alias("region"),
        pl.col("unique_id").replace_strict({"a": 3.0, "b": 8.5}).alias("size"),
        pl.Series("price", np.random.default_rng(0).normal(9, 2, 130)),
    )
    forecaster = tiny(conformal=False)
    reading = ForecastReading(static=("region", "size"), past=("price",))
    forecaster.fit(frame, reading=reading, progress=False)
    model = model_of(forecaster)
    exported = Exported(forecaster, tmp_path)
    cycles = [f"day_of_{period}_{function}" for period in ("week", "month") for function in ("sin", "cos")]
    assert exported.facts["calendar"] == [*cycles, "weekend"]
    assert exported.facts["categories"] == {"region": [None, "north", "south"]}
    assert exported.facts["numbers"] == ["size"]
    assert exported.facts["frequency"] == "1d"
    steps = exported.facts["window"]
    inputs: dict[str, np.ndarray] = {"history": np.stack([one.y[-steps:] for one in model.learned.data])}
    inputs["past"] = np.stack([one.past[-steps:] for one in model.learned.data])
    inputs["numbers"], inputs["categories"] = np.array([[3.0], [8.5]]), np.array([[1], [2]])
    # As the page on exports says them: sines and cosines of the phase of each cycle, and whether it is a weekend.
    features = []
    for last in (60, 70):
        own = days(steps + 5, first=last - steps).astype("M8[D]")
        weekday, months = (own.astype(np.int64) + 3) % 7, own.astype("M8[M]")
        month = (own - months.astype("M8[D]")) / ((months + 1).astype("M8[D]") - months.astype("M8[D]"))
        angles = [2 * np.pi * weekday / 7, 2 * np.pi * month]
        columns = [function(angle) for angle in angles for function in (np.sin, np.cos)]
        features.append(np.stack([*columns, weekday >= 5], axis=1))
    inputs["calendar"] = np.array(features, np.float32)
    assert np.allclose(exported(**inputs), expected(model, model.learned.data), rtol=1e-5)


def test_intervals_are_calibrated_by_the_validation_windows(tmp_path: Path) -> None:
    data = series_set(weekly_values(150), weekly_values(140, 1))
    forecaster = tiny(horizon=4, validation_windows=3, conformal=True, max_steps=2).fit(data, progress=False)
    model = model_of(forecaster)
    assert model.calibration is not None
    history = np.stack([one.y[-40:] for one in data])
    plain, scales = model._uncalibrated(series_set(*history), np.arange(2), np.array([40, 40]))
    margins = find_margins(model.calibration, np.empty((4, 0, 4)), model.levels)
    assert any(margins)
    right = apply_margins(plain, scales, model.levels, margins)
    assert np.allclose(Exported(forecaster, tmp_path)(history=history), right, rtol=1e-5)


def test_windows_without_a_value_forecast_zero(tmp_path: Path) -> None:
    forecaster = tiny(conformal=False).fit(series_set(weekly_values(60)), progress=False)
    exported = Exported(forecaster, tmp_path)
    assert exported.inputs["history"] == ["batch", "time"]
    assert not exported(history=np.array([[0.0, 0.0, 0.0], [np.nan] * 3])).any()


def test_the_checks_are_printed_and_a_failed_one_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from recurra.export.onnx import forecast_window

    forecaster = tiny(conformal=False).fit(series_set(weekly_values(60)), progress=False)
    forecaster.export().write(tmp_path / "right")
    printed = capsys.readouterr().out
    assert "checked: 5 sequences of 18 steps: largest relative difference" in printed
    assert "input history (batch, time)" in printed
    monkeypatch.setattr(forecast_window, "LEAST_FRACTION", 100.0)
    with pytest.raises(ExportError, match=r"the check: ONNX Runtime and the model differ: .*; nothing is written"):
        forecaster.export().write(tmp_path / "wrong")
    assert not list((tmp_path / "wrong").iterdir())


@pytest.mark.parametrize("options", [{"model": "recursive"}, {"output": "student_t"}, {"output": "negative_binomial"}])
def test_samples_are_refused_with_the_way_out(options: Any) -> None:
    data = series_set(np.round(weekly_values(60)))
    forecaster = tiny(conformal=False, **{**options, "max_steps": 1}).fit(data, progress=False)
    with pytest.raises(ExportError, match=r"taken from samples, .* Train with model='direct'"):
        forecaster.export()


@pytest.mark.parametrize(
    ("to", "reason"), [("c", "reads its window anew each time and has no step"), ("torch", "for ONNX only")]
)
def test_a_forecaster_has_no_step(to: Any, reason: str) -> None:
    with pytest.raises(ExportError, match=rf"--to {to}: .*{reason}\. Use --to onnx"):
        Forecaster().export(to=to)
