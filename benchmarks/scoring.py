"""Rows a second of predictions for tables: a file at once, piece by piece, and by the workers of Ray.

A classifier of made texts predicts one CSV file. Each way writes the same bytes, but that of the file at once writes
one file. Ray's start is timed apart; the start of its workers, which load the run, is a part of the prediction.
"""

import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks._command import run_alone
from benchmarks._report import Report, Table
from recurra import Classifier, load
from recurra.prediction import TableOptions, predict_files

_WORDS = 2_000
_LENGTHS = (5, 40)
_COLUMNS = {"way": "s", "rows a second": ",.0f", "seconds": ".1f", "start of Ray, s": ".1f"}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--piece-rows", type=int, default=5_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of Ray")


def made_texts(count: int, seed: int) -> list[str]:
    chance = np.random.default_rng(seed)
    words = np.array([f"word{k}" for k in range(_WORDS)])
    return [" ".join(words[chance.integers(_WORDS, size=size)]) for size in chance.integers(*_LENGTHS, size=count)]


def digest(folder: Path) -> str:
    """Of the predictions in a folder, in the order of their rows."""
    content = sha256()
    for part in sorted(folder.glob("part-*")):
        content.update(part.read_bytes())
    return content.hexdigest()


def measure(options: Namespace, report: Report) -> None:
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"  # read when Ray is imported
    import ray

    logging.disable(logging.WARNING)
    with TemporaryDirectory() as place:
        folder = Path(place)
        run, table = folder / "run", folder / "texts.csv"
        training = made_texts(400, 1)
        labels = ["even" if len(one) % 2 == 0 else "odd" for one in training]
        Classifier(max_steps=20, evidence=False, device="cpu").fit(training, labels, progress=False).save(run)
        pl.DataFrame({"text": made_texts(options.rows, 2)}).write_csv(table)
        shown = report.table(f"{options.rows:,} texts, a classifier of the default size", _COLUMNS)

        def by_pieces(**values: object) -> Callable[[], object]:
            settings = TableOptions(piece_rows=options.piece_rows, threads=1, **values)  # type: ignore[arg-type]
            return lambda: predict_files(run, table, out, options=settings, progress=False)

        digests = set()
        out = folder / "at-once.csv"
        model = load(run)
        show(shown, "the file at once", options.rows, lambda: model.predictions(table).write(out))
        out = folder / "local"
        show(shown, "--engine local", options.rows, by_pieces(engine="local"))
        digests.add(digest(out))
        for workers in options.workers:
            out = folder / f"ray-{workers}"
            started = perf_counter()
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            before = perf_counter() - started
            name = f"--engine ray --workers {workers}"
            show(shown, name, options.rows, by_pieces(engine="ray", workers=workers), before)
            ray.shutdown()
            digests.add(digest(out))
        assert len(digests) == 1, "the bytes differ"


def show(table: Table, name: str, rows: int, function: Callable[[], object], before: float | None = None) -> None:
    started = perf_counter()
    function()
    seconds = perf_counter() - started
    table.add(name, rows / seconds, seconds, before)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
