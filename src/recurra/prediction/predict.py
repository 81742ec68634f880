"""Predictions for tables larger than memory, written piece by piece into a folder."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recurra.errors import DataError, ParameterError, RunError
from recurra.files import hold_folder, prepare_folder, remove_leftovers, write_atomically, write_bytes
from recurra.options import Options, closest
from recurra.prediction.bad_rows import BAD_ROWS_HEADER
from recurra.prediction.csv_table import CsvTable
from recurra.prediction.options import TableOptions
from recurra.prediction.partitions import partition_series
from recurra.prediction.piece_worker import Job, PieceResult, PieceWorker
from recurra.prediction.plan import Plan, Request, digest_of_run, read_plan, write_plan
from recurra.prediction.ray_engine import predict_pieces
from recurra.prediction.sources import find_tables
from recurra.prediction.tables import Tables
from recurra.progress import Progress
from recurra.task import Estimator, Result, task_of_run
from recurra.task.row_predictors import SeriesPredictor, TextPredictor
from recurra.task.verbs import settings_of_verb

__all__ = ["PredictedFiles", "predict_files"]

_log = logging.getLogger("recurra.prediction")

_BAD_ROWS = "bad_rows.csv"
_WORK = ".work"
# Arguments of `predictions` that are of one file, or of one text.
_OF_ONE_FILE = ("text", "picture", "page", "future", "series")
_FEWEST_TO_JUDGE = 100


@dataclass(frozen=True)
class PredictedFiles(Result):
    """What was predicted.

    Attributes:
        folder: of the results.
        parts: the files with predictions, in the order of the rows.
        bad_rows_file: CSV of the rows that have no prediction, with the reason.
        rows: how many there were, bad ones included.
        tables: in how many files they were.
        bad_rows: how many of them are bad.
    """

    folder: Path
    parts: tuple[Path, ...]
    bad_rows_file: Path
    rows: int
    tables: int
    bad_rows: int

    def text(self, color: bool = False) -> Iterator[str]:
        files = "1 file" if self.tables == 1 else f"{self.tables:,} files"
        parts = "1 part" if len(self.parts) == 1 else f"{len(self.parts):,} parts"
        bad = f"; {self.bad_rows:,} have no prediction, see {self.bad_rows_file}" if self.bad_rows else ""
        yield f"{self.rows:,} rows of {files}{bad}\nwritten: {self.folder} ({parts})\n"

    def write(self, path: str | Path) -> list[Path]:
        """Refuse: the results are in their folder already. Raises ParameterError."""
        raise ParameterError("path", f"no other folder, as the results are in {self.folder}", str(path))


def predict_files(
    run: Estimator[Any, Any, Any] | str | Path,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    options: TableOptions | None = None,
    reading: Any = None,
    progress: bool | None = None,
    **arguments: Any,
) -> PredictedFiles:
    """Predict the rows of tables of any size, piece by piece.

    CSV and Parquet files are read some rows at a time. Each piece is written into `out` whole or not at all, as the
    kind of file that was read: `part-00000.csv` and so on. Rows of texts keep their order, and each row of the tables
    has one row in the parts, with its `file` and its `row` there, from 1. Of series, the rows of each are brought
    together first, from all files; the parts have the rows that `predictions` of the task writes, series in the order
    of their first rows.

    A row that cannot be read or predicted has empty predictions in the parts and a line in `bad_rows.csv`; of series,
    all rows of one that cannot be predicted are there, and none in the parts. `bad_rows.csv` is written last: it stands
    for a finished prediction.

    Called again after it was stopped or killed, it resumes with the pieces that are not finished.

    Args:
        run: the folder of a run, or an estimator that was saved to one or loaded from it. Its task predicts texts or
            series: classify, tag, translate, regress, forecast or anomaly.
        data: see `find_tables`.
        out: the folder of the results.
        options: how; None: `TableOptions()`.
        reading: how tables are read; None: as in training.
        progress: show progress; None: a bar in a terminal or a notebook, and lines elsewhere.
        arguments: more of `predictions` of the task, such as `probabilities` of a classifier.

    Raises:
        DataError: the tables cannot be used: one is cut short, has a column of another type, or no row of the first
            piece can be predicted.
        ParameterError: an argument does not fit, or the task does not predict rows.
        RunError: the run is damaged; `out` has other results, cannot be written, or another process writes there.
        MissingExtraError: Ray or pyarrow is needed and not installed.
    """
    options, path = options or TableOptions(), Path(out)
    kind = type(run) if isinstance(run, Estimator) else task_of_run(run)
    _check_predicts_rows(kind, data)
    _check_arguments(kind, arguments)
    files = find_tables(data)
    estimator = run if isinstance(run, Estimator) else kind.load(run)
    folder = estimator.folder
    if folder is None:
        raise RunError(f"the {kind.noun} is in memory alone; save it to a folder first")
    with closing(Tables(files)) as tables:
        texts = estimator.text_rows(reading) if isinstance(estimator, TextPredictor) else None
        if texts is None and (options.keep or options.text_column):
            name = "keep" if options.keep else "text_column"
            raise ParameterError(name, f"none of a {kind.noun} of series", getattr(options, name))
        text_column = None if texts is None else options.text_column or texts.column
        id_column = None
        if texts is None:
            assert isinstance(estimator, SeriesPredictor)
            id_column = _id_column(estimator.series_id(reading), tables)
        needed = [(name, "--keep") for name in options.keep]
        if text_column is not None:
            needed.insert(0, (text_column, "--text-column"))
        columns = tables.check(needed, text_column)
        request = Request(
            digest_of_run(folder),
            tuple(tables.files),
            {
                "reading": _as_json(reading),
                "arguments": {name: _as_json(value) for name, value in arguments.items()},
                "text_column": text_column,
                **{name: getattr(options, name) for name in ("keep", "piece_rows", "threads")},
            },
        )
        prepare_folder(path)
        with hold_folder(path, "predicts into it"):
            plan = read_plan(request, path)
            if plan is None:
                plan = _make_plan(request, tables, columns, id_column, text_column is None, path)
            first = tables.table(0)
            job = Job(
                plan,
                id_column,
                text_column,
                texts is not None and texts.takes_blank,
                options.keep,
                first.delimiter if isinstance(first, CsvTable) else ",",
                reading,
                dict(arguments),
                options.threads,
                path / _WORK,
            )
            if not (path / _BAD_ROWS).exists():
                _predict(folder, estimator, job, options, path, progress)
            shutil.rmtree(path / _WORK, ignore_errors=True)
    parts = tuple(path / plan.name(index, job.ending) for index in range(len(plan.pieces)))
    bad_rows = _count_lines(path / _BAD_ROWS) - 1
    return PredictedFiles(path, parts, path / _BAD_ROWS, plan.rows, len(tables.files), bad_rows)


def _check_predicts_rows(kind: "type[Estimator[Any, Any, Any]]", data: object) -> None:
    """Refuse an estimator that predicts no rows of tables. Raises ParameterError."""
    if not issubclass(kind, TextPredictor | SeriesPredictor):
        hint = f"A {kind.noun} reads files of its own kind, not rows of tables."
        raise ParameterError("data", "the path of one file", str(data), hint)


def _id_column(name: str | None, tables: Tables) -> str | None:
    """The column that tells series apart; None: there is a single series, which the log says."""
    if name is None or name in tables.table(0).schema:
        return name
    _log.warning("%s: no column %r; all rows are one series, which is read into memory", tables.files[0].path, name)
    return None


def _check_arguments(kind: "type[Estimator[Any, Any, Any]]", arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that `predictions` does not take, or that are of one file. Raises ParameterError."""
    known = settings_of_verb(kind.predictions.__wrapped__)  # type: ignore[attr-defined]
    for name, value in arguments.items():
        if name in _OF_ONE_FILE:
            raise ParameterError(name, "none with tables that are predicted piece by piece", value)
        if name not in known and not isinstance(value, Options):
            raise ParameterError(name, f"an argument of {kind.__name__}.predictions", value, closest(name, list(known)))


def _make_plan(
    request: Request, tables: Tables, columns: list[str], id_column: str | None, are_steps: bool, out: Path
) -> Plan:
    """Cut the rows into pieces, and write the plan."""
    work, piece_rows = out / _WORK, int(request.options["piece_rows"])
    shutil.rmtree(work, ignore_errors=True)
    prepare_folder(work)
    if are_steps:
        pieces, bad = partition_series(tables, columns, id_column, piece_rows, work)
    else:
        pieces, bad = [chunk.piece for chunk in tables.chunks([], piece_rows)], 0
    if not pieces:
        raise DataError(f"{tables.files[0].path}: no rows that can be read, in {len(tables.files)} of 1 or more files.")
    plan = Plan(request, tuple(columns), tuple(pieces), bad)
    write_plan(plan, out)
    return plan


def _predict(
    folder: Path,
    estimator: Estimator[Any, Any, Any],
    job: Job,
    options: TableOptions,
    out: Path,
    progress: bool | None,
) -> None:
    """Predict the pieces that are not finished, and then write the file of bad rows."""
    plan, work = job.plan, out / _WORK
    prepare_folder(work)
    for place in (out, work):
        remove_leftovers(place)
    names = [plan.name(index, job.ending) for index in range(len(plan.pieces))]
    missing = [index for index, name in enumerate(names) if not (out / name).exists()]
    done = plan.rows - plan.bad - sum(plan.pieces[index].rows for index in missing)
    if done:
        _log.info("%s: %d of %d pieces are finished", out, len(names) - len(missing), len(names))
    with Progress(plan.rows - plan.bad, done, "predicting", progress, unit="row") as shown:
        for result in _results(folder, estimator, job, options, missing):
            _refuse_all_bad(result, plan)
            # The part comes last: it stands for a finished piece.
            bad_path = work / f"bad-{result.index}.csv"
            if result.bad:
                write_bytes(bad_path, result.bad)
            write_bytes(out / names[result.index], result.part)
            shown.update({}, result.rows)
    beside = [work / "bad-rows.csv", *(work / f"bad-{index}.csv" for index in range(len(names)))]
    write_atomically(out / _BAD_ROWS, lambda aside: _join(aside, beside))


def _results(
    folder: Path, estimator: Estimator[Any, Any, Any], job: Job, options: TableOptions, pieces: list[int]
) -> Iterator[PieceResult]:
    if not pieces:
        return
    if options.engine == "ray":
        yield from predict_pieces(folder, job, pieces, options.workers, options.address)
        return
    before = torch.get_num_threads()
    try:
        with closing(PieceWorker(estimator, job)) as worker:
            yield from map(worker, pieces)
    finally:
        torch.set_num_threads(before)


def _refuse_all_bad(result: PieceResult, plan: Plan) -> None:
    """Stop at a first piece without a prediction: then a column or an option is wrong. Raises DataError."""
    enough = result.rows >= _FEWEST_TO_JUDGE or len(plan.pieces) == 1
    if result.index == 0 and result.bad_rows == result.rows and enough:
        raise DataError(f"none of the first {result.rows:,} rows can be predicted. The first: {result.reason}")


def _join(path: Path, parts: Sequence[Path]) -> None:
    with open(path, "wb") as joined:
        joined.write(BAD_ROWS_HEADER)
        for part in parts:
            if part.exists():
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, joined)


def _count_lines(path: Path) -> int:
    """How many lines a file has; no cell of it has a line end."""
    try:
        with open(path, "rb") as file:
            return sum(1 for _ in file)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None


def _as_json(value: Any) -> Any:
    """A value by which requests are compared."""
    if isinstance(value, Options):
        return {name: _as_json(one) for name, one in value.get_params().items()}
    return value if isinstance(value, str | int | float | bool | tuple | list | None) else str(value)
