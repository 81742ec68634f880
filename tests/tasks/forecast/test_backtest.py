import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_series import TINY, days, long_frame, series_set, weekly_values

from recurra.data.series.frame import series_from_frame
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.forecast import Backtest, Forecaster
from recurra.tasks.forecast.backtest import plan_folds, run_backtest
from recurra.tasks.forecast.tables import backtest_table, write_backtest

LEVELS = (0.1, 0.5, 0.9)


def test_origins_by_hand():
    folds = plan_folds(series_set(np.arange(20.0), np.arange(11.0), np.arange(8.0)), 4, 3, 2, 5)
    # The last horizon ends with the series; the second series has no room for the first fold, the third for none.
    assert list(zip(folds.rows.tolist(), folds.numbers.tolist(), folds.origins.tolist(), strict=True)) == [
        (0, 0, 12),
        (0, 1, 14),
        (0, 2, 16),
        (1, 1, 5),
        (1, 2, 7),
    ]
    assert folds.short == {"1": 2, "2": 0}


def test_no_series_long_enough_is_refused():
    with pytest.raises(DataError, match=r"made: no series is long enough .* needs 12, the longest has 11"):
        plan_folds(series_set(np.arange(11.0), np.arange(9.0)), 4, 2, 4, 8)


def _flat(level: float, width: float):
    def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        return np.tile([level - width, level, level + width], (len(rows), 2, 1))

    return forecast


def _backtest(**options: float) -> Backtest:
    data = series_set([1.0, 2, 1, 4, 3, 2, np.nan, 4], [5.0] * 8)
    return run_backtest(data, plan_folds(data, 2, 2, 2, 3), _flat(3, options.get("width", 1)), 2, 2, LEVELS)


def test_measures_by_hand():
    found = _backtest()
    np.testing.assert_array_equal(found.truth, [[3, 2], [np.nan, 4], [5, 5], [5, 5]])
    np.testing.assert_array_equal(found.points["naive"], [[4, 4], [2, 2], [5, 5], [5, 5]])
    np.testing.assert_array_equal(found.points["seasonal naive"], [[1, 4], [3, 2], [5, 5], [5, 5]])
    # Scales: mean of |1 - 1|, |4 - 2| and with |3 - 1|, |2 - 4|; the constant series has none.
    np.testing.assert_array_equal(found.scales, [1, 1.5, np.nan, np.nan])
    model = found.overall["model"]
    assert model["MAE"] == pytest.approx((0 + 1 + 1 + 4 * 2) / 7)
    assert model["RMSE"] == pytest.approx(math.sqrt((0 + 1 + 1 + 4 * 4) / 7))
    assert model["sMAPE"] == pytest.approx(100 * np.mean([(0 + 2 / 5) / 2, 2 / 7, 4 / 8, 4 / 8]))
    assert model["MASE"] == pytest.approx(np.mean([0.5 / 1, 1 / 1.5]))
    assert model["80 % coverage"] == pytest.approx(3 / 7)
    # Losses at 0.1, 0.5, 0.9 by truth: 3 (once), 2, 4, and 5 four times; the truths add up to 29.
    losses = np.array([0.1 + 0 + 0.4 * 2 + 0.3 * 4 - 0.1 + 0.1 + 0.0, 0.5 * (0 + 1 + 1 + 8), 0.0])
    low = 0.1 * 1 + 0.1 * 0 + 0.1 * 2 + 0.1 * 3 * 4
    high = 0.1 * 1 + 0.1 * 2 + 0 + 0.9 * 1 * 4
    losses = np.array([low, losses[1], high])
    assert model["wQL"] == pytest.approx(np.mean(2 * losses / 29))
    assert found.interval_coverage == {"80": model["80 % coverage"]}
    naive = found.overall["naive"]
    assert naive["MAE"] == pytest.approx((1 + 2 + 2) / 7)
    assert naive["wQL"] == pytest.approx(5 / 29)


def test_measures_by_series_and_by_step_agree_with_those_overall():
    generator = np.random.default_rng(0)
    data = series_set(*generator.normal(5, 1, size=(3, 40)))
    found = run_backtest(data, plan_folds(data, 2, 3, 2, 8), _flat(5, 1), 2, 7, LEVELS)
    for method in ("model", "naive", "seasonal naive"):
        for name in ("MAE", "sMAPE", "MASE"):
            each = [measures[method][name] for measures in found.by_series.values()]
            assert found.overall[method][name] == pytest.approx(np.mean(each)), name
        each = [measures[method]["RMSE"] ** 2 for measures in found.by_series.values()]
        assert found.overall[method]["RMSE"] == pytest.approx(math.sqrt(np.mean(each)))
        assert found.overall[method]["MASE"] == pytest.approx(found.by_step[method].mean())
        assert found.by_step[method].shape == (2,)


def test_a_forecast_that_is_not_finite_is_an_error_and_not_passed_over():
    with pytest.raises(RunError, match="the forecast of series '0' is not finite"):
        _backtest(width=np.nan)


def test_a_table_marks_the_best_of_each_column():
    lines = backtest_table(_backtest()).splitlines()
    assert lines[0].split() == ["MAE", "RMSE", "sMAPE", "MASE", "wQL", "80", "%", "coverage"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["model", "seasonal naive", "naive"]
    assert lines[1].split()[1:3] == ["1.429", "1.604"]
    assert len({len(line) for line in lines}) == 1
    naive = lines[3]
    assert naive.split()[1:3] == ["0.7143", "*"]
    assert naive.rstrip().endswith("-")


def test_files_say_what_the_backtest_says_and_nan_is_no_json(tmp_path: Path):
    found = _backtest()
    write_backtest(found, tmp_path / "deep" / "er")
    folder = tmp_path / "deep" / "er"

    def refuse(name: str) -> None:
        raise AssertionError(name)

    values = json.loads((folder / "backtest.json").read_text(), parse_constant=refuse)
    assert values["overall"]["model"] == pytest.approx(found.overall["model"])
    assert values["windows"] == 4
    assert values["folds_of_short_series"] == {}
    with (folder / "backtest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["unique_id"], row["method"]) for row in rows] == [
        (name, method) for name in "01" for method in ("model", "seasonal naive", "naive")
    ]
    assert float(rows[0]["MAE"]) == pytest.approx(found.by_series["0"]["model"]["MAE"], rel=1e-5)
    assert rows[3]["MASE"] == ""
    forecasts = pl.read_csv(folder / "forecasts.csv")
    assert forecasts.columns == ["unique_id", "cutoff", "ds", "y", "forecast", "q0.1", "q0.5", "q0.9"]
    assert forecasts["cutoff"].to_list() == [3, 3, 5, 5] * 2
    assert forecasts["ds"].to_list() == [4, 5, 6, 7] * 2
    np.testing.assert_array_equal(forecasts["y"].to_numpy(), found.truth.ravel())


def test_a_measure_that_no_method_has_leaves_no_star(tmp_path: Path):
    data = series_set([5.0] * 12)
    found = run_backtest(data, plan_folds(data, 2, 2, 2, 3), _flat(5, 1), 2, 2, LEVELS)
    assert [line.split()[-6] for line in backtest_table(found).splitlines()[1:]]
    write_backtest(found, tmp_path)
    assert json.loads((tmp_path / "backtest.json").read_text())["overall"]["model"]["MASE"] is None


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(5, **TINY).fit(long_frame({"a": 60, "b": 70, "c": 26}), held_out=10)


def test_held_out_steps_are_tested_and_short_series_named(fitted: Forecaster):
    found = fitted.cross_validation(folds=2)
    assert found.folds.origins.tolist() == [50, 55, 60, 65, 16, 21]
    assert found.folds.short == {}
    assert found.season == 7
    # "c" has 26 - 10 = 16 steps, 3 folds of 3 steps fit, but training saw more.
    assert fitted.cross_validation(folds=2, step=2).folds.origins.tolist() == [53, 55, 63, 65, 19, 21]
    newer = series_from_frame(long_frame({"new": 40, "short": 15}))
    found = fitted.cross_validation(newer, folds=3)
    assert found.folds.short == {"short": 1}
    assert list(found.by_series) == ["new", "short"]


def test_a_backtest_on_what_training_saw_is_refused(fitted: Forecaster):
    with pytest.raises(
        DataError, match=r"series 'a': a fold would forecast after 2024-02-14.*training saw later.*refit"
    ):
        fitted.cross_validation(folds=3)
    with pytest.raises(DataError, match="training saw later"):
        Forecaster(5, **TINY).fit(long_frame()).cross_validation(folds=1)


@pytest.mark.parametrize(("options", "name"), [({"folds": 0}, "folds"), ({"step": 0}, "step")])
def test_folds_and_steps_are_at_least_one(fitted: Forecaster, options: dict[str, Any], name: str):
    with pytest.raises(ParameterError, match=f"{name}: expected at least 1, got 0"):
        fitted.cross_validation(**options)


def _spied(monkeypatch: pytest.MonkeyPatch) -> list[SeriesSet]:
    seen: list[SeriesSet] = []
    fit = Forecaster.fit

    def spy(self: Forecaster, data: SeriesSet, **options: Any) -> Forecaster:
        seen.append(data)
        return fit(self, data, **options)

    monkeypatch.setattr(Forecaster, "fit", spy)
    return seen


def test_refit_trains_on_what_is_before_each_fold_only(monkeypatch: pytest.MonkeyPatch):
    seen = _spied(monkeypatch)
    frame = long_frame({"a": 60, "b": 70, "c": 22})
    # Not fitted before: nothing can have been seen.
    found = Forecaster(5, **TINY).cross_validation(frame, folds=3, step=4, refit=True)
    assert [data.lengths.tolist() for data in seen] == [[47, 57, 9], [51, 61, 13], [55, 65, 17]]
    assert found.folds.origins.tolist() == [47, 51, 55, 57, 61, 65, 9, 13, 17]
    whole = series_from_frame(frame)
    for data in seen:
        for one in data:
            np.testing.assert_array_equal(one.y, whole[one.id].y[: len(one)])


def test_refit_reads_other_data_with_the_columns_of_fit(monkeypatch: pytest.MonkeyPatch):
    frame = long_frame().with_columns(price=pl.col("y") * 2)
    forecaster = Forecaster(5, **TINY).fit(frame, Columns(known=("price",)))
    seen = _spied(monkeypatch)
    forecaster.cross_validation(frame.head(60), folds=1, refit=True)
    assert [data.columns.known for data in seen] == [("price",)]
    assert seen[0].series[0].future_rows == 5


def test_refit_without_data_needs_a_fit():
    with pytest.raises(RunError, match="not fitted"):
        Forecaster(5, **TINY).cross_validation(refit=True)


def test_a_file_that_continues_the_data_is_forecast_as_the_held_out_steps_are(tmp_path: Path):
    y = weekly_values(65)
    frame = pl.DataFrame({"unique_id": "a", "ds": days(65), "y": y})
    frame.tail(5).write_csv(tmp_path / "test.csv")
    forecaster = Forecaster(5, **TINY).fit(frame.head(60))
    found = forecaster.backtest_continuation(tmp_path / "test.csv")
    np.testing.assert_array_equal(found.truth, y[None, 60:])
    np.testing.assert_allclose(found.quantiles[0, :, 4], forecaster.predict()["forecast"].to_numpy())
    held = Forecaster(5, **TINY).fit(frame, held_out=5)
    np.testing.assert_allclose(held.cross_validation(folds=1).quantiles, found.quantiles, rtol=1e-6)
    frame.tail(5).head(3).write_csv(tmp_path / "short.csv")
    with pytest.raises(DataError, match="series 'a' is continued by fewer steps than the horizon of 5"):
        forecaster.backtest_continuation(tmp_path / "short.csv")
