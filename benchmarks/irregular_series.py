"""Made series at irregular times: cells that read the time, beside the same without times and on a grid.

A series is an Ornstein-Uhlenbeck process of mean 0 and deviation 1, observed without noise at 20 to 60 times. Its label
is its rate of relaxation, 0.2, 0.6 or 1.8. The times between observations are exponential, with a mean that each series
has of its own, log-uniform in 1/4 to 4: without the times a slow series that is seen seldom and a fast one that is seen
often are the same. As the dynamics are known, so is the best possible accuracy: that of the rate under which the series
is most probable, computed on the test series.

Each network is `recurra.Classifier` with 32 units that read forward, a tenth of 4,000 training series to choose the
best weights by, and 2,000 test series that are read only after training. "On a grid" is linear interpolation at
multiples of the mean time between observations, and "on a finer grid" of a fourth of it.
"""

import argparse
import time
from statistics import mean

import numpy as np
import torch

from benchmarks._report import Report
from recurra import Classifier
from recurra.data.labelled.series import LabelledSeries

RATES = (0.2, 0.6, 1.8)
SPREAD = 4.0
MEAN_GAP = (SPREAD - 1 / SPREAD) / np.log(SPREAD**2)
# Times between the points of a grid.
GRIDS = {"grid": MEAN_GAP, "finer grid": MEAN_GAP / 4}
# The cell, and what is read beside the values: nothing or the time since the step before; or values on a grid.
NETWORKS = {
    "GRU, without times": ("gru", "nothing"),
    "GRU, on a grid": ("gru", "grid"),
    "GRU, on a finer grid": ("gru", "finer grid"),
    "GRU, the time as a feature": ("gru", "times"),
    "GRU-D": ("gru_d", "times"),
    "T-LSTM": ("time_lstm", "times"),
    "CfC, of interval 1": ("cfc", "nothing"),
    "CfC, timed": ("timed_cfc", "times"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, metavar="NAME")
    parser.add_argument("--max-steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    test, labels = made(2000, 1_000_000)
    print(f"best possible accuracy: {accuracy([likeliest(one) for one in test], labels):.1f} %")
    table = Report(options.markdown).table(
        f"Accuracy in percent on 2,000 test series, seeds {', '.join(map(str, options.seeds))}",
        {"network": "26s"} | {str(seed): "6.1f" for seed in options.seeds} | {"mean": "6.1f", "training s": "10.0f"},
    )
    for name in options.networks:
        cell, reads = NETWORKS[name]
        found, seconds = [], []
        for seed in options.seeds:
            classifier = Classifier(
                cell=cell,
                bidirectional=False,
                filters=0,
                members=1,
                dropout=0.0,
                jitter=0.0,
                scaling=0.0,
                learning_rate=5e-3,
                max_steps=options.max_steps,
                seed=seed,
                device="cpu",
            )
            series, own = made(4000, seed)
            started = time.perf_counter()
            classifier.fit(read(series, reads, own), progress=False)
            seconds.append(time.perf_counter() - started)
            found.append(accuracy(classifier.predict(read(test, reads)).tolist(), labels))
        table.add(name, *found, mean(found), mean(seconds))


def made(count: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Series of values and times since the step before (T, 2), and the indices of their rates."""
    generator = np.random.default_rng(seed)
    series, labels = [], []
    for _ in range(count):
        steps, label = int(generator.integers(20, 61)), int(generator.integers(len(RATES)))
        gaps = generator.exponential(SPREAD ** generator.uniform(-1, 1), steps)
        gaps[0] = 0
        kept = np.exp(-RATES[label] * gaps)
        values = generator.normal(size=steps)
        for step in range(1, steps):
            values[step] = kept[step] * values[step - 1] + np.sqrt(1 - kept[step] ** 2) * values[step]
        series.append(np.column_stack([values, gaps]))
        labels.append(label)
    return series, labels


def likeliest(series: np.ndarray) -> int:
    """The index of the rate under which a series is most probable."""
    values, gaps = series.T
    kept = np.exp(-np.outer(RATES, gaps[1:]))
    variance = 1 - kept**2
    densities = -((values[1:] - kept * values[:-1]) ** 2) / variance - np.log(variance)
    return int(densities.sum(1).argmax())


def read(series: list[np.ndarray], reads: str, labels: list[int] | None = None) -> LabelledSeries:
    """The series as a network reads them: values alone, with their times, or on a grid."""
    if reads in GRIDS:
        series = [on_grid(one, GRIDS[reads]) for one in series]
    elif reads == "nothing":
        series = [one[:, :1] for one in series]
    names = None if labels is None else tuple((str(label),) for label in labels)
    channels = ("value", "time")[: series[0].shape[1]]
    single = tuple(one.astype(np.float32) for one in series)
    ids = tuple(map(str, range(len(series))))
    return LabelledSeries(single, names, channels, ids, label_type="integer", timed=reads == "times")


def on_grid(series: np.ndarray, step: float) -> np.ndarray:
    """Values (T, 1) at multiples of a time, interpolated linearly."""
    values, stamps = series[:, 0], series[:, 1].cumsum()
    return np.interp(np.arange(0, stamps[-1] + step, step), stamps, values)[:, np.newaxis]


def accuracy(predicted: list[int], labels: list[int]) -> float:
    """Percent of labels that are right."""
    return 100 * float(np.mean(np.array(predicted) == np.array(labels)))


if __name__ == "__main__":
    main()
