"""M4 hourly: 414 series, horizon 48, one fixed configuration, three seeds, trained on `train.csv` only.

The configuration is that of `recurra train forecast` but for what stands in `OPTIONS`; it was chosen on origins inside
the training file. The test file is read only after training.
"""

import argparse
import math
import os
import time
from pathlib import Path
from statistics import mean
from typing import Any

from recurra.data.series.series_set import SeriesSet
from recurra.task import Evaluation
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.forecast.backtest import seasonal_scale

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "m4_hourly"
OPTIONS: dict[str, Any] = {"max_steps": 1500, "validation_windows": 0}
MEASURES = ("wQL", "sMAPE", "MASE", "80 % coverage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validate", action="store_true", help="score the last 48 training hours instead of the test")
    parser.add_argument("--reservoir", action="store_true", help="the default reservoir instead, with validation")
    options = parser.parse_args()
    settings: dict[str, Any] = {"reservoir": True} if options.reservoir else OPTIONS
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds m4_hourly\n")
    print(f"{'seed':>14}  " + "  ".join(f"{name:>13}" for name in MEASURES) + f"  {'training s':>10}")
    rows, naive = [], []
    for seed in options.seeds:
        forecaster = Forecaster(horizon=48, seed=seed, folds=1 if options.validate else 0, **settings)
        started = time.perf_counter()
        forecaster.fit(DATA / "train.csv", reading=ForecastReading(frequency="1h"))
        seconds = time.perf_counter() - started
        evaluation = forecaster.evaluate(test=None if options.validate else DATA / "test.csv")
        check_scale(evaluation, forecaster.fitted.learned.seen())
        rows.append([evaluation.scores[name] for name in MEASURES] + [seconds])
        show(str(seed), rows[-1])
        naive = [evaluation.baselines["seasonal naive"].get(name, float("nan")) for name in MEASURES]
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    show("seasonal naive", [*naive, 0.0])


def check_scale(evaluation: Evaluation, training: SeriesSet) -> None:
    """The figures mean what they are called only if MASE is scaled by the whole training part, season 24."""
    table = evaluation.tables["by_series"]
    first = dict(zip(table.columns, table.rows[0], strict=True))
    found, expected = first["MAE"] / first["MASE"], seasonal_scale(training.series[0].y, 24)
    if not math.isclose(found, expected, rel_tol=1e-9):
        raise AssertionError(f"MASE is scaled by {found}, expected {expected}")


def show(name: str, values: list[float]) -> None:
    print(f"{name:>14}  " + "  ".join(f"{value:13.4f}" for value in values[:-1]) + f"  {values[-1]:10.1f}", flush=True)


if __name__ == "__main__":
    main()
