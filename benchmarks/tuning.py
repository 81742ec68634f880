"""A search for options beside the default options, with the same total time: three tasks, three seeds each.

The default has the time too: it is trained again and again with other seeds, and the best by validation is taken. Both
choose by the same validation data, a tenth of the training data (of M4 hourly, windows before its last six days).
Both are measured on data that chose nothing: dev of SST-2 and of UD English LinES, and the last six training days of
M4 hourly. No test file is read.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import recurra
from recurra.task import Estimator
from recurra.tasks.classify import Classifier
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.tag import Tagger

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
TENTH = 10
ANOTHER_SEED = 1000
COLUMNS = ("one training", "default, best seed", "trainings", "tuned", "trials")


@dataclass(frozen=True)
class Case:
    """A task on data that are split.

    Attributes:
        estimator: with the options of the default.
        fit: arguments of `fit` and of a search.
        measure: the score on data that chose nothing.
        score: its name.
    """

    estimator: Estimator[Any, Any, Any]
    fit: dict[str, Any]
    measure: Callable[[Estimator[Any, Any, Any]], float]
    score: str


def sst2(folder: Path) -> Case:
    """Sentiment of sentences."""
    rows = [line.split(" ", 1) for line in _lines(DATA / "sst2" / "train.txt")]
    (y, training), (y_chosen, chosen) = (
        map(list, zip(*(row for k, row in enumerate(rows) if (k % TENTH == 0) == is_held), strict=True))
        for is_held in (False, True)
    )
    dev_labels, dev = zip(*(line.split(" ", 1) for line in _lines(DATA / "sst2" / "dev.txt")), strict=True)
    return Case(
        Classifier(),
        {"data": training, "y": y, "validation": (chosen, y_chosen)},
        lambda model: 100 * model.evaluate(list(dev), list(dev_labels)).scores["accuracy"],  # type: ignore[call-arg]
        "accuracy on dev, %",
    )


def lines(folder: Path) -> Case:
    """Parts of speech."""
    source = DATA / "ud_lines"
    sentences = (source / "train.conllu").read_text(encoding="utf-8").strip().split("\n\n")
    for name, is_held in (("training", False), ("chosen", True)):
        part = [one for k, one in enumerate(sentences) if (k % TENTH == 0) == is_held]
        (folder / f"{name}.conllu").write_text("\n\n".join(part) + "\n\n", encoding="utf-8")
    return Case(
        Tagger(),
        {"data": folder / "training.conllu", "validation": folder / "chosen.conllu"},
        lambda model: 100 * model.evaluate(source / "dev.conllu").score,
        "UPOS accuracy on dev, %",
    )


def m4(folder: Path) -> Case:
    """Hourly series; three horizons of 48 hours, the last six days of training, are forecast."""
    return Case(
        Forecaster(horizon=48, folds=3),
        {"data": DATA / "m4_hourly" / "train.csv", "reading": ForecastReading(frequency="1h")},
        lambda model: model.evaluate().scores["sMAPE"],
        "sMAPE of the last six training days, less is better",
    )


CASES: dict[str, Callable[[Path], Case]] = {"sst2": sst2, "lines": lines, "m4": m4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--seconds", type=float, default=900.0, help="of the search, and of the default again and again"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds sst2, ud_lines and m4_hourly\n")
    torch.set_num_threads(options.threads)
    for name in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            case = CASES[name](Path(folder))
            print(f"{name}: {case.score}, {options.seconds:g} s each")
            show("seed", COLUMNS)
            rows = []
            for seed in options.seeds:
                rows.append([*repeated(case, seed, options.seconds), *searched(case, seed, options.seconds, folder)])
                show(str(seed), [f"{value:.2f}" for value in rows[-1]])
            show("mean", [f"{mean(column):.2f}" for column in zip(*rows, strict=True)])


def repeated(case: Case, seed: int, seconds: float) -> tuple[float, float, int]:
    """The score of one training, that of the best by validation of all for which there is time, and their number."""
    started, trained = time.monotonic(), []
    while not trained or (time.monotonic() - started) * (len(trained) + 1) / len(trained) <= seconds:
        model = case.estimator.replaced(seed=seed + ANOTHER_SEED * len(trained))
        model.fit(**case.fit, progress=False)
        assert model.training_result is not None
        trained.append((model.training_result.best_loss, len(trained), model))
    return case.measure(trained[0][-1]), case.measure(min(trained)[-1]), len(trained)


def searched(case: Case, seed: int, seconds: float, folder: str) -> tuple[float, int]:
    """The score of the best run of a search, and the number of its trials."""
    tuned = recurra.tune(
        case.estimator.replaced(seed=seed),
        **case.fit,
        folder=Path(folder) / f"tuned-{seed}",
        trials=10_000,
        seconds=seconds,
        jobs=0,
        sampler_seed=seed,
        progress=False,
    )
    print("     ", ", ".join(f"{name} = {value}" for name, value in tuned.options.items()))
    return case.measure(tuned.estimator), len(tuned.trials)


def show(name: str, row: Any) -> None:
    print(f"{name:>6}  " + "  ".join(f"{value:>18}" for value in row), flush=True)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
