"""SKAB: 34 recordings of a water loop, alarms scored point by point as the benchmark does (Katser and Kozitsin 2020).

The detector is trained on the first 400 rows of each file, with its default options, and scores the whole file; the
rows of all files are counted together. Alarms are those of the detector, or by SKAB's own rule: scores above 4/3 of the
0.999 quantile of the training rows' scores.
"""

import argparse
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks._report import Report, ranged
from recurra.detection.metrics.points import point_scores
from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading
from recurra.tasks.anomaly.scoring import score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "skab"
FOLDERS = ("valve1", "valve2", "other")
TRAINING_ROWS, QUANTILE, FACTOR = 400, 0.999, 4 / 3
PROBABILITY = 1 / 2000  # the default budget
READING = AnomalyReading(time_column="datetime", label_column="anomaly", ignore=("changepoint",))
SPECS = (".3f", ".1f", ".1f")
# F1, and false and missed alarms in percent, from SKAB's own table.
PUBLISHED = {"Conv-AE": (0.78, 13.6, 28.0), "LSTM-AE": (0.74, 30.0, 25.9), "vanilla LSTM": (0.54, 12.5, 59.5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    files = [path for folder in FOLDERS for path in sorted((DATA / folder).glob("*.csv*"))]
    if not files:
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds skab\n")
    torch.set_num_threads(options.threads)
    by_seed = [measure(files, seed) for seed in options.seeds]
    table = Report(options.markdown).table(
        f"SKAB, {len(files)} files, mean and range of seeds {', '.join(map(str, options.seeds))}",
        {"detector": "48s", "F1": "22s", "false alarms, %": "20s", "missed, %": "20s"},
    )
    for name in by_seed[0]:
        columns = zip(*(one[name] for one in by_seed), strict=True)
        table.add(name, *(ranged(column, spec) for column, spec in zip(columns, SPECS, strict=True)))
    for name, scores in PUBLISHED.items():
        table.add(f"{name}, published", *map(format, scores, SPECS))


def measure(files: list[Path], seed: int) -> dict[str, tuple[float, float, float]]:
    """F1, and false and missed alarms in percent, by the way alarms are made."""
    labels: list[NDArray[np.bool_]] = []
    alarms = defaultdict[str, list[NDArray[np.bool_]]](list)
    started = time.process_time()
    for path in files:
        frame = pl.read_csv(path, separator=";", try_parse_dates=True)
        detector = AnomalyDetector(seed=seed).fit(frame.head(TRAINING_ROWS), reading=READING, progress=False)
        (series,) = detector.data_for(frame)
        found, later = (score(detector.trained(), series.values, PROBABILITY, way) for way in (False, True))
        assert series.labels is not None
        learned = detector.fitted.learned
        inputs = learned.statistics.inputs(learned.statistics.standardize(series.values))[:, : len(learned.channels)]
        labels.append(series.labels)
        alarms["recurrent, its alarms (1 in 2000)"].append(found.alarms)
        alarms["recurrent, SKAB's rule"].append(above(found.scores))
        alarms["recurrent in hindsight, SKAB's rule"].append(above(later.scores))
        windows = [learned.subsequences.scores(inputs, way) for way in (False, True)]
        alarms["windows (PCA), SKAB's rule"].append(above(windows[0]))
        alarms["windows (PCA) in hindsight, SKAB's rule"].append(above(windows[1]))
        # Both are squared distances; their roots are averaged, each in units of its limit in training.
        own = found.scores
        both = np.sqrt(own / limit(own)) + np.sqrt(windows[1] / limit(windows[1]))
        alarms["recurrent and windows in hindsight, SKAB's rule"].append(both > 2)
    results = {}
    for name, flags in alarms.items():
        one = point_scores(np.concatenate(labels), np.concatenate(flags))
        results[name] = (one.f1, 100 * one.false_alarm_rate, 100 * one.missed_alarm_rate)
    seconds = time.process_time() - started
    shown = "; ".join(f"{name}: {values[0]:.3f} {values[1]:.1f} {values[2]:.1f}" for name, values in results.items())
    print(f"seed {seed}: {shown}; {seconds:.0f} s of the processor", flush=True)
    return results


def above(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Alarms by SKAB's rule (T,)."""
    return scores > limit(scores)


def limit(scores: NDArray[np.float64]) -> float:
    """The threshold of SKAB's rule."""
    return FACTOR * float(np.quantile(scores[:TRAINING_ROWS], QUANTILE))


if __name__ == "__main__":
    main()
