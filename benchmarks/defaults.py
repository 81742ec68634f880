"""What the default options of each task learn from public data, beside the best baseline of its `evaluate`.

Every task is trained once, with its default options and a seed, and evaluated on the test split, which nothing else has
read. Of Tiny Shakespeare, one file without splits, it is the last tenth, by which the weights are chosen too. What is
stated beside the data is the horizon and the frequency of the M4 competition. A data set that is not in RECURRA_DATA is
skipped. Runs go into a temporary folder.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks._report import Report, Table
from recurra.errors import RecurraError
from recurra.task import Estimator, Evaluation
from recurra.tasks.classify import Classifier
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.language import LanguageModel
from recurra.tasks.tag import Tagger
from recurra.tasks.translate import Translator

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
COLUMNS = {
    "task": "9s",
    "data": "15s",
    "training s": "10,.0f",
    "metric": "13s",
    "ours": "8s",
    "baseline's": "10s",
    "beats?": "6s",
    "baseline": "30s",
}

Options = dict[str, Any]
Trained = tuple[Estimator[Any, Any, Any], Callable[[], Evaluation]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(TRAININGS), default=list(TRAININGS), help="data sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--max-steps", type=int, default=0, help="in place of the default, to try the program out")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen: Options = {"seed": options.seed}
    if options.max_steps:
        chosen["max_steps"] = options.max_steps
    present = [name for name in options.only if (DATA / name).is_dir()]
    for name in options.only:
        if name not in present:
            print(f"skipped: {DATA / name} is not there (RECURRA_DATA is the folder that holds {name})")
    if not present:
        parser.exit(2, f"{DATA}: no data sets\n")
    steps = f"{options.max_steps} steps" if options.max_steps else "default steps"
    table = Report(options.markdown).table(f"Default options, seed {options.seed}, {steps}", COLUMNS)
    failures = [failure for name in present if (failure := measure(name, chosen, table))]
    if failures:
        sys.exit("\n".join(failures))


def measure(name: str, options: Options, table: Table) -> str:
    """Train on a data set and add a row to the table; why it failed, empty if it did not."""
    with TemporaryDirectory(prefix=f"recurra-{name}-") as folder:
        started = time.perf_counter()
        try:
            estimator, evaluate = TRAININGS[name](DATA / name, Path(folder) / "run", options)
            seconds = time.perf_counter() - started
            found = evaluate()
        except RecurraError as error:
            return f"{name}: {error}"
    baseline, (head, *lines) = best_baseline(found), found.lines()
    column = next(k for k, heading in enumerate(head) if heading.removesuffix(", %") == found.main)
    shown = {line[0]: line[column] for line in lines}
    beats = "no" if baseline in found.is_beaten else "yes"
    table.add(estimator.task, name, seconds, head[column], shown["model"], shown[baseline], beats, baseline)
    return ""


def best_baseline(evaluation: Evaluation) -> str:
    """The baseline whose main score is the best."""
    sign = -1 if evaluation.main in evaluation.losses else 1
    scored = {name: sign * scores[evaluation.main] for name, scores in evaluation.baselines.items()}
    return max(scored, key=scored.__getitem__)


def tag(ending: str) -> Callable[[Path, Path, Options], Trained]:
    def train(data: Path, folder: Path, options: Options) -> Trained:
        tagger = Tagger(**options).fit(data / f"train{ending}", validation=data / f"dev{ending}", folder=folder)
        return tagger, lambda: tagger.evaluate(data / f"test{ending}")

    return train


def forecast(data: Path, folder: Path, options: Options) -> Trained:
    # Nothing is held out of the training file: the test file follows it.
    forecaster = Forecaster(horizon=48, folds=0, **options)
    forecaster.fit(data / "train.csv", reading=ForecastReading(frequency="1h"), folder=folder)
    return forecaster, lambda: forecaster.evaluate(test=data / "test.csv")


def language(data: Path, folder: Path, options: Options) -> Trained:
    model = LanguageModel(**options).fit(data / "input.txt", folder=folder)
    return model, model.evaluate


def translate(data: Path, folder: Path, options: Options) -> Trained:
    def pair(name: str) -> tuple[Path, Path]:
        return data / f"{name}.de.gz", data / f"{name}.en.gz"

    translator = Translator(**options).fit(pair("train"), validation=pair("val"), folder=folder)
    return translator, lambda: translator.evaluate(pair("test_2016_flickr"))


def classify(data: Path, folder: Path, options: Options) -> Trained:
    def read(part: str) -> tuple[list[str], list[str]]:
        """Sentences and their labels, of lines `label sentence`."""
        lines = (data / f"{part}.txt").read_text(encoding="utf-8").splitlines()
        labels, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
        return list(texts), list(labels)

    classifier = Classifier(**options).fit(*read("train"), validation=read("dev"), folder=folder)
    return classifier, lambda: classifier.evaluate(*read("test"))


# By the folder of the data.
TRAININGS: dict[str, Callable[[Path, Path, Options], Trained]] = {
    "ud_lines": tag(".conllu"),
    "wikigold": tag(".conll"),
    "m4_hourly": forecast,
    "tinyshakespeare": language,
    "multi30k": translate,
    "sst2": classify,
}

if __name__ == "__main__":
    main()
