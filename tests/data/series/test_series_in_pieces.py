"""A table in pieces gives the series of the table that is read at once, and its faults the same messages."""

import gzip
import importlib
import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from test_stored_series import COLUMNS, assert_same, table

from recurra.data.series import series_in_pieces, table_pieces
from recurra.data.series.frequency import Frequency
from recurra.data.series.read import read_series
from recurra.data.series.series_set import Columns
from recurra.data.series.stored_series import stored_series
from recurra.errors import DataError

text_pieces = importlib.import_module("recurra.data.files.text_pieces")

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(autouse=True)
def _small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_pieces, "_BLOCK", 1500)
    monkeypatch.setattr(table_pieces, "_ROWS", 20)
    monkeypatch.setattr(series_in_pieces, "_ROWS", 23)


def dates(form: str) -> Change:
    return lambda frame: frame.with_columns(pl.col("ds").dt.strftime(form))


def days(form: str) -> Change:
    # From the 13th on, so that each piece tells the day from the month.
    rank = pl.col("ds").rank("ordinal").over("unique_id")
    day = pl.datetime(2024, 1, 12) + pl.duration(days=rank)
    return lambda frame: frame.with_columns(ds=day).filter(rank <= 14).with_columns(pl.col("ds").dt.strftime(form))


def counts(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(ds=pl.col("ds").rank("ordinal").over("unique_id").cast(pl.Int64))


TABLES: dict[str, Change] = {
    "by series": lambda frame: frame,
    "by stamp": lambda frame: frame.sort("ds", maintain_order=True),
    "shuffled": lambda frame: frame.sample(fraction=1.0, shuffle=True, seed=1),
    "with zeros": dates("%d %b %Y, %H:%M"),
    "seconds": lambda frame: frame.with_columns(pl.col("ds").dt.epoch("s")),
    "UTC": dates("%Y-%m-%dT%H:%M:%SZ"),
    "counts": counts,
    "days": days("%-d.%-m.%Y"),
    "a blank row": lambda frame: pl.concat([frame[:20], frame[:1].clear(n=1), frame[20:]]),
    "cells with line ends": lambda frame: frame.with_columns(other=pl.lit('a "quoted"\ntext, of two lines')),
    "numbers as ids": lambda frame: frame.with_columns(unique_id=pl.col("size").cast(pl.Int64)),
    "digits as text": lambda frame: frame.with_columns(kind=pl.col("size").cast(pl.Int64).cast(pl.String)),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_pieces_is_the_table(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    frame = TABLES[kind](table())
    ending = "parquet" if kind in ("by stamp", "counts", "numbers as ids", "digits as text") else "csv"
    path = tmp_path / f"a.{ending}"
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    form = "%d %b %Y, %H:%M" if kind == "with zeros" else None
    columns = Columns(**{**vars(COLUMNS), "date_format": form})
    held = read_series(path, columns)
    with caplog.at_level(logging.WARNING):
        mapped = stored_series(path, columns, None)
    assert "whole table" not in caplog.text
    assert mapped.is_mapped
    assert_same(mapped, held)
    assert not list((tmp_path / "cache").rglob("*.rows"))


@pytest.mark.parametrize("frequency", ["30m", "step(3)"])
def test_a_stated_frequency_is_that_of_the_grid(tmp_path: Path, frequency: str) -> None:
    path = tmp_path / "a.csv.gz"
    frame = table() if frequency == "30m" else counts(table())
    one = frame.filter(pl.col("unique_id") == "b").drop("unique_id")
    path.write_bytes(gzip.compress(one.write_csv().encode()))
    columns, stated = Columns(past=("p",)), Frequency.parse(frequency)
    assert_same(stored_series(path, columns, stated), read_series(path, columns, stated))


WHOLE: dict[str, Change] = {
    "decimal comma": lambda frame: frame.with_columns(
        pl.col("y", "p", "k", "l").cast(pl.String).str.replace(".", ",", literal=True)
    ),
    "offsets": lambda frame: frame.with_columns(pl.col("ds").dt.strftime("%Y-%m-%d %H:%M:%S+01:00")),
    "months": lambda frame: frame.with_columns(
        ds=pl.date(2000, 1, 1).dt.offset_by(pl.format("{}mo", pl.col("ds").rank("ordinal").over("unique_id")))
    ),
    "one row a series": lambda frame: counts(frame).group_by("unique_id", maintain_order=True).first(),
    "other names": lambda frame: frame.select(date="ds", value="y").unique("date", keep="first", maintain_order=True),
    "static text that is a number": lambda frame: frame.with_columns(
        size=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("1")).otherwise(pl.lit("1.0"))
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_all_rows_decide_is_read_at_once_and_said(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    frame = WHOLE[kind](table())
    if kind == "one row a series":
        frame = frame.with_columns(pl.lit(1.5).alias("y"))
    frame.write_csv(path, separator=";")
    columns = Columns() if kind in ("other names", "one row a series") else COLUMNS
    with caplog.at_level(logging.WARNING):
        mapped = stored_series(path, columns, None)
    assert "the whole table is read into memory" in caplog.text
    assert_same(mapped, read_series(path, columns))


FAULTS: dict[str, Callable[[list[str]], list[str]]] = {
    "a stamp twice": lambda lines: [*lines, lines[40]],
    "off the grid": lambda lines: [line.replace("T20:00", "T20:01") if "T20:00" in line else line for line in lines],
    "not a number": lambda lines: [*lines[:50], lines[50].replace(",", ",?", 2), *lines[51:]],
    "no id": lambda lines: [*lines[:50], lines[50].removeprefix("a").removeprefix("c"), *lines[51:]],
    "too many cells": lambda lines: [*lines[:50], lines[50] + ",1,2", *lines[51:]],
    "all missing": lambda lines: [*lines, "d,2023-12-31T21:00:00.000000,,1,1,1,x,1"],
    "no such column": lambda lines: [lines[0].replace("k,", "q,"), *lines[1:]],
    "no rows": lambda lines: lines[:1],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_said_as_of_the_whole_table(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.csv"
    lines = table().with_columns(pl.col("ds").dt.strftime("%Y-%m-%dT%H:%M:%S.000000")).write_csv().splitlines()
    path.write_text("\n".join(FAULTS[fault](lines)) + "\n")
    with pytest.raises(DataError) as whole:
        read_series(path, COLUMNS)
    with pytest.raises(DataError) as pieces:
        stored_series(path, COLUMNS, None)
    assert str(pieces.value).split(".")[:2] == str(whole.value).split(".")[:2]
    stored = (tmp_path / "cache" / "series").rglob("*")
    assert not [file for file in stored if file.suffix != ".lock" and file.is_file()]


def test_a_damaged_file_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.parquet: not a parquet file") as cut:
        stored_series(path, COLUMNS, None)
    assert "\n" not in str(cut.value)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(table().write_csv().encode())[:-99])
    with pytest.raises(DataError, match=r"a\.csv\.gz: cannot be read"):
        stored_series(path, COLUMNS, None)
