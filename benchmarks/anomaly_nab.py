"""NAB: 58 series scored as a stream, by the Numenta Anomaly Benchmark's score in three profiles (Lavin and Ahmad 2015).

The detector is trained on the probationary rows of each series, the first 15 % and at most 750, with its default
options; the score of each later row uses the rows up to it alone. As NAB has it, one threshold for all series is chosen
with the labels. What is fed to it is the negative logarithm of the probability that a normal row has such a score, or
of the Gaussian tail of the size of its forecast error among all so far, as Numenta's own detector squashes its scores.
"Once" feeds a row only if it is less likely than all of the rows before it, a third as many as were trained on: NAB
pays for the first alarm of a window, and takes from the score for each row of a long false alarm.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks._report import Report, ranged
from recurra.detection.alarms import severity
from recurra.detection.metrics.nab import NAB_PROFILES, NabSeries, nab_score, probation
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.scoring import score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "nab"
SMALLEST = 1e-9
SOUGHT = 1 / 2000  # the probability of the default budget
# Of the standard profile, from NAB's own table.
PUBLISHED = {"ARTime": 74.9, "Numenta HTM": 70.5, "KNN CAD": 58.0, "windowed Gaussian": 39.6, "random": 11.0}

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds nab\n")
    torch.set_num_threads(options.threads)
    by_seed = [measure(seed) for seed in options.seeds]
    table = Report(options.markdown).table(
        f"NAB's score, mean and range of seeds {', '.join(map(str, options.seeds))}",
        {"detector": "40s"} | dict.fromkeys(NAB_PROFILES, "20s"),
    )
    for name in by_seed[0]:
        table.add(name, *(ranged([one[name][profile] for one in by_seed], ".1f") for profile in NAB_PROFILES))
    for name, figure in PUBLISHED.items():
        table.add(f"{name}, published", f"{figure}", None, None)


def measure(seed: int) -> dict[str, dict[str, float]]:
    """The scores by what is fed, and by profile."""
    corpus = defaultdict[str, list[NabSeries]](list)
    started = time.process_time()
    windows = json.loads((DATA / "combined_windows.json").read_text(encoding="utf-8"))
    for name, marked in windows.items():
        times, values = read(name)
        trained_on = probation(len(values))
        detector = AnomalyDetector(seed=seed).fit(values[:trained_on], progress=False)
        scored = score(detector.trained(), values[:, None], SOUGHT)
        own = severity(scored.probability)
        fitted = detector.trained()
        rows = replace(fitted, learned=replace(fitted.learned, scales="fast"))
        fast = severity(score(rows, values[:, None], SOUGHT).probability)
        errors = rarity((values - scored.expected[:, 0]) / detector.fitted.learned.statistics.scale[0])
        for fed, scores in (
            ("probability", own),
            ("probability, once", once(own, trained_on // 3)),
            ("probability, with scales='fast', once", once(fast, trained_on // 3)),
            ("error of the next row", errors),
            ("error of the next row, once", once(errors, trained_on // 3)),
        ):
            corpus[fed].append(NabSeries(scores, marked, times))
    results = {
        fed: {profile: nab_score(series, profile).score for profile in NAB_PROFILES} for fed, series in corpus.items()
    }
    seconds = time.process_time() - started
    shown = "; ".join(f"{fed}: {', '.join(f'{one:.1f}' for one in by.values())}" for fed, by in results.items())
    print(f"seed {seed}: {shown}; {seconds:.0f} s of the processor", flush=True)
    return results


def read(name: str) -> tuple[NDArray[np.datetime64], Array]:
    path = DATA / "data" / name
    frame = pl.read_csv(path if path.is_file() else path.with_name(f"{path.name}.gz"))
    times = frame["timestamp"].cast(pl.String).to_list()
    return np.array(times, dtype="datetime64[s]"), frame["value"].cast(pl.Float64).to_numpy()


def rarity(errors: Array) -> Array:
    """-log of the Gaussian tail of the size of each error among all so far (T,); the first has none."""
    sizes = np.nan_to_num(abs(errors))
    count = np.arange(1, len(sizes) + 1)
    means = sizes.cumsum() / count
    deviations = np.sqrt(np.maximum((sizes**2).cumsum() / count - means**2, SMALLEST))
    return -torch.special.log_ndtr(torch.from_numpy((means - sizes) / deviations)).numpy()


def once(scores: Array, rows: int) -> Array:
    """The scores (T,), and 0 where one of the rows before has as high a score."""
    before = sliding_window_view(np.concatenate([np.full(rows, -np.inf), scores]), rows)[: len(scores)].max(axis=1)
    return np.where(scores > before, scores, 0.0)


if __name__ == "__main__":
    main()
