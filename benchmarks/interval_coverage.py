"""How often the 80 % interval of a forecaster holds the truth, and the mean weighted quantile loss beside it.

Each set is forecast by `recurra.Forecaster` with its default options, trained for `--max-steps`; its folds were held
out of training. The loss is that of all steps of a set together, so that series on a large level weigh more.

- AirPassengers: 144 months, bundled with the package; horizon 12, 3 folds.
- drift: three made random walks of 500 days with a weekly cycle, the same for each seed; horizon 14, 6 folds.
- monthly: real series that statsmodels bundles: the turnover of electrical equipment in the euro area (elec_equip), the
  temperature of the sea at the equator (elnino), and the monthly ones of at least 144 months among the US indicators of
  its test of a nowcast (frbny_nowcast, as known on 29 June 2016); horizon 18, 3 folds.
- weekly: carbon dioxide at Mauna Loa from 1958 to 2001 (co2), also from statsmodels; horizon 13, 6 folds.

The last two are skipped if statsmodels is not installed; its files are read, and nothing of it is imported.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import numpy as np
import polars as pl
import torch

from benchmarks._machine import describe_machine
from benchmarks._report import Report
from recurra import Forecaster

MEASURES = ("80 % coverage", "wQL")
FEWEST_MONTHS = 144


@dataclass(frozen=True)
class Set:
    """Series and how they are forecast.

    Attributes:
        read: makes or reads them: a long frame, or the name of a bundled sample. From statsmodels, it takes the folder
            in which that is installed.
        horizon: steps of a forecast.
        folds: horizons at the end of each series that are held out.
        from_statsmodels: whether statsmodels bundles them.
    """

    read: Callable[[Path], pl.DataFrame | str]
    horizon: int
    folds: int
    from_statsmodels: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="NAME")
    parser.add_argument("--max-steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("\n".join(f"{name}: {value}" for name, value in describe_machine().items()))
    found = find_spec("statsmodels")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    names = [name for name in options.sets if folder is not None or not SETS[name].from_statsmodels]
    for name in options.sets:
        if name not in names:
            print(f"{name}: skipped, as its series come with statsmodels, which is not installed")
    data = {name: SETS[name].read(folder or Path()) for name in names}
    for name, series in data.items():
        if isinstance(series, pl.DataFrame):
            ids = series["unique_id"].unique(maintain_order=True).to_list()
            print(f"{name}: {len(ids)} series: {', '.join(ids)}")
    table = Report(options.markdown).table(
        f"Coverage of the 80 % interval in percent and mean weighted quantile loss, {options.max_steps} steps, "
        f"seeds {', '.join(map(str, options.seeds))}",
        {"set": "14s"}
        | {f"coverage: {seed}": "6.1f" for seed in options.seeds}
        | {"coverage: mean": "6.1f"}
        | {f"wQL: {seed}": "7.4f" for seed in options.seeds}
        | {"wQL: mean": "7.4f", "wQL: seasonal naive": "7.4f", "training: s": "6.0f"},
    )
    for name, series in data.items():
        rows, seconds, naive = [], [], 0.0
        for seed in options.seeds:
            one = SETS[name]
            forecaster = Forecaster(
                horizon=one.horizon, folds=one.folds, max_steps=options.max_steps, seed=seed, device="cpu"
            )
            started = time.perf_counter()
            forecaster.fit(series, progress=False)
            seconds.append(time.perf_counter() - started)
            evaluation = forecaster.evaluate()
            rows.append([evaluation.scores[measure] for measure in MEASURES])
            naive = evaluation.baselines["seasonal naive"]["wQL"]
        covered, losses = zip(*rows, strict=True)
        percent = [100 * value for value in covered]
        table.add(name, *percent, mean(percent), *losses, mean(losses), naive, mean(seconds))


def drifting() -> pl.DataFrame:
    """Random walks from 100: each day a normal step of deviation 1 around 0.1, and a weekly cycle of amplitude 5."""
    generator, days = np.random.default_rng(0), 500
    cycle = 5 * np.sin(2 * np.pi * np.arange(days) / 7)
    walks = [100 + cycle + generator.normal(0.1, 1, days).cumsum() for _ in range(3)]
    stamps = np.datetime64("2024-01-01") + np.arange(days)
    return pl.concat(
        pl.DataFrame({"unique_id": [f"walk {number}"] * days, "ds": stamps, "y": walk})
        for number, walk in enumerate(walks, 1)
    )


def monthly(folder: Path) -> pl.DataFrame:
    """The monthly series that statsmodels bundles."""
    equipment = pl.read_csv(folder / "datasets/elec_equip/elec_equip.csv", new_columns=["date", "elec_equip"])
    sea = pl.read_csv(folder / "datasets/elnino/elnino.csv").unpivot(
        index="YEAR", variable_name="month", value_name="elnino"
    )
    dated = sea.with_columns(date=pl.format("{}-1-{}", pl.col("month").str.to_titlecase(), "YEAR"))
    results = folder / "tsa/statespace/tests/results/frbny_nowcast/Nowcasting/data/US"
    indicators = pl.read_csv(results / "2016-06-29.csv", infer_schema_length=None)
    return pl.concat(
        [
            long(equipment, "date", "%b-%d-%Y", FEWEST_MONTHS),
            long(dated.select("date", "elnino"), "date", "%b-%d-%Y", FEWEST_MONTHS),
            long(indicators, "Date", "%m/%d/%y", FEWEST_MONTHS),
        ]
    )


def weekly(folder: Path) -> pl.DataFrame:
    """The weekly series that statsmodels bundles."""
    return long(pl.read_csv(folder / "datasets/co2/co2.csv"), "date", "%Y%m%d", 0)


def long(frame: pl.DataFrame, date: str, form: str, fewest: int) -> pl.DataFrame:
    """A long frame of the columns that have at least `fewest` values; missing ones get no row."""
    table = frame.unpivot(index=date, variable_name="unique_id", value_name="y").drop_nulls("y")
    lengths = pl.len().over("unique_id")
    stamps = pl.col(date).cast(pl.String).str.to_date(form)
    return table.filter(lengths >= fewest).select("unique_id", ds=stamps, y=pl.col("y").cast(pl.Float64))


SETS = {
    "AirPassengers": Set(lambda _: "air_passengers", 12, 3),
    "drift": Set(lambda _: drifting(), 14, 6),
    "monthly": Set(monthly, 18, 3, from_statsmodels=True),
    "weekly": Set(weekly, 13, 6, from_statsmodels=True),
}


if __name__ == "__main__":
    main()
