import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_series import days, long_frame, series_set, tiny, weekly_values

from recurra.data.series.frame import series_from_frame
from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import SeriesSet
from recurra.errors import DataError, ParameterError, RunError
from recurra.task import Evaluation
from recurra.tasks.forecast import Backtest, Forecaster, ForecastReading
from recurra.tasks.forecast.backtest import plan_folds, run_backtest
from recurra.tasks.forecast.results import make_evaluation

LEVELS = (0.1, 0.5, 0.9)


def test_origins_by_hand():
    folds = plan_folds(series_set(np.arange(20.0), np.arange(11.0), np.arange(8.0)), 4, 3, 2, 5)
    # The last horizon ends with the series; the second series has no room for the first fold, the third for none.
    assert list(zip(folds.rows.tolist(), folds.indices.tolist(), folds.origins.tolist(), strict=True)) == [
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


def test_an_evaluation_shows_every_measure_of_every_method():
    found = make_evaluation(_backtest())
    lines = found.table().splitlines()
    assert lines[0].split() == ["MAE", "RMSE", "sMAPE", "MASE", "wQL", "80", "%", "coverage,", "%"]
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["model", "seasonal naive", "naive"]
    assert lines[1].split()[1:3] == ["1.429", "1.604"]
    assert lines[3].split()[1:3] == ["0.7143", "1.134"]
    assert found.score == -found.scores["MASE"]
    assert found.notes == ["MASE leaves out 2 forecasts of series that never changed from season to season before."]


def test_series_whose_interval_covers_far_from_nominal_are_named():
    generator = np.random.default_rng(1)
    data = series_set(generator.normal(5, 0.01, 40), generator.normal(5, 20, 40))
    found = make_evaluation(run_backtest(data, plan_folds(data, 2, 6, 2, 8), _flat(5, 1), 2, 7, LEVELS))
    (note,) = found.notes
    assert "The 80 % interval covers far more or less than 80 % of 1 of 2 series: '1' (" in note
    assert set(found.facts["coverage_by_step"]) == {"80"}


def test_mase_of_another_season_is_scaled_by_its_changes():
    found = _backtest()
    assert found.mase(found.season)["model"] == pytest.approx(found.overall["model"]["MASE"])
    assert np.isnan(found.mase(52)["model"])


def test_weekly_data_get_both_common_seasons_where_they_are_long_enough():
    values = np.random.default_rng(2).normal(5, 1, size=(1, 130))
    data = replace(series_set(*values), frequency=Frequency.parse("1w"))

    def notes(length: int) -> list[str]:
        cut = data.until(130 - length)
        return list(make_evaluation(run_backtest(cut, plan_folds(cut, 2, 1, 2, 8), _flat(5, 9), 2, 1, LEVELS)).notes)

    assert notes(130)[0].startswith("MASE over a season of 52: model ")
    assert notes(40) == []


def test_files_say_what_the_backtest_says_and_nan_is_no_json(tmp_path: Path):
    found, folder = _backtest(), tmp_path / "deep" / "er"
    make_evaluation(found).write(folder)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    values = json.loads((folder / "evaluation.json").read_text(), parse_constant=refuse)
    assert values["methods"]["model"] == pytest.approx(found.overall["model"])
    assert values["windows"] == 4
    assert values["folds_of_short_series"] == {}
    assert values["error_by_step"]["naive"] == pytest.approx(found.by_step["naive"].tolist())
    with (folder / "by_series.csv").open() as file:
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
    np.testing.assert_array_equal(forecasts["y"].cast(pl.Float64, strict=False).to_numpy(), found.truth.ravel())


def test_a_measure_that_no_method_has_is_left_out_and_another_is_the_main_one():
    data = series_set([5.0] * 12)
    found = make_evaluation(run_backtest(data, plan_folds(data, 2, 2, 2, 3), _flat(5, 1), 2, 2, LEVELS))
    assert all("MASE" not in scores for scores in found.methods.values())
    assert found.main == "wQL"


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return tiny(folds=2).fit(long_frame({"a": 60, "b": 70, "c": 26}))


def _cutoffs(found: Evaluation) -> list[tuple[str, str]]:
    """Series and last stamp seen of every forecast, each once."""
    return list(dict.fromkeys((row[0], row[1]) for row in found.tables["forecasts"].rows))


def _stamps(**origins: list[int]) -> list[tuple[str, str]]:
    return [(name, str(days(1, origin - 1)[0])[:10]) for name, counts in origins.items() for origin in counts]


def test_held_out_steps_are_tested_and_short_series_named(fitted: Forecaster):
    found = fitted.evaluate()
    assert _cutoffs(found) == _stamps(a=[50, 55], b=[60, 65], c=[16, 21])
    assert found.facts["folds_of_short_series"] == {}
    assert found.facts["season"] == 7
    # "c" has 26 - 10 = 16 steps, 3 folds of 3 steps fit, but training saw more.
    assert _cutoffs(fitted.evaluate(folds=2, step=2)) == _stamps(a=[53, 55], b=[63, 65], c=[19, 21])
    found = fitted.evaluate(long_frame({"new": 40, "short": 15}), folds=3)
    assert found.facts["folds_of_short_series"] == {"short": 1}
    assert found.notes[0] == "Too short for all 3 folds, with those they have: 'short' (1)."
    assert {row[0] for row in found.tables["by_series"].rows} == {"new", "short"}
    assert fitted.score(long_frame({"new": 40})) == fitted.evaluate(long_frame({"new": 40})).score


def test_a_backtest_on_what_training_saw_is_refused(fitted: Forecaster):
    with pytest.raises(
        DataError, match=r"series 'a': a fold would forecast after 2024-02-14.*training saw later.*refit"
    ):
        fitted.evaluate(folds=3)
    everything = tiny(folds=0).fit(long_frame())
    with pytest.raises(DataError, match="training saw later"):
        everything.evaluate(folds=1)
    with pytest.raises(RunError, match=r"training held nothing out .*test=.*refit=True"):
        everything.evaluate()


@pytest.mark.parametrize(("options", "name"), [({"folds": 0}, "folds"), ({"step": 0}, "step")])
def test_folds_and_steps_are_at_least_one(fitted: Forecaster, options: dict[str, Any], name: str):
    with pytest.raises(ParameterError, match=f"{name}: expected a whole number of at least 1.*, got 0"):
        fitted.evaluate(**options)


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
    found = tiny().evaluate(frame, folds=3, step=4, refit=True)
    assert [data.lengths.tolist() for data in seen] == [[47, 57, 9], [51, 61, 13], [55, 65, 17]]
    assert _cutoffs(found) == _stamps(a=[47, 51, 55], b=[57, 61, 65], c=[9, 13, 17])
    whole = series_from_frame(frame)
    for data in seen:
        for one in data:
            np.testing.assert_array_equal(one.y, whole[one.id].y[: len(one)])


def test_refit_reads_other_data_with_the_columns_of_fit(monkeypatch: pytest.MonkeyPatch):
    frame = long_frame().with_columns(price=pl.col("y") * 2)
    forecaster = tiny().fit(frame, reading=ForecastReading(known=("price",)))
    seen = _spied(monkeypatch)
    forecaster.evaluate(frame.head(60), folds=1, refit=True)
    assert [data.columns.known for data in seen] == [("price",)]
    assert seen[0].series[0].future_rows == 5


def test_refit_without_data_needs_a_fit():
    with pytest.raises(RunError, match="not fitted"):
        tiny().evaluate(refit=True)


def test_a_file_that_continues_the_data_is_forecast_as_the_held_out_steps_are(tmp_path: Path):
    y = weekly_values(65)
    frame = pl.DataFrame({"unique_id": "a", "ds": days(65), "y": y})
    frame.tail(5).write_csv(tmp_path / "test.csv")
    forecaster = tiny().fit(frame.head(60))
    found = forecaster.evaluate(test=tmp_path / "test.csv")
    rows = np.array([row[3:] for row in found.tables["forecasts"].rows])
    np.testing.assert_array_equal(rows[:, 0], y[60:])
    np.testing.assert_allclose(rows[:, 1], forecaster.predict()["forecast"].to_numpy())
    assert tiny(folds=1).fit(frame).evaluate().scores == pytest.approx(found.scores, rel=1e-6)
    with pytest.raises(ParameterError, match="test: expected no folds"):
        forecaster.evaluate(test=tmp_path / "test.csv", folds=1)
    frame.tail(5).head(3).write_csv(tmp_path / "short.csv")
    with pytest.raises(DataError, match="series 'a' is continued by fewer steps than the horizon of 5"):
        forecaster.evaluate(test=tmp_path / "short.csv")
