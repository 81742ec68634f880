import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from made_series import days, long_frame, series_set, tiny, weekly_values
from polars.testing import assert_frame_equal

import recurra
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.forecast.training import model_of

LEVELS = tuple(f"q{level / 10:g}" for level in range(1, 10))
COVARIATES = ForecastReading(past=("traffic",), known=("price",), static=("size", "colour"))


def _values(frame: pl.DataFrame) -> np.ndarray:
    return frame.select("forecast", *LEVELS).to_numpy()


def _with_covariates(frame: pl.DataFrame, future: int = 0) -> pl.DataFrame:
    """With a covariate of each kind, and rows of the known one alone after the end of each series."""
    if future:
        ahead = [
            pl.DataFrame({"unique_id": [name] * future, "ds": days(future, first=rows.height), "y": [None] * future})
            for (name,), rows in frame.group_by("unique_id", maintain_order=True)
        ]
        frame = pl.concat([frame, *ahead], how="vertical_relaxed")
    place = pl.int_range(pl.len()).over("unique_id")
    return frame.with_columns(
        traffic=pl.col("y") * 2 + 1,
        price=(place % 5).cast(pl.Float64),
        size=pl.when(pl.col("unique_id") == "a").then(1.5).otherwise(2.5),
        colour=pl.when(pl.col("unique_id") == "a").then(pl.lit("red")).otherwise(pl.lit("blue")),
    )


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return tiny().fit(long_frame())


@pytest.fixture(scope="module")
def with_covariates() -> Forecaster:
    return tiny().fit(_with_covariates(long_frame()), reading=COVARIATES)


def test_a_forecast_is_a_frame_of_the_horizon_after_each_series(fitted: Forecaster):
    frame = fitted.predict()
    assert frame.columns == ["unique_id", "ds", "forecast", *LEVELS]
    assert frame["unique_id"].to_list() == ["a"] * 5 + ["b"] * 5
    np.testing.assert_array_equal(frame["ds"].to_numpy(), np.concatenate([days(5, 60), days(5, 70)]))
    assert (frame["forecast"] == frame["q0.5"]).all()


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize(
    ("model", "output"),
    [
        ("direct", "quantiles"),
        ("direct", "normal"),
        ("direct", "student_t"),
        ("direct", "negative_binomial"),
        ("recursive", "normal"),
        ("recursive", "student_t"),
        ("recursive", "negative_binomial"),
    ],
)
def test_every_model_forecasts_every_output_with_every_cell(model: str, output: str, cell: str):
    frame = long_frame().with_columns(pl.col("y").round())
    options: dict[str, Any] = {
        "model": model,
        "output": output,
        "cell": cell,
        "max_steps": 2,
        "num_layers": 2,
        "dropout": 0.1,
    }
    values = _values(tiny(**options).fit(frame).predict())
    assert values.shape == (10, 10)
    assert np.isfinite(values).all()
    assert (np.diff(values[:, 1:], axis=1) >= 0).all()
    # Of the size of the data, which lie from 13 to 27.
    assert (np.abs(values[:, 0] - 20) < 20).all()


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_saving_and_loading_changes_no_forecast(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch):
    frame = _with_covariates(long_frame(), future=5)
    forecaster = tiny(model=model, conformal=True).fit(frame, reading=COVARIATES)
    expected = forecaster.predict()
    forecaster.save(tmp_path / "run")
    monkeypatch.delattr("recurra.tasks.forecast.training.fit_calibration")  # not needed again
    loaded = Forecaster.load(tmp_path / "run")
    assert loaded.predict().equals(expected)
    assert loaded == forecaster
    assert loaded.fitted.learned.data.source == forecaster.fitted.learned.data.source
    with pytest.raises(RunError, match="run: already holds a run"):
        loaded.save(tmp_path / "run")


def test_the_same_seed_gives_the_same_forecasts_and_another_seed_others():
    first, second, other = (tiny(seed=s).fit(long_frame()).predict() for s in (0, 0, 1))
    assert first.equals(second)
    assert not first.equals(other)


def test_pandas_in_pandas_out(fitted: Forecaster):
    polars = long_frame()
    pandas = pd.DataFrame({column.name: column.to_list() for column in polars})
    found = tiny().fit(pandas).predict()
    assert isinstance(found, pd.DataFrame)
    expected = fitted.predict()
    assert list(found.columns) == expected.columns
    np.testing.assert_array_equal(found["ds"].to_numpy(), expected["ds"].to_numpy())
    np.testing.assert_array_equal(found["q0.1"].to_numpy(), expected["q0.1"].to_numpy())
    assert isinstance(fitted.predict(pandas), pd.DataFrame)
    assert isinstance(fitted.predict(polars), pl.DataFrame)


def test_integer_ids_come_back_as_integers(tmp_path: Path):
    frame = long_frame().with_columns(unique_id=pl.col("unique_id").replace_strict({"a": 7, "b": 9}))
    forecaster = tiny(folds=1).fit(frame)
    forecaster.save(tmp_path / "run")
    found = recurra.load(tmp_path / "run").predict()
    assert frame.join(found, on="unique_id").height
    assert set(found["unique_id"]) == {7, 9}
    assert {row[0] for row in forecaster.evaluate().tables["forecasts"].rows} == {7, 9}


def test_columns_keep_their_names():
    frame = long_frame().rename({"unique_id": "shop", "ds": "day", "y": "sales"})
    forecaster = tiny().fit(frame, reading=ForecastReading(id_column="shop", time_column="day", target_column="sales"))
    assert forecaster.predict().columns[:3] == ["shop", "day", "forecast"]
    # Other frames are read with the same columns.
    assert forecaster.predict(frame.head(40))["shop"].to_list() == ["a"] * 5


def test_a_frame_without_ids_is_one_series():
    frame = long_frame({"a": 60}).drop("unique_id")
    found = tiny().fit(frame).predict()
    assert found["unique_id"].to_list() == ["series"] * 5


def test_series_not_seen_in_training_are_forecast(fitted: Forecaster):
    found = fitted.predict(long_frame({"new": 30, "tiny": 2}, seed=5))
    assert found["unique_id"].unique(maintain_order=True).to_list() == ["new", "tiny"]
    assert np.isfinite(_values(found)).all()


def test_newer_observations_move_the_forecast_without_refitting(fitted: Forecaster):
    found = fitted.predict(long_frame({"a": 63, "b": 73}))
    assert found["ds"].to_list()[0] == pl.Series(days(1, 63))[0]
    before = fitted.predict()
    assert not np.allclose(found["forecast"].to_numpy(), before["forecast"].to_numpy())
    assert fitted.predict().equals(before)
    assert fitted.predict(long_frame()).equals(before)


def test_another_frequency_is_refused(fitted: Forecaster):
    weekly = long_frame().with_columns(ds=pl.Series(np.tile(days(65 * 2)[::7], 7)[:130])).unique(["unique_id", "ds"])
    with pytest.raises(DataError, match="expected the frequency trained on, 1d, got 1w"):
        fitted.predict(weekly, reading=ForecastReading(frequency="1w"))
    with pytest.raises(DataError, match="expected the frequency trained on, 1d, got 1h"):
        fitted.predict(
            long_frame().with_columns(ds=pl.col("ds").dt.truncate("1h")), reading=ForecastReading(frequency="1h")
        )
    with pytest.raises(ParameterError, match=r"frequency: expected .*, got 'fortnight'"):
        fitted.predict(long_frame(), reading=ForecastReading(frequency="fortnight"))
    with pytest.raises(DataError, match="expected the frequency trained on, 1d, got step"):
        fitted.predict(series_set(np.arange(40.0)))


def test_other_covariates_are_refused(with_covariates: Forecaster, tmp_path: Path):
    with pytest.raises(DataError, match="traffic"):
        with_covariates.predict(long_frame())
    (tmp_path / "wide.csv").write_text("id,V2,V3\na,1,2\n")
    with pytest.raises(DataError, match="a wide file holds no covariates, but traffic, price, size, colour are named"):
        with_covariates.predict(tmp_path / "wide.csv")
    plain = tiny().fit(long_frame())
    with pytest.raises(DataError, match=r"expected the known covariates trained on \(none\), got price"):
        plain.predict(long_frame().with_columns(price=1.0), reading=ForecastReading(known=("price",)))


def test_known_covariates_are_asked_for_by_series_and_rows(with_covariates: Forecaster):
    with pytest.raises(
        DataError,
        match=r"series 'a' has 0 of 5 future rows of the known covariates \(price\) \(and 1 other series lack some\)."
        r" Give them with --future FILE \(future= in Python\), or as rows without a target",
    ):
        with_covariates.predict()
    three = _with_covariates(long_frame({"a": 60}), future=3)
    with pytest.raises(DataError, match=r"series 'a' has 3 of 5 future rows of the known covariates \(price\)\. Give"):
        with_covariates.predict(three)


def test_future_covariates_come_as_a_frame_a_file_or_rows_without_a_target(with_covariates: Forecaster, tmp_path: Path):
    whole = _with_covariates(long_frame(), future=5)
    future = whole.filter(pl.col("y").is_null()).select("unique_id", "ds", "price")
    future.write_csv(tmp_path / "future.csv")
    found = with_covariates.predict(future=future)
    assert with_covariates.predict(future=tmp_path / "future.csv").equals(found)
    assert with_covariates.predict(whole).equals(found)
    assert with_covariates.predict(future=pd.DataFrame(future.to_dict(as_series=False))).equals(found)
    other = with_covariates.predict(future=future.with_columns(price=9.0))
    assert not np.allclose(_values(other), _values(found))


def test_a_category_and_a_number_not_seen_in_training_are_forecast(with_covariates: Forecaster):
    new = _with_covariates(long_frame({"z": 40}), future=5).with_columns(colour=pl.lit("mauve"), size=pl.lit(99.0))
    assert np.isfinite(_values(with_covariates.predict(new))).all()
    text = new.with_columns(size=pl.lit("large"))
    with pytest.raises(DataError, match="series 'z', static column 'size': expected a number, as in training"):
        with_covariates.predict(text)


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_every_kind_of_covariate_reaches_the_forecast(model: str):
    frame = _with_covariates(long_frame(), future=5)
    forecaster = tiny(model=model).fit(frame, reading=COVARIATES)
    expected = _values(forecaster.predict(frame))
    changed = {"traffic": pl.lit(50.0), "price": pl.lit(3.0), "size": pl.lit(9.0), "colour": pl.lit("red")}
    for name, value in changed.items():
        assert not np.array_equal(_values(forecaster.predict(frame.with_columns(value.alias(name)))), expected), name


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_missing_values_train_and_predict(model: str):
    frame = _with_covariates(long_frame(), future=5)
    gone = pl.Series(np.random.default_rng(0).random(frame.height) < 0.2)
    frame = frame.with_columns(
        y=pl.when(gone).then(None).otherwise("y"),
        traffic=pl.when(gone.reverse()).then(None).otherwise("traffic"),
    )
    forecaster = tiny(model=model).fit(frame, reading=COVARIATES)
    # Values may be missing at the end too: the forecast begins after the last that was observed.
    forecasts = forecaster.predictions()
    assert all(not np.isnan(one.y[-1]) for one in forecasts.series)
    assert np.isfinite(forecasts.quantiles).all()
    assert forecasts.values.height == 10


def test_counts_are_checked():
    with pytest.raises(
        DataError, match=r"series 'a' at 2024-01-01.*: expected a count .*negative_binomial.* got 20\.06"
    ):
        tiny(output="negative_binomial").fit(long_frame())
    negative = long_frame().with_columns(y=pl.col("y").round() - 20)
    with pytest.raises(DataError, match="expected a count"):
        tiny(output="negative_binomial").fit(negative)


def test_counts_are_forecast_as_counts():
    frame = long_frame().with_columns(pl.col("y").round())
    options: dict[str, Any] = {"output": "negative_binomial", "sample_paths": 101, "quantiles": (0.1, 0.5, 0.9)}
    values = tiny(**options).fit(frame).predict()["forecast"].to_numpy()
    assert (values >= 0).all()
    assert (values == values.round()).all()


def test_nonnegative_forecasts_are_not_below_zero():
    frame = long_frame().with_columns(y=pl.col("y") - 20)
    assert (_values(tiny().fit(frame).predict()) < 0).any()
    assert (_values(tiny(nonnegative=True).fit(frame).predict()) >= 0).all()


def test_series_all_too_short_are_refused_before_training():
    with pytest.raises(
        DataError, match=r"frame: every series is too short .* season of 1.* horizon of 20 .*'a' \(10\)"
    ):
        tiny(horizon=20).fit(long_frame({"a": 10, "b": 12}), reading=ForecastReading(frequency="1d"))


def test_series_too_short_are_named_left_out_and_forecast(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "recurra"):
        forecaster = tiny().fit(long_frame({"a": 60, "b": 9}))
    assert "1 of 2 series are too short to learn from" in caplog.text
    assert "'b' (9)" in caplog.text
    assert np.isfinite(_values(forecaster.predict())).all()


def test_holding_out_too_much():
    with pytest.raises(
        DataError, match=r"no steps are left .* 70 steps held out for evaluation .*folds=0 holds out none"
    ):
        tiny(folds=14).fit(long_frame())
    # The default holds two horizons out; the message says how to learn from everything.
    short = long_frame({"a": 16})
    with pytest.raises(
        DataError, match=r"every series is too short .*beside the 10 held out .*Hold out none \(folds=0"
    ):
        tiny(folds=2).fit(short)
    assert tiny(folds=0).fit(short).predict().height == 5


def test_what_is_held_out_is_not_learned_from():
    frame = long_frame()
    spoiled = frame.with_columns(
        y=pl.when(pl.int_range(pl.len()).over("unique_id") >= pl.len().over("unique_id") - 10).then(1e6).otherwise("y")
    )
    first = tiny(folds=2).fit(frame)
    second = tiny(folds=2).fit(spoiled)
    assert first.fitted.learned.held_out == 10
    other = long_frame({"new": 50}, seed=9)
    assert first.predict(other).equals(second.predict(other))


def test_without_windows_to_calibrate_on_intervals_stay_as_they_are(caplog: pytest.LogCaptureFixture):
    data = long_frame({"a": 14})
    forecast = tiny(folds=0).fit(data).predict()
    assert "no series is long enough for validation windows" in caplog.text
    assert_frame_equal(forecast, tiny(folds=0, conformal=False).fit(data).predict())


def test_intervals_widen_with_the_errors_since_training_and_not_with_those_to_come():
    frame = long_frame({f"s{k}": 120 for k in range(3)})
    forecaster = tiny(folds=4).fit(frame)
    model = model_of(forecaster)

    def margins(data: pl.DataFrame) -> np.ndarray:
        """By how much the widest interval is moved in each of the last two folds, in units of the window's scale."""
        series = forecaster.data_for(data)
        rows, origins = np.array([0, 0]), np.array([110, 115])
        uncalibrated, scales = model._uncalibrated(series, rows, origins)
        return (uncalibrated - model.quantiles(series, rows, origins))[:, 0, 0] / scales

    last = pl.int_range(pl.len()).over("unique_id") - pl.len().over("unique_id")
    before = margins(frame)
    # Within the first of the two folds: only the second knows of it when it begins.
    shaken = margins(frame.with_columns(y=pl.when((last >= -10) & (last < -5)).then(pl.col("y") + 500).otherwise("y")))
    assert shaken[0] == pytest.approx(before[0])
    assert shaken[1] > before[1] + 1


def test_conformal_intervals_cover_about_as_they_should():
    """Six steps of training know nothing of the spread; the margins do."""
    frame = long_frame({f"s{k}": 200 for k in range(6)})
    forecaster = tiny(max_steps=6, validation_windows=12, conformal=True, folds=8).fit(frame)
    assert forecaster.fitted.learned.calibration is not None
    assert forecaster.fitted.learned.calibration.windows == 72
    found = forecaster.evaluate().facts["interval_coverage_by_nominal_percent"]
    assert found == {name: pytest.approx(int(name) / 100, abs=0.12) for name in ("80", "60", "40", "20")}


def test_validation_data_choose_the_weights_and_fit_the_margins():
    frame, held = long_frame(), long_frame({"other": 90}, seed=7)
    forecaster = tiny(conformal=True, validation_windows=4).fit(frame, validation=held)
    again = tiny(conformal=True, validation_windows=4).fit(frame, validation=held.with_columns(pl.col("y") * 3))
    assert forecaster.fitted.data["validation_digest"] != again.fitted.data["validation_digest"]
    assert forecaster.fitted.learned.calibration != again.fitted.learned.calibration
    with pytest.raises(DataError, match="no series is long enough to leave 20 steps"):
        tiny(validation_windows=4).fit(frame, validation=held.head(20))


def test_a_calibration_that_an_interruption_left_out_is_made_on_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    frame = long_frame()
    expected = tiny(conformal=True).fit(frame).predict()
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Forecaster, "finish", lambda self, fitted, training, validation: fitted.learned)
        tiny(conformal=True).fit(frame, folder=tmp_path / "run")
        tiny(conformal=True).fit(frame, validation=frame, folder=tmp_path / "validated")
    assert_frame_equal(Forecaster.load(tmp_path / "run").predict(), expected)
    Forecaster.load(tmp_path / "validated").predict()
    assert "interrupted before conformal intervals were calibrated" in caplog.text
    resumed = tiny(conformal=True).fit(frame, folder=tmp_path / "run", resume=True)
    assert_frame_equal(resumed.predict(), expected)


def test_fine_tuning_takes_over_the_categories_that_both_runs_have(tmp_path: Path):
    frame = long_frame({"a": 60, "b": 60})
    colours = {"a": "red", "b": "blue"}
    reading = ForecastReading(static=("colour",))
    first = tiny().fit(frame.with_columns(colour=pl.col("unique_id").replace_strict(colours)), reading=reading)
    first.save(tmp_path / "run")
    other = frame.with_columns(colour=pl.col("unique_id").replace_strict(colours | {"b": "green"}))
    # No step changes anything: what training starts from is seen as it is.
    tuned = tiny(max_steps=1, learning_rate=1e-30, averaging=0.0).fit(
        other, reading=reading, start_from=tmp_path / "run"
    )
    name = "embedding.tables.0.weight"
    before, now = (one.fitted.network.state_dict()[name] for one in (first, tuned))
    assert (first.fitted.learned.rows()[name], tuned.fitted.learned.rows()[name]) == (
        [None, "blue", "red"],
        [None, "green", "red"],
    )
    torch.testing.assert_close(now[2], before[2])
    assert not torch.equal(now[1], before[1])


def test_a_known_covariate_that_drives_the_series_is_learned():
    generator = np.random.default_rng(0)
    drive = generator.integers(0, 2, size=(4, 120)).astype(float)
    frame = pl.concat(
        pl.DataFrame({"unique_id": [str(k)] * 120, "ds": days(120), "y": 10 + 5 * d, "k": d})
        for k, d in enumerate(drive)
    )
    options: dict[str, Any] = {
        "max_steps": 60,
        "hidden_size": 16,
        "batch_size": 32,
        "averaging": 0.0,
        "learning_rate": 0.02,
    }
    with_it = tiny(**options).fit(frame, reading=ForecastReading(known=("k",))).training_result
    without = tiny(**options).fit(frame).training_result
    assert with_it is not None
    assert without is not None
    assert with_it.best_loss < 0.5 * without.best_loss


def test_a_forecaster_that_is_not_fitted_says_so():
    forecaster = Forecaster(horizon=5)
    for use in (forecaster.predict, forecaster.evaluate, forecaster.inspect, lambda: forecaster.fitted):
        with pytest.raises(RunError, match="not fitted; call fit first"):
            use()


def test_what_is_no_frame_is_refused():
    with pytest.raises(ParameterError, match="frame: expected a polars or pandas DataFrame, got 'list'"):
        Forecaster(horizon=5).fit([1, 2, 3])


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ParameterError, match="device: expected 'cpu', as this machine has no CUDA, got 'cuda'"):
        tiny(device="cuda").fit(long_frame())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    tiny(folds=1).fit(long_frame(), folder=folder)
    return folder


def test_a_run_is_resumed_with_the_same_data_and_options_only(run: Path):
    expected = Forecaster.load(run).predict()
    assert tiny(folds=1).fit(long_frame(), folder=run, resume=True).predict().equals(expected)
    changed = long_frame().with_columns(y=pl.col("y") + 1)
    cases: list[tuple[dict[str, Any], pl.DataFrame, str]] = [
        ({"hidden_size": 9}, long_frame(), "other hidden_size"),
        ({"folds": 2}, long_frame(), "other folds"),
        ({}, long_frame({"a": 60}), "other data"),
        ({}, changed, "other data"),
    ]
    for options, frame, message in cases:
        with pytest.raises(RunError, match=f"cannot resume with {message}"):
            tiny(**{"folds": 1, **options}).fit(frame, folder=run, resume=True)


def test_a_damaged_run_is_named(run: Path):
    text = (run / "learned.json").read_text()
    (run / "learned.json").write_text(text.replace('"held_out"', '"held"'))
    with pytest.raises(RunError, match=r"damaged .*KeyError\('held_out'\)"):
        Forecaster.load(run)
    (run / "learned.json").write_text(text)
    (run / "learned.safetensors").unlink()
    with pytest.raises(RunError, match=r"learned\.safetensors"):
        Forecaster.load(run)


@pytest.mark.parametrize("model", ["direct", "recursive"])
def test_a_weekly_series_is_forecast_about_as_well_as_it_can_be(model: str):
    """Noise of 0.5 around a sine of 5: a forecast of the mean would be wrong by 3.2 on average."""
    frame = pl.concat(
        pl.DataFrame({"unique_id": [str(k)] * 140, "ds": days(140), "y": weekly_values(140, k)}) for k in range(3)
    )
    options: dict[str, Any] = {
        "max_steps": 120,
        "hidden_size": 16,
        "batch_size": 32,
        "context_length": 21,
        "model": model,
    }
    measures = tiny(**options, horizon=7, folds=2).fit(frame).evaluate().methods
    assert measures["model"]["MAE"] < 0.6
    assert measures["model"]["MAE"] < measures["seasonal naive"]["MAE"] < measures["naive"]["MAE"]


def test_a_series_that_holding_out_leaves_nothing_of_is_named(caplog: pytest.LogCaptureFixture):
    frame = long_frame({"a": 60, "b": 8})
    forecaster = tiny(folds=2).fit(frame)
    assert "series 'b': no steps are left to learn from with 10 steps held out" in caplog.text
    assert set(forecaster.predict()["unique_id"]) == {"a", "b"}


def test_a_category_is_the_same_as_number_and_as_text():
    letters = {"a": "1", "b": "x"}
    frame = long_frame({"a": 60, "b": 60}).with_columns(kind=pl.col("unique_id").replace_strict(letters))
    forecaster = tiny().fit(frame, reading=ForecastReading(static=("kind",)))
    alone = frame.filter(pl.col("unique_id") == "a")
    numeric = alone.with_columns(kind=pl.lit(1))
    assert_frame_equal(forecaster.predict(numeric), forecaster.predict(alone))


def test_a_cell_of_ones_own_by_its_import_path():
    forecaster = tiny(cell="every_cell:Peephole").fit(long_frame())
    assert forecaster.predict()["forecast"].is_finite().all()
    with pytest.raises(ParameterError, match=r"^cell: expected a class that can be imported, got 'nowhere:Cell'"):
        Forecaster(horizon=5, cell="nowhere:Cell")


def test_fitting_and_loading_leave_torch_s_generator_alone_but_for_training(tmp_path: Path):
    tiny().fit(long_frame()).save(tmp_path / "run")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    Forecaster.load(tmp_path / "run").predict()
    assert torch.equal(torch.rand(2), expected)


def test_the_horizon_of_a_file_is_the_default(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    values = ",".join(f"{value:.3f}" for value in weekly_values(60))
    header = "@attribute series_name string\n@attribute start_timestamp date\n@frequency daily\n@horizon 6\n@data\n"
    (tmp_path / "demo.tsf").write_text(f"{header}T1:2024-01-01 00-00-00:{values}\n")
    forecaster = tiny(horizon=None, folds=2).fit(tmp_path / "demo.tsf", folder=tmp_path / "run")
    assert sum("the horizon is the file's, 6 steps; the last 12 of each" in line for line in caplog.messages) == 1
    assert forecaster.predict().height == 6
    loaded = Forecaster.load(tmp_path / "run")
    assert loaded.horizon is None
    assert loaded.predict(long_frame({"T1": 60})).height == 6
    assert loaded.evaluate().facts["windows"] == 2
    assert loaded.evaluate(refit=True).facts["windows"] == 2
    assert tiny(horizon=3).fit(tmp_path / "demo.tsf").predict().height == 3


def test_without_validation_windows_it_is_said_once_that_intervals_are_not_calibrated(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    forecaster = tiny(validation_windows=0).fit(long_frame())
    assert sum("intervals are not calibrated" in line for line in caplog.messages) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    model, data = model_of(forecaster), forecaster.fitted.learned.data
    rows, origins = np.arange(2), data.lengths
    np.testing.assert_array_equal(model.quantiles(data, rows, origins), model._uncalibrated(data, rows, origins)[0])
    caplog.clear()
    tiny().fit(long_frame({"a": 14}))
    assert sum("no series is long enough for validation windows" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+05:30", "UTC", None])
@pytest.mark.parametrize("step", ["D", "h"])
def test_stamps_of_pandas_come_back_in_their_zone(zone: str | None, step: str, tmp_path: Path):
    stamps = pd.date_range("2024-03-01", periods=65, freq=step, tz=zone)
    frame = pd.DataFrame({"ds": stamps[:60], "y": weekly_values(60)})
    forecaster = tiny(folds=1).fit(frame)
    forecaster.save(tmp_path / "run")
    found = recurra.load(tmp_path / "run").predict()
    assert found["ds"].dt.tz == stamps.tz
    assert found["ds"].to_list() == stamps[60:].to_list()
    forecaster.predictions().write(tmp_path / "f.csv")
    written = [line.split(",")[1] for line in (tmp_path / "f.csv").read_text().splitlines()[1:]]
    assert [pd.Timestamp(text) for text in written] == stamps[60:].to_list()
    table = forecaster.evaluate().tables["forecasts"]
    assert [pd.Timestamp(row[1]) for row in table.rows] == [stamps[54]] * 5
    assert [pd.Timestamp(row[2]) for row in table.rows] == stamps[55:60].to_list()


@pytest.mark.parametrize(
    ("form", "zone"), [("isoformat", "Europe/Berlin"), ("%d.%m.%Y %H:%M", None), ("%s", None), ("%Y%m%d", None)]
)
def test_forecasts_of_a_file_are_written_as_its_stamps_are(form: str, zone: str | None, tmp_path: Path):
    times = pd.date_range("2024-03-01", periods=65, freq="D", tz=zone)
    stamps = [time.isoformat() if form == "isoformat" else time.strftime(form) for time in times]
    lines = [f"{stamp};{value}" for stamp, value in zip(stamps, weekly_values(60), strict=False)]
    (tmp_path / "data.csv").write_text("\n".join(["ds;y", *lines]) + "\n")
    forecaster = tiny(folds=1).fit(tmp_path / "data.csv")
    forecaster.predictions().write(tmp_path / "f.csv")
    assert [line.split(",")[1] for line in (tmp_path / "f.csv").read_text().splitlines()[1:]] == stamps[60:]
    forecaster.evaluate().write(tmp_path / "evaluation")
    rows = [line.split(",") for line in (tmp_path / "evaluation" / "forecasts.csv").read_text().splitlines()[1:]]
    assert [row[1:3] for row in rows] == [[stamps[54], stamp] for stamp in stamps[55:60]]
    forecaster.predictions().write(tmp_path / "f.parquet")
    typed = pl.read_parquet(tmp_path / "f.parquet")["ds"].to_list()
    assert typed == (times if zone is not None else times.tz_localize(None))[60:].to_list()


@pytest.mark.parametrize("frequency", ["D", "M", "Q-DEC", "h", "W-SUN"])
def test_periods_of_pandas_come_back_as_periods(frequency: str, tmp_path: Path):
    periods = pd.period_range("2010-01-01", periods=65, freq=frequency)
    tiny().fit(pd.DataFrame({"ds": periods[:60], "y": weekly_values(60)})).save(tmp_path / "run")
    found = recurra.load(tmp_path / "run").predict()["ds"]
    assert found.dtype == periods.dtype
    assert found.to_list() == periods[60:].to_list()
    indexed = tiny().fit(pd.DataFrame({"y": weekly_values(60)}, index=periods[:60])).predict()["ds"]
    assert indexed.to_list() == found.to_list()
