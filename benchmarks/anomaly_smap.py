"""SMAP: telemetry of 54 channels of a satellite, alarms counted by events as Telemanom does (Hundman et al. 2018).

The detector is trained on the training rows of a channel with its default options, and judges the test rows. As
Telemanom counts, a labelled sequence is found if any event overlaps it, once however many do; an event that overlaps
none is false; precision is of the sequences found among these and the false events. Sequences of a channel that overlap
are one here: 68 in all channels, of Telemanom's 69.
"""

import argparse
import csv
import json
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._report import Report, ranged
from recurra.detection.budget import probability_of_budget
from recurra.detection.metrics.events import event_scores
from recurra.tasks.anomaly import AnomalyDetector, AnomalyReading
from recurra.tasks.anomaly.scoring import adaptive_limits, baseline_scores, rows_in_alarm, score

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "smap"
BUDGETS = ("1 in 2000", "1 in 10000", "1 in 100000")
SPECS = {"precision": ".3f", "recall": ".3f", "F1": ".3f", "found": ".1f", "false": ".1f"}
COMMANDS = ("unread", "covariates", "channels")
SIMPLE = ("windows (PCA)", "random")
PUBLISHED = {"Telemanom, published": (0.855, 0.855)}
Flags = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--every", type=int, default=1, help="one channel of so many is measured")
    parser.add_argument(
        "--commands",
        choices=COMMANDS,
        default="unread",
        help="what is done with the 24 commands: the network does not read them, reads them as covariates, or watches "
        "them as channels beside the telemetry",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    files = sorted(DATA.glob("*.npz"))[:: options.every]
    if not files:
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds smap\n")
    torch.set_num_threads(options.threads)
    labels = read_labels()
    by_seed = [measure(files, labels, seed, options.commands) for seed in options.seeds]
    table = Report(options.markdown).table(
        f"SMAP by events, {len(files)} channels, commands {options.commands}, mean and range of seeds "
        f"{', '.join(map(str, options.seeds))}",
        {"detector": "44s"} | dict.fromkeys(SPECS, "22s"),
    )
    for name in by_seed[0]:
        columns = zip(*(one[name] for one in by_seed), strict=True)
        table.add(name, *(ranged(column, spec) for column, spec in zip(columns, SPECS.values(), strict=True)))
    for name, (precision, recall) in PUBLISHED.items():
        figures = (precision, recall, harmonic(precision, recall))
        table.add(name, *(format(figure, ".3f") for figure in figures), None, None)


def measure(
    files: list[Path], labels: dict[str, list[tuple[int, int]]], seed: int, commands: str
) -> dict[str, tuple[float, float, float, int, int]]:
    """Precision, recall, F1, sequences found and false events, by detector and budget."""
    counts = defaultdict[str, NDArray[np.int64]](lambda: np.zeros(3, np.int64))  # sequences, found, false
    started = time.process_time()
    for path in files:
        series = np.load(path)
        columns = slice(1) if commands == "unread" else slice(None)
        training, test = (series[part].astype(np.float64)[:, columns] for part in ("train", "test"))
        names = tuple(f"command {k}" for k in range(1, training.shape[1]))
        reading = AnomalyReading(covariates=names if commands == "covariates" else ())
        detector = AnomalyDetector(seed=seed).fit(training, reading=reading, progress=False)
        truth = flags_of([(first, last + 1) for first, last in labels[path.stem]], len(test))
        for budget in BUDGETS:
            found = score(detector.trained(), test, probability_of_budget(budget)).events
            counts[f"recurrent, {budget}"] += counted(truth, flags_of([event[:2] for event in found], len(test)))
        learned = detector.fitted.learned
        assert learned.errors is not None
        simple = baseline_scores(learned, learned.statistics.standardize(test), False, seed)
        for (name, scores), clean in zip(simple.items(), learned.errors.baselines[0], strict=True):
            if name in SIMPLE:
                thresholds = adaptive_limits(clean, probability_of_budget(BUDGETS[0])).run(scores)[1]
                counts[f"{name}, {BUDGETS[0]}"] += counted(truth, rows_in_alarm(scores, thresholds))
        shown = ", ".join(f"{name} {found} of {all_}, {false} false" for name, (all_, found, false) in counts.items())
        print(f"{path.stem}, so far: {shown}", flush=True)
    results = {}
    for name, (sequences, found, false) in counts.items():
        precision, recall = found / max(1, found + false), found / sequences
        results[name] = (precision, recall, harmonic(precision, recall), int(found), int(false))
    seconds = time.process_time() - started
    shown = "; ".join(
        f"{name}: P {p:.3f} R {r:.3f} ({found}, {false})" for name, (p, r, _, found, false) in results.items()
    )
    print(f"seed {seed}: {shown}; {seconds:.0f} s of the processor", flush=True)
    return results


def counted(truth: Flags, alarms: Flags) -> NDArray[np.int64]:
    """The labelled sequences, those found, and the false events."""
    scores = event_scores(truth, alarms)
    return np.array([scores.events, len(scores.delays), scores.false_alarms])


def read_labels() -> dict[str, list[tuple[int, int]]]:
    """The first and the last row of each labelled sequence, by channel."""
    sequences = defaultdict[str, list[tuple[int, int]]](list)
    with (DATA / "labeled_anomalies.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sequences[row["chan_id"]] += [tuple(pair) for pair in json.loads(row["anomaly_sequences"])]
    return sequences


def flags_of(spans: list[tuple[int, int]], rows: int) -> Flags:
    """Which of the rows are in a span, from its first row to the one after its last."""
    flags = np.zeros(rows, bool)
    for start, end in spans:
        flags[start:end] = True
    return flags


def harmonic(precision: float, recall: float) -> float:
    """F1."""
    return 2 * precision * recall / max(precision + recall, 1e-12)


if __name__ == "__main__":
    main()
