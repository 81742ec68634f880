"""False alarms on rows that are normal and that nothing was fitted to, beside the budget that was stated.

The detector is trained on the first rows of a series, with its default options, and judges the rows after them. Counted
are the events that begin there: in TSB-AD before the first anomaly, in NAB outside all windows, in SKAB in the second
half of the recording without anomalies. A budget is kept if the ratio of events to those accepted is about 1. NAB's
rows outside the windows are not free of anomalies, and levels change in all sets: the ratio says what a user would see,
and not how good a fit is.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks._report import Report, ranged
from benchmarks.anomaly_nab import read as read_nab
from recurra.detection.budget import probability_of_budget
from recurra.detection.metrics.nab import probation
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.scoring import score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
BUDGETS = ("1 in 500", "1 in 2000", "1 in 10000")
SETS = ("TSB-AD U", "TSB-AD M", "NAB", "SKAB")


@dataclass(frozen=True)
class Part:
    """A series: values (T, C), the rows of training, and which rows (T,) are normal."""

    values: NDArray[np.float64]
    trained_on: int
    normal: NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--every", type=int, default=1, help="one series of so many is measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds tsb_ad_subset, nab and skab\n")
    torch.set_num_threads(options.threads)
    table = Report(options.markdown).table(
        f"Events on normal rows over those that the budget accepts, mean and range of seeds "
        f"{', '.join(map(str, options.seeds))}",
        {"set": "10s", "series": "6.0f", "rows": "10,.0f"} | dict.fromkeys(BUDGETS, "20s"),
    )
    for name in options.sets:
        series = list(read(name))[:: options.every]
        started = time.process_time()
        rows = sum(int(part.normal.sum()) for part in series)
        accepted = rows * np.array([probability_of_budget(budget) for budget in BUDGETS])
        by_seed = []
        for seed in options.seeds:
            counts = np.zeros(len(BUDGETS))
            for part in series:
                detector = AnomalyDetector(seed=seed).fit(part.values[: part.trained_on], progress=False)
                counts += [events(detector, part, probability_of_budget(budget)) for budget in BUDGETS]
            by_seed.append(counts)
            shown = ", ".join(f"{n:.0f} of {most:.1f}" for n, most in zip(counts, accepted, strict=True))
            print(f"{name}, seed {seed}: {shown}; {time.process_time() - started:.0f} s of the processor", flush=True)
        ratios = (np.array(by_seed) / accepted).T
        table.add(name, len(series), rows, *(ranged(one.tolist(), ".2f") for one in ratios))


def events(detector: AnomalyDetector, part: Part, probability: float) -> int:
    """The events that begin in a normal row."""
    values = part.values[: int(np.flatnonzero(part.normal)[-1]) + 1]
    found = score(detector.trained(), values, probability).events
    return sum(bool(part.normal[event.start]) for event in found)


def read(name: str) -> Iterator[Part]:
    if name == "SKAB":
        [path] = (DATA / "skab").glob("**/anomaly-free.csv*")
        values = pl.read_csv(path, separator=";").drop("datetime").to_numpy().astype(float)
        yield Part(values, len(values) // 2, np.arange(len(values)) >= len(values) // 2)
    elif name == "NAB":
        windows = json.loads((DATA / "nab" / "combined_windows.json").read_text(encoding="utf-8"))
        for file, marked in windows.items():
            times, values = read_nab(file)
            trained_on = probation(len(times))
            normal = np.arange(len(times)) >= trained_on
            for begin, end in marked:
                normal &= (times < np.datetime64(begin)) | (times > np.datetime64(end))
            yield Part(values[:, None], trained_on, normal)
    else:
        for path in sorted((DATA / "tsb_ad_subset" / name.split()[1]).glob("*.npz")):
            series = np.load(path)
            until, first = int(series["train_until"]), int(np.flatnonzero(series["label"])[0])
            at = np.arange(len(series["data"]))
            if first > until:
                yield Part(series["data"], until, (at >= until) & (at < first))


if __name__ == "__main__":
    main()
