"""What a user of the detector sees: which part of the labelled events it finds, how late, and how many false events.

The detector is trained on the first rows of a series with its default options, and judges the rows after them, of which
these are the figures: by the events that are labelled there (NAB's windows, others' anomalous rows) and those that it
raises. An event is found if one of its rows is in alarm; its delay is the rows from its start to the first alarm.
Figures: labelled events, the part that is found, the median and the mean delay in rows, and false events in 1,000 rows
and, where the rows have times, a day.
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
from benchmarks.anomaly_skab import READING, TRAINING_ROWS
from benchmarks.anomaly_smap import flags_of, read_labels
from recurra.detection.budget import probability_of_budget
from recurra.detection.metrics.events import event_scores
from recurra.detection.metrics.nab import probation
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.anomaly.detector import AnomalyReading
from recurra.tasks.anomaly.scoring import score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = ("TSB-AD U", "TSB-AD M", "NAB", "SKAB", "SMAP")
PROBABILITY = probability_of_budget("1 in 2000")
SPECS = {"found": ".2f", "median delay": ".0f", "mean delay": ".0f", "false in 1,000 rows": ".2f", "false a day": ".2f"}


@dataclass(frozen=True)
class Labelled:
    """A series: what is trained on and what is judged, labels (T,) of the latter, and the seconds of a row if known."""

    training: NDArray[np.float64] | pl.DataFrame
    judged: NDArray[np.float64] | pl.DataFrame
    labels: NDArray[np.bool_]
    seconds: float | None = None
    reading: AnomalyReading | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--every", type=int, default=1, help="one series of so many is measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds the sets\n")
    torch.set_num_threads(options.threads)
    table = Report(options.markdown).table(
        f"Events at 1 in 2,000 rows, mean and range of seeds {', '.join(map(str, options.seeds))}",
        {"set": "10s", "series": "6.0f", "events": "6.0f"} | dict.fromkeys(SPECS, "22s"),
    )
    for name in options.sets:
        series = list(read(name))[:: options.every]
        started = time.process_time()
        by_seed, events = [], 0
        for seed in options.seeds:
            events, figures = measure(series, seed)
            by_seed.append(figures)
            shown = ", ".join(f"{key} {figure}" for key, figure in zip(SPECS, figures, strict=True))
            print(f"{name}, seed {seed}: {shown}; {time.process_time() - started:.0f} s of the processor", flush=True)
        columns = [
            None if None in column else ranged([one for one in column if one is not None], spec)
            for column, spec in zip(zip(*by_seed, strict=True), SPECS.values(), strict=True)
        ]
        table.add(name, len(series), events, *columns)


def measure(series: list[Labelled], seed: int) -> tuple[int, list[float | None]]:
    """The number of labelled events, and the figures of `SPECS`."""
    events, false, rows, seconds, delays = 0, 0, 0, 0.0, list[int]()
    for one in series:
        detector = AnomalyDetector(seed=seed).fit(one.training, reading=one.reading, progress=False)
        # Judged from the first row on, so that the network and the smoothing know what came before.
        (whole,) = detector.data_for(joined(one), reading=one.reading)
        raised = score(detector.trained(), whole.values, PROBABILITY).events
        begin = len(one.training)
        flags = flags_of([(event.start, event.end) for event in raised], len(whole.values))[begin:]
        found = event_scores(one.labels, flags)
        events, false, rows = events + found.events, false + found.false_alarms, rows + len(flags)
        seconds += len(flags) * (one.seconds or np.nan)
        delays += found.delays
    days = seconds / 86_400
    late = [float(np.median(delays)), float(np.mean(delays))] if delays else [None, None]
    return events, [len(delays) / events, *late, 1000 * false / rows, None if np.isnan(days) else false / days]


def joined(one: Labelled) -> NDArray[np.float64] | pl.DataFrame:
    """The rows of training and those that are judged."""
    if isinstance(one.training, pl.DataFrame):
        assert isinstance(one.judged, pl.DataFrame)
        return pl.concat([one.training, one.judged])
    return np.concatenate([one.training, one.judged])


def read(name: str) -> Iterator[Labelled]:
    if name == "SKAB":
        for path in sorted((DATA / "skab").glob("**/*.csv*")):
            if "anomaly-free" not in path.name:
                frame = pl.read_csv(path, separator=";", try_parse_dates=True)
                labels = frame["anomaly"].to_numpy()[TRAINING_ROWS:] > 0
                yield Labelled(frame.head(TRAINING_ROWS), frame[TRAINING_ROWS:], labels, 1.0, READING)
    elif name == "NAB":
        windows = json.loads((DATA / "nab" / "combined_windows.json").read_text(encoding="utf-8"))
        for file, marked in windows.items():
            times, values = read_nab(file)
            begin = probation(len(times))
            inside = [(times >= np.datetime64(first)) & (times <= np.datetime64(last)) for first, last in marked]
            labels = np.any([np.zeros(len(times), bool), *inside], axis=0)
            seconds = float(np.median(np.diff(times)).astype(float))
            yield Labelled(values[:begin, None], values[begin:, None], labels[begin:], seconds)
    elif name == "SMAP":
        marked = read_labels()
        for path in sorted((DATA / "smap").glob("**/*.npz")):
            training, test = (np.load(path)[part].astype(np.float64)[:, :1] for part in ("train", "test"))
            spans = [(first, last + 1) for first, last in marked[path.stem]]
            yield Labelled(training, test, flags_of(spans, len(test)))
    else:
        for path in sorted((DATA / "tsb_ad_subset" / name.split()[1]).glob("*.npz")):
            series = np.load(path)
            until, data = int(series["train_until"]), series["data"]
            yield Labelled(data[:until], data[until:], series["label"][until:] > 0)


if __name__ == "__main__":
    main()
