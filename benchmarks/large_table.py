"""A table larger than memory: what a training on it takes, within a limit of memory of the process's own.

A table is generated: hourly values of 100 series with a past covariate, in the order of stamps, so that the rows of a
series are all over it. `recurra train forecast` trains a few steps on it in a process whose own memory (RLIMIT_DATA:
allocations and stacks) is limited, first with an empty cache, then again. Pages of mapped files are not a process's
own: the system drops them if it needs the room. Both are reported.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks._command import run_alone
from benchmarks._limited_training import COLUMNS, train_within
from benchmarks._report import Report

_SERIES = 100
_STEPS_AT_ONCE = 2_000


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=int, default=2000, help="of CSV")
    parser.add_argument("--limit", type=int, default=1000, help="megabytes of memory of the process's own")


def write_table(path: Path, megabytes: int) -> int:
    """Write a CSV file, and return the number of its rows."""
    chance, ids, start = np.random.default_rng(0), [f"s{one}" for one in range(_SERIES)], 0
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            steps = np.arange(start, start + _STEPS_AT_ONCE)
            stamps = np.datetime64("2000-01-01", "us") + steps * np.timedelta64(1, "h")
            season = np.sin(steps * np.pi / 12).repeat(_SERIES)
            values = {"y": season + chance.normal(size=len(season)), "p": chance.normal(size=len(season))}
            frame = pl.DataFrame({"unique_id": ids * len(steps), "ds": stamps.repeat(_SERIES), **values})
            frame.write_csv(file, include_header=not start, float_precision=4)
            start += len(steps)
    return start * _SERIES


def measure(options: Namespace, report: Report) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        path = folder / "large.csv"
        rows = write_table(path, options.megabytes)
        table = report.table(
            f"Training 20 steps on a table of {options.megabytes} MB ({rows:,} rows), with RLIMIT_DATA of "
            f"{options.limit} MB",
            COLUMNS,
        )
        sizes = "--horizon 24 --past p --hidden-size 16 --max-steps 20 --validate-every 20 --map-above 0"
        for name in ("empty", "filled"):
            arguments = ["forecast", "--data", str(path), "--out", str(folder / name), *sizes.split()]
            table.add(name, *train_within(options.limit, arguments, folder, options.threads))


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
