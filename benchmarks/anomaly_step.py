"""One step of a detector of 50 channels: the network and the scores of its errors, and the whole step of a stream.

Rows are made: sine waves with noise, 400 of them, on a grid and at irregular times. The detector has the default size
and hardly any training, which changes no time. The network and the scores are the program that a stepper runs, for one
series and for a thousand at once. The step of a stream reads a row as a dictionary, and returns the score, the
probability, the alarm and what was expected of each channel.
"""

import argparse
import time
from collections.abc import Callable
from itertools import cycle
from statistics import median

import numpy as np
import polars as pl
import torch

from benchmarks._report import Report
from recurra.tasks.anomaly import AnomalyDetector

CHANNELS, ROWS, WARM_UP, MANY = 50, 400, 100, 1000
KINDS = {
    "on a grid": {},
    "on a grid, three networks": {"members": 3},
    "with times": {"times": True},
    "with times, GRU-D": {"times": True, "cell": "gru_d"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of which the fastest is printed")
    parser.add_argument("--steps", type=int, default=300, help="of a round, of which the median counts")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Report(options.markdown).table(
        f"Microseconds of one step of {CHANNELS} channels",
        {"detector": "28s"}
        | dict.fromkeys(("network and scores", f"of {MANY:,} series, each", "step of a stream"), "9.1f"),
    )
    frame, gaps = made()
    for name, kind in KINDS.items():
        detector = AnomalyDetector(max_steps=2, **kind).fit(frame, progress=False)
        table.add(name, *measured(detector, frame, gaps, options.rounds, options.steps))


def measured(
    detector: AnomalyDetector, frame: pl.DataFrame, gaps: list[float], rounds: int, steps: int
) -> tuple[float, float, float]:
    """Microseconds of the network and the scores, of one series and of many, each; and of the step of a stream."""
    stream = detector.open_stream()
    names = frame.columns[1:]
    items = [dict(zip(names, row, strict=True)) for row in frame.select(names).rows()]
    if detector.times:
        items = [item | {"time": gap} for item, gap in zip(items, gaps, strict=True)]
    states = [stream.new_state()]
    for item in items[:WARM_UP]:
        stream.step([item], states)
    stepper = stream.stepper
    own, many = stepper.new_state(), stepper.new_state(MANY)
    read = stream.encode(items[WARM_UP], states[0])[:, : stepper.program.input_size]
    one, every = read[:, None], np.repeat(read[:, None], MANY, axis=1)
    rows = cycle(items[WARM_UP:])
    return (
        fastest(lambda: stepper(one, own), rounds, steps),
        fastest(lambda: stepper(every, many), rounds, max(1, steps // 100)) / MANY,
        fastest(lambda: stream.step([next(rows)], states), rounds, steps),
    )


def made() -> tuple[pl.DataFrame, list[float]]:
    """Rows with stamps, and the seconds since the row before."""
    generator = np.random.default_rng(0)
    gaps = generator.exponential(600, ROWS).round() + 30
    waves = np.sin(2 * np.pi * np.arange(ROWS)[:, None] / 50 + np.arange(CHANNELS))
    values = waves + 0.1 * generator.normal(size=waves.shape)
    stamps = np.datetime64("2026-01-01", "us") + gaps.cumsum().astype(np.int64) * np.timedelta64(1, "s")
    return pl.DataFrame({"time": stamps} | {f"sensor {k}": column for k, column in enumerate(values.T)}), gaps.tolist()


def fastest(step: Callable[[], object], rounds: int, steps: int) -> float:
    """Microseconds: the median of the steps of a round, the lowest of all rounds."""
    found = []
    for _ in range(rounds):
        times = []
        for _ in range(steps):
            begun = time.perf_counter_ns()
            step()
            times.append(time.perf_counter_ns() - begun)
        found.append(median(times))
    return min(found) / 1000


if __name__ == "__main__":
    main()
