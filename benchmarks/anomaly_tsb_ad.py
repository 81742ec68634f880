"""Series of the TSB-AD benchmark, scored by the detector with its default options: three seeds beside simple detectors.

The protocol is the benchmark's own: train on the rows up to `train_until`, score the whole series, and take the VUS-PR
with the period of the first channel as its widest window (Liu and Paparrizos 2024). Figures are means over series;
those that were published are means over the same series.
"""

import argparse
import csv
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._report import Report, ranged
from recurra.detection.baselines import moving_deviation, random_scores, seasonal_change
from recurra.detection.metrics.vus import volumes_under_surface
from recurra.detection.period import period_of
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.scoring import score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "tsb_ad_subset"
PARTS = ("U", "M")
PROBABILITY = 1 / 2000  # the default budget; scores do not depend on it
FIXED = ("windows (PCA)", "moving deviation", "seasonal change")  # the same for every seed
PUBLISHED = ("LSTMAD", "CNN", "OmniAnomaly", "Sub-PCA", "POLY", "KMeansAD")

Scores = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="of one channel (U), or of many (M)")
    parser.add_argument("--every", type=int, default=1, help="one series of so many is measured")
    parser.add_argument(
        "--more", action="store_true", help="autoencoders and ensembles too, which take seven times as long"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds tsb_ad_subset\n")
    torch.set_num_threads(options.threads)
    columns = [measure(part, options.seeds, options.every, options.more) for part in options.parts]
    table = Report(options.markdown).table(
        f"VUS-PR, mean over series; mean and range of seeds {', '.join(map(str, options.seeds))}",
        {"detector": "38s"} | {name: "22s" for part in options.parts for name in (part, f"{part} in hindsight")},
    )
    names = dict.fromkeys(name for causal, hindsight in columns for name in (*causal, *hindsight))
    for name in names:
        table.add(name, *(shown(way.get(name)) for both in columns for way in both))
    for name in PUBLISHED:
        table.add(
            f"{name}, published",
            *(one for part in options.parts for one in (None, published(part, name, options.every))),
        )


def measure(
    part: str, seeds: list[int], every: int, more: bool
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """By detector, the means over the series of a part, one for each seed: causal, and in hindsight."""
    causal, hindsight = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    spent = {"training": 0.0, "scoring": 0.0}
    rows = 0
    files = series_of(part, every)
    for path in files:
        series = np.load(path)
        values, labels, until = series["data"], series["label"], int(series["train_until"])
        window = period_of(values[:, 0])
        shown_last = []
        for k, seed in enumerate(seeds):
            for way, name, scores in scored(values, until, seed, spent, more):
                results = hindsight if way else causal
                if k and name in FIXED:
                    continue
                results[name].append(volumes_under_surface(labels, scores, window).pr)
                shown_last.append(f"{name}{', in hindsight' * way} {results[name][-1]:.3f}")
        rows += len(values) * len(seeds)
        print(f"{part} {path.stem}: {'; '.join(shown_last)}", flush=True)
    print(
        f"{part}: {spent['training'] / (len(files) * len(seeds)):.1f} s to train, "
        f"{1e6 * spent['scoring'] / rows:.0f} s to score a million rows"
    )
    return by_seed(causal, len(files)), by_seed(hindsight, len(files))


def scored(
    values: Scores, until: int, seed: int, spent: dict[str, float], more: bool
) -> Iterator[tuple[bool, str, Scores]]:
    """Whether in hindsight, the detector, and its scores (T,). Adds the seconds that the forecaster took."""
    started = time.process_time()
    detector = AnomalyDetector(seed=seed).fit(values[:until], progress=False)
    trained = time.process_time()
    own = score(detector.trained(), values, PROBABILITY).scores
    spent["training"] += trained - started
    spent["scoring"] += time.process_time() - trained
    own_hindsight = score(detector.trained(), values, PROBABILITY, hindsight=True).scores
    learned = detector.fitted.learned
    inputs = learned.statistics.inputs(learned.statistics.standardize(values))[:, : len(learned.channels)]
    windows = [learned.subsequences.scores(inputs, way) for way in (False, True)]
    yield False, "forecaster", own
    yield True, "forecaster", own_hindsight
    yield False, "windows (PCA)", windows[0]
    yield True, "windows (PCA)", windows[1]
    yield False, "forecaster and windows, by ranks", rarity(own) + rarity(windows[0])
    yield True, "forecaster and windows, by ranks", rarity(own_hindsight) + rarity(windows[1])
    yield False, "moving deviation", moving_deviation(values, learned.period)
    yield False, "seasonal change", seasonal_change(values, learned.period)
    yield False, "random", random_scores(len(values), seed)
    if not more:
        return
    several = {
        "autoencoder": AnomalyDetector(detector="reconstruction", seed=seed),
        "three forecasters": AnomalyDetector(members=3, seed=seed),
        "forecaster and autoencoder, averaged": AnomalyDetector(detector="both", seed=seed),
    }
    for name, one in several.items():
        trained_one = one.fit(values[:until], progress=False).trained()
        both = [score(trained_one, values, PROBABILITY, way).scores for way in (False, True)]
        yield False, name, both[0]
        yield True, name, both[1]
        if name == "autoencoder":
            yield False, "forecaster and autoencoder, by ranks", rarity(own) + rarity(both[0])
            first, second, third = (rarity(scores) for scores in (own_hindsight, both[1], windows[1]))
            yield True, "forecaster and autoencoder, by ranks", first + second
            yield True, "all three, by ranks", first + second + third
            yield True, "all three, forecaster twice", 2 * first + second + third


def rarity(scores: Scores) -> Scores:
    """Scores (T,) on the scale of their ranks: -log(1 - rank / (T + 1)), of ties the mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return -np.log1p(-ranks / (len(scores) + 1))


def by_seed(results: dict[str, list[float]], series: int) -> dict[str, list[float]]:
    """By detector, the mean over series for each seed; the results of a series stand side by side."""
    return {name: np.array(found).reshape(series, -1).mean(axis=0).tolist() for name, found in results.items()}


def series_of(part: str, every: int) -> list[Path]:
    """The files of one series of so many."""
    return sorted((DATA / part).glob("*.npz"))[::every]


def published(part: str, detector: str, every: int) -> str | None:
    """The mean VUS-PR that TSB-AD published for a detector on these series; None if it did not run there."""
    with (DATA / f"published_VUS-PR_{part}.csv").open(encoding="utf-8", newline="") as file:
        names = {path.stem for path in series_of(part, every)}
        rows = [row for row in csv.DictReader(file) if Path(row["file"]).stem in names]
    return f"{mean(float(row[detector]) for row in rows):.3f}" if detector in rows[0] else None


def shown(means: list[float] | None) -> str | None:
    return None if means is None else ranged(means, ".3f")


if __name__ == "__main__":
    main()
