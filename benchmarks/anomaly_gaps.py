"""Made rows at irregular times, of known dynamics: a detector that reads when rows come beside the same one without.

Two channels are observed at times whose gaps are exponential with mean 1; one in twenty is eight times as long. The
first is an Ornstein-Uhlenbeck process of deviation 1 and rate 0.3. The second is an oscillation of period 12 plus half
of the first, with noise of deviation 0.1. A tenth of the values is missing. A detector is trained on 4,000 normal rows
and scores 6,000 others with 24 anomalies, six of each kind: one row that is off by 1.2, 60 rows in which the first
channel relaxes eight times as fast, 60 rows in which the oscillation is slower by a third, and 40 rows in which the
second channel is stuck.

As the dynamics are known, so is the best forecast of the next row with its deviation, from a Kalman filter: its errors
are scored by the same code. "On a grid" is what can be done without times: a row for each unit of time, with the mean
of what came in it, and blanks where nothing did.
"""

import argparse
import time
from statistics import mean

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks._report import Report
from recurra.detection.metrics.curves import average_precision
from recurra.detection.metrics.vus import volumes_under_surface
from recurra.detection.segments import segments_of
from recurra.detection.smoothing import smoothed
from recurra.tasks.anomaly import AnomalyDetector

TRAINING, TEST = 4000, 6000
RATE, PERIOD, NOISE, MISSING = 0.3, 12.0, 0.1, 0.1
KINDS = {"a row off": 1, "faster": 60, "slower oscillation": 60, "stuck": 40}
OF_EACH = 6
DETECTORS = {
    "LSTM, without times": {"cell": "lstm"},
    "LSTM, on a grid": {"cell": "lstm"},
    "LSTM, with times": {"cell": "lstm", "times": True},
    "GRU-D, with times": {"cell": "gru_d", "times": True},
}

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), choices=DETECTORS, metavar="NAME")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        training, test = made(TRAINING, seed), made(TEST, 1000 + seed, anomalies=True)
        results.setdefault("known dynamics", []).append(figures(*known(training, test), test))
        for name in options.detectors:
            started = time.process_time()
            results.setdefault(name, []).append(measure(name, seed, training, test))
            shown = ", ".join(f"{key} {value:.3f}" for key, value in results[name][-1].items())
            print(f"seed {seed}, {name}: {shown}; {time.process_time() - started:.0f} s of the processor", flush=True)
    names = list(results["known dynamics"][0])
    table = Report(options.markdown).table(
        f"24 anomalies in 6,000 rows, mean of seeds {', '.join(map(str, options.seeds))}",
        {"detector": "22s"} | dict.fromkeys(names, ".3f"),
    )
    for name, own in results.items():
        table.add(name, *(mean(one[key] for one in own) for key in names))


class Made:
    """Rows with their times, and which are anomalous, by kind.

    Attributes:
        gaps: (T,) since the row before.
        values: (T, 2), NaN if missing.
        kinds: (T,), the index of the kind of anomaly from 1; 0 for normal rows.
    """

    def __init__(self, gaps: Array, values: Array, kinds: NDArray[np.int64]) -> None:
        self.gaps, self.values, self.kinds = gaps, values, kinds

    @property
    def frame(self) -> pl.DataFrame:
        """A table whose times are whole thousandths of a unit."""
        stamps = (1000 * self.gaps.cumsum()).round().astype(np.int64)
        stamps += np.arange(len(stamps))  # no stamp is there twice
        first, second = (pl.Series(column).fill_nan(None) for column in self.values.T)
        return pl.DataFrame({"time": stamps, "first": first, "second": second})


def made(rows: int, seed: int, anomalies: bool = False) -> Made:
    generator = np.random.default_rng(seed)
    gaps = generator.exponential(1.0, rows) * np.where(generator.random(rows) < 0.05, 8, 1)
    kinds = np.zeros(rows, np.int64)
    if anomalies:
        order = generator.permutation(np.repeat(np.arange(1, len(KINDS) + 1), OF_EACH))
        every = (rows - 300) // len(order)
        for index, kind in enumerate(order.tolist()):
            start = 250 + index * every + int(generator.integers(every // 3))
            kinds[start : start + list(KINDS.values())[kind - 1]] = kind
    off, faster, slower, stuck = (kinds == 1 + k for k in range(len(KINDS)))
    kept = np.exp(-RATE * np.where(faster, 8, 1) * gaps)
    first = generator.normal(size=rows)
    for t in range(1, rows):
        first[t] = kept[t] * first[t - 1] + np.sqrt(1 - kept[t] ** 2) * first[t]
    phase = (2 * np.pi / PERIOD * gaps * np.where(slower, 2 / 3, 1)).cumsum()
    second = np.sin(phase) + 0.5 * first + NOISE * generator.normal(size=rows)
    for start, end in zip(*segments_of(stuck), strict=True):
        second[start : end + 1] = second[start - 1]
    first = np.where(off, first + 1.2 * generator.choice([-1, 1], rows), first)
    values = np.stack([first, second], axis=1)
    missing = generator.random(values.shape) < MISSING
    missing[off, 0] = False
    return Made(gaps, np.where(missing, np.nan, values), kinds)


def measure(name: str, seed: int, training: Made, test: Made) -> dict[str, float]:
    """The figures of a detector."""
    detector = AnomalyDetector(seed=seed, device="cpu", **DETECTORS[name])  # type: ignore[arg-type]
    if "grid" not in name:
        scored = detector.fit(training.frame, progress=False).predictions(test.frame).scored[0]  # type: ignore[union-attr]
        return figures(scored.scores, scored.alarms, test)
    detector.fit(on_grid(training)[0], progress=False)
    values, cells = on_grid(test)
    scored = detector.predictions(values).scored[0]  # type: ignore[union-attr]
    return figures(scored.scores[cells], scored.alarms[cells], test)


def on_grid(rows: Made) -> tuple[Array, NDArray[np.int64]]:
    """Means of the values in each unit of time, NaN if none came, and which one each row is in."""
    cells = np.floor(rows.gaps.cumsum()).astype(np.int64)
    cells -= cells[0]
    values = np.full((cells[-1] + 1, 2), np.nan)
    for channel in range(2):
        here = ~np.isnan(rows.values[:, channel])
        counts = np.bincount(cells[here], minlength=len(values))
        sums = np.bincount(cells[here], weights=rows.values[here, channel], minlength=len(values))
        values[counts > 0, channel] = sums[counts > 0] / counts[counts > 0]
    return values, cells


def known(training: Made, test: Made) -> tuple[Array, NDArray[np.bool_]]:
    """Scores and alarms of the errors of the best forecasts: the larger of the distance and of its mean."""
    of_training, of_test = (both_scales(filtered(one)) for one in (training, test))
    units = np.quantile(of_training, 1 - 1 / 2000, axis=1)
    scores = (of_test / units[:, None]).max(axis=0)
    return scores, scores > 1


def both_scales(distances: Array) -> Array:
    """Distances (T,) as they are, and smoothed over 30 rows."""
    return np.stack([distances, smoothed(distances, 30)])


def filtered(rows: Made) -> Array:
    """The squared Mahalanobis distance of each row from its forecast by the known dynamics, over the values there."""
    state, variance = np.zeros(3), np.diag([1.0, 0.5, 0.5])
    observed = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0]])
    noise = np.diag([1e-9, NOISE**2])
    distances = np.zeros(len(rows.gaps))
    for t, (gap, values) in enumerate(zip(rows.gaps, rows.values, strict=True)):
        kept, angle = np.exp(-RATE * gap), 2 * np.pi / PERIOD * gap
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        moves = np.block([[np.array([[kept]]), np.zeros((1, 2))], [np.zeros((2, 1)), turn]])
        state, variance = moves @ state, moves @ variance @ moves.T
        # A little noise moves the phase, so that the filter finds it again after an anomaly.
        variance += np.diag([1 - kept**2, 1e-4 * gap, 1e-4 * gap])
        there = np.flatnonzero(~np.isnan(values))
        if not len(there):
            continue
        h = observed[there]
        error, spread = values[there] - h @ state, h @ variance @ h.T + noise[np.ix_(there, there)]
        distances[t] = error @ np.linalg.solve(spread, error) / len(there)
        gain = np.linalg.solve(spread, h @ variance).T
        state, variance = state + gain @ error, variance - gain @ h @ variance
    return distances


def figures(scores: Array, alarms: NDArray[np.bool_], test: Made) -> dict[str, float]:
    """VUS-PR, AUC-PR, and of events those found by kind, and the false alarms in 1,000 rows."""
    labels = test.kinds > 0
    result = {"VUS-PR": volumes_under_surface(labels, scores, 30).pr, "AUC-PR": average_precision(labels, scores)}
    for index, kind in enumerate(KINDS, 1):
        events = list(zip(*segments_of(test.kinds == index), strict=True))
        # An alarm within ten rows after an event is still its alarm, as a mean over rows comes late.
        result[f"found: {kind}"] = mean(bool(alarms[start : end + 11].any()) for start, end in events)
    near = np.convolve(labels, np.ones(61), "full")[: len(labels)] > 0
    runs = segments_of(alarms)
    false = sum(not near[start : end + 1].any() for start, end in zip(*runs, strict=True))
    return result | {"false in 1,000 rows": 1000 * false / float((~near).sum())}


if __name__ == "__main__":
    main()
