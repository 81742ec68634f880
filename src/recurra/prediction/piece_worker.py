"""Predicts pieces: loads the run once, and makes the content of a piece's files in memory."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import torch

from recurra.errors import DataError, RunError
from recurra.prediction.bad_rows import bad_row_lines
from recurra.prediction.partitions import FILE, ROW, read_partition
from recurra.prediction.plan import Plan
from recurra.prediction.tables import Tables
from recurra.task import Estimator
from recurra.task.row_predictors import SeriesPredictor, TextPredictor

__all__ = ["Job", "PieceResult", "PieceWorker"]

_LOCATION = re.compile(r"\b(line|row) (\d+)\b")


@dataclass(frozen=True)
class Job:
    """What a worker has to know of a prediction.

    Attributes:
        plan: of it.
        id_column: of series; None: there is none, or rows are texts.
        text_column: of texts; None: rows are steps of series.
        takes_blank: whether a blank text has a prediction.
        keep: columns that stand beside the predictions of texts.
        delimiter: of the tables, if they are CSV.
        reading: how tables of series are read; None: as in training.
        options: more arguments of `predictions`.
        threads: of torch.
        partitions: the folder of series that were brought together.
    """

    plan: Plan
    id_column: str | None
    text_column: str | None
    takes_blank: bool
    keep: tuple[str, ...]
    delimiter: str
    reading: Any
    options: dict[str, Any]
    threads: int
    partitions: Path

    @property
    def ending(self) -> str:
        """Of the files that are written: as those that are read."""
        return ".csv" if self.plan.request.files[0].kind == "csv" else ".parquet"


@dataclass(frozen=True)
class PieceResult:
    """The predictions of a piece.

    Attributes:
        index: of the piece.
        part: the content of its file.
        bad: lines for the file of bad rows.
        rows: how many rows the piece has, bad ones included.
        bad_rows: how many of them are bad.
        reason: why the first bad row is bad.
    """

    index: int
    part: bytes
    bad: bytes
    rows: int
    bad_rows: int
    reason: str


class PieceWorker:
    """Predicts pieces of a job one after the other. It sets the number of torch's threads.

    Args:
        estimator: of texts or series, loaded.
        job: what to predict.
    """

    def __init__(self, estimator: Estimator[Any, Any, Any], job: Job) -> None:
        torch.set_num_threads(job.threads)
        self._estimator = estimator
        self._job, self._tables = job, Tables(job.plan.request.files)

    def close(self) -> None:
        """Close the table that is open."""
        self._tables.close()

    def __call__(self, index: int) -> PieceResult:
        """Predict a piece.

        Raises:
            DataError: the piece cannot be read.
            RunError: its partition is damaged.
        """
        return self._predict_series(index) if self._job.text_column is None else self._predict_texts(index)

    def _predict_texts(self, index: int) -> PieceResult:
        job, piece = self._job, self._job.plan.pieces[index]
        rows = self._tables.read(job.plan.columns, piece)
        path, texts = job.plan.request.files[piece.file].path, rows.frame[job.text_column or ""].to_list()
        faults = dict(rows.faults)
        for at, text in enumerate(texts):
            if text is None:
                faults.setdefault(at, f"{job.text_column} is missing")
            elif not job.takes_blank and not text.strip():
                faults.setdefault(at, f"{job.text_column} is blank")
        good = [at for at in range(piece.rows) if at not in faults]
        predicted = self._of_texts(texts, good, faults)
        place: list[int | None] = [None] * piece.rows
        for position, at in enumerate(at for at in good if at not in faults):
            place[at] = position
        frame = pl.DataFrame(
            {
                "file": pl.Series([path], dtype=pl.String).new_from_index(0, piece.rows),
                "row": pl.int_range(piece.row, piece.row + piece.rows, dtype=pl.Int64, eager=True),
            }
        )
        beside = [*frame.get_columns(), *(rows.frame[name] for name in job.keep)]
        gathered = predicted.select(pl.all().gather(pl.Series(place, dtype=pl.UInt32)))
        frame = pl.DataFrame(_distinct([*beside, *gathered.get_columns()]))
        bad = [
            (path, piece.row + at, rows.lines[at] if rows.lines else 0, reason, rows.content(at))
            for at, reason in sorted(faults.items())
        ]
        return self._result(index, frame, bad)

    def _of_texts(self, texts: list[str], good: list[int], faults: dict[int, str]) -> pl.DataFrame:
        """Predictions of the texts at some positions, but of those that are refused, which `faults` then names."""
        try:
            return self._predict([texts[at] for at in good])
        except DataError:
            faults |= self._refused(texts, good)
            return self._predict([texts[at] for at in good if at not in faults])

    def _refused(self, texts: list[str], good: list[int]) -> dict[int, str]:
        """Why texts are refused, by position: those at some positions are halved until the ones at fault are alone."""
        try:
            self._predict([texts[at] for at in good])
            return {}
        except DataError as error:
            if len(good) == 1:
                return {good[0]: str(error).removeprefix("the data, ")}
            middle = len(good) // 2
            refused = self._refused(texts, good[:middle]) | self._refused(texts, good[middle:])
            if not refused:
                raise
            return refused

    def _predict(self, texts: list[str]) -> pl.DataFrame:
        if not texts:
            return self._no_predictions
        assert isinstance(self._estimator, TextPredictor)
        return self._estimator.predict_texts(texts, self._job.reading, **self._job.options)

    @cached_property
    def _no_predictions(self) -> pl.DataFrame:
        """A table of predictions without a row."""
        return self._predict(["."]).clear()

    def _predict_series(self, index: int) -> PieceResult:
        job, partition = self._job, read_partition(self._job.partitions, index)
        bad: list[tuple[str, int, int, str, Any]] = []
        try:
            frame = self._of_series(partition)
        except DataError:
            good = []
            for one in self._split(partition):
                try:
                    self._of_series(one)
                    good.append(one)
                except DataError as error:
                    bad += self._bad_series(one, str(error))
            frame = self._of_series(pl.concat(good)) if good else pl.DataFrame()
        return self._result(index, frame, bad, job.plan.pieces[index].rows)

    def _split(self, partition: pl.DataFrame) -> Sequence[pl.DataFrame]:
        name = self._job.id_column
        return [partition] if name is None else partition.partition_by(name, maintain_order=True)

    def _of_series(self, partition: pl.DataFrame) -> pl.DataFrame:
        """Predictions of whole series, from a file as the task reads them."""
        frame = partition.drop(FILE, ROW)
        if self._as_text:
            # A blank cell is written without quotes.
            frame = frame.with_columns(pl.all().replace("", None))
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"table{self._job.ending}"
            try:
                path.write_bytes(self._encoded(frame, self._job.delimiter))
                assert isinstance(self._estimator, SeriesPredictor)
                return self._estimator.predict_series(path, self._job.reading, self._as_text, **self._job.options)
            except DataError as error:
                raise DataError(self._located(str(error), str(path), partition)) from None
            except OSError as error:
                raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error

    def _located(self, message: str, path: str, partition: pl.DataFrame) -> str:
        """A message about a file of one piece, as one about the tables that its rows come from."""
        first = 2 if self._as_text else 0

        def original(match: re.Match[str]) -> str:
            at = int(match[2]) - first
            if not 0 <= at < partition.height:
                return match[0]
            return f"{self._path(partition[FILE][at])}, row {partition[ROW][at]}"

        return _LOCATION.sub(original, message.replace(f"{path}, ", "").replace(f"{path}: ", ""))

    def _bad_series(self, one: pl.DataFrame, reason: str) -> list[tuple[str, int, int, str, Any]]:
        contents = one.drop(FILE, ROW).iter_rows(named=True)
        places = zip(one[FILE], one[ROW], contents, strict=True)
        return [(self._path(file), row, 0, reason, content) for file, row, content in places]

    def _path(self, file: int) -> str:
        return self._job.plan.request.files[file].path

    @property
    def _as_text(self) -> bool:
        return self._job.ending == ".csv"

    def _result(
        self, index: int, frame: pl.DataFrame, bad: list[tuple[str, int, int, str, Any]], rows: int | None = None
    ) -> PieceResult:
        reason = bad[0][3] if bad else ""
        rows = frame.height if rows is None else rows
        return PieceResult(index, self._encoded(frame), bad_row_lines(bad), rows, len(bad), reason)

    def _encoded(self, frame: pl.DataFrame, delimiter: str = ",") -> bytes:
        """A table as a file of the kind that is read."""
        content = io.BytesIO()
        if self._as_text:
            frame.write_csv(content, separator=delimiter)
        else:
            frame.write_parquet(content)
        return content.getvalue()


def _distinct(columns: list[pl.Series]) -> list[pl.Series]:
    """Columns of distinct names: an underscore follows one that was there before."""
    names: set[str] = set()
    distinct = []
    for column in columns:
        name = column.name
        while name in names:
            name += "_"
        names.add(name)
        distinct.append(column.alias(name))
    return distinct
