"""M4 hourly: 414 series, horizon 48, one fixed configuration, three seeds, trained on `train.csv` only.

The configuration is that of `recurra train forecast` but for what stands in `SETTINGS`; it was chosen on origins inside
the training file. The test file is read only after training.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import mean

from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.metrics import seasonal_scale

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "m4_hourly"
SETTINGS = {"max_steps": 1500, "validation_windows": 0}
MEASURES = ("wQL", "sMAPE", "MASE", "80 % coverage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--validate", action="store_true", help="score the last 48 training hours instead of the test")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds m4_hourly\n")
    print(f"{'seed':>14}  " + "  ".join(f"{name:>13}" for name in MEASURES) + f"  {'training s':>10}")
    rows, naive = [], []
    for seed in options.seeds:
        forecaster = Forecaster(48, seed=seed, **SETTINGS)
        started = time.perf_counter()
        forecaster.fit(DATA / "train.csv", frequency="1h", held_out=48 if options.validate else 0)
        seconds = time.perf_counter() - started
        if options.validate:
            backtest = forecaster.cross_validation(folds=1)
        else:
            backtest = forecaster.backtest_continuation(DATA / "test.csv")
        check_scale(backtest.scales[0], forecaster)
        measures = backtest.overall
        rows.append([measures["model"][name] for name in MEASURES] + [seconds])
        show(str(seed), rows[-1])
        naive = [measures["seasonal naive"].get(name, float("nan")) for name in MEASURES]
    show("mean", [mean(column) for column in zip(*rows, strict=True)])
    show("seasonal naive", [*naive, 0.0])


def check_scale(scale: float, forecaster: Forecaster) -> None:
    """The figures mean what they are called only if MASE is scaled by the whole training part, season 24."""
    y = forecaster.data.series[0].y
    y = y[: len(y) - forecaster.held_out]
    if scale != seasonal_scale(y, 24):
        raise AssertionError(f"MASE is scaled by {scale}, expected {seasonal_scale(y, 24)}")


def show(name: str, values: list[float]) -> None:
    print(f"{name:>14}  " + "  ".join(f"{value:13.4f}" for value in values[:-1]) + f"  {values[-1]:10.0f}", flush=True)


if __name__ == "__main__":
    main()
