"""Japanese Vowels (Kudo et al. 1999): nine speakers told apart by 12 channels of 7 to 29 steps, three seeds.

The 270 training and 370 test series as PyPI's aeon ships them. Trained on all training series to the last step, as
they are too few to hold some out; the settings in `SETTINGS` were chosen by cross-validation within them
(`--cross-validate`). The test series are read only after training.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from recurra.data.labelled.items import take
from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.tasks.classify import Classifier

SETTINGS = {
    "hidden_size": 128,
    "pooling": ("mean",),
    "dropout": 0.5,
    "label_smoothing": 0.1,
    "learning_rate": 1e-2,
    "max_steps": 600,
    "validation_fraction": 0.0,
}
FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with JapaneseVowels_TRAIN.ts and _TEST.ts; aeon's by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cross-validate", action="store_true", help="within the training series; no test")
    options = parser.parse_args()
    folder = options.data or shipped()
    if folder is None or not (folder / "JapaneseVowels_TRAIN.ts").is_file():
        parser.exit(2, "JapaneseVowels_TRAIN.ts: not there; pip install aeon, or name its folder with --data\n")
    torch.set_num_threads(options.threads)
    train = read_labelled_series(folder / "JapaneseVowels_TRAIN.ts")
    print(f"{'seed':>6}  {'accuracy':>8}  {'macro F1':>8}  {'nearest mean':>12}  {'training s':>10}")
    rows = []
    for seed in options.seeds:
        if options.cross_validate:
            rows.append(cross_validated(train, seed))
        else:
            rows.append(measured(train, read_labelled_series(folder / "JapaneseVowels_TEST.ts"), seed))
        show(str(seed), rows[-1])
    show("mean", [mean(column) for column in zip(*rows, strict=True)])


def shipped() -> Path | None:
    """Where aeon keeps the files, which is not imported for it."""
    found = find_spec("aeon")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "datasets" / "data" / "JapaneseVowels"


def measured(train: LabelledSeries, test: LabelledSeries, seed: int) -> list[float]:
    started = time.perf_counter()
    classifier = Classifier(**SETTINGS, seed=seed).fit(train, progress=False)
    seconds = time.perf_counter() - started
    found = classifier.evaluate(test)
    baseline = found.baselines["nearest mean"]["accuracy"]
    return [found.scores["accuracy"], found.scores["macro F1"], baseline, seconds]


def cross_validated(series: LabelledSeries, seed: int) -> list[float]:
    """The means over folds, each with as many series of every label."""
    labels = np.array([labels[0] for labels in series.labels or ()])
    fold = np.empty(len(series), int)
    generator = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % FOLDS
    found = []
    for k in range(FOLDS):
        train, test = (take(series, np.flatnonzero(mask).tolist()) for mask in (fold != k, fold == k))
        assert isinstance(train, LabelledSeries)
        assert isinstance(test, LabelledSeries)
        found.append(measured(train, test, seed))
    return [mean(column) for column in zip(*found, strict=True)]


def show(name: str, row: list[float]) -> None:
    accuracy, f1, baseline, seconds = row
    print(f"{name:>6}  {accuracy:8.4f}  {f1:8.4f}  {baseline:12.4f}  {seconds:10.1f}", flush=True)


if __name__ == "__main__":
    main()
