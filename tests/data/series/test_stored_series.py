"""Series of large tables are mapped from a file that one process makes, and are those that are read into memory."""

import importlib
import json
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recurra.data.series.covariates import CovariateEncoding
from recurra.data.series.gathered_windows import GatheredWindows, windows_of
from recurra.data.series.read import read_series
from recurra.data.series.series_set import Columns, SeriesSet, StoredSeries
from recurra.data.series.stored_series import series_stored_before, stored_series
from recurra.data.series.windows import Windows, WindowShape
from recurra.errors import DataError, RunError

module = importlib.import_module("recurra.data.series.stored_series")

COLUMNS = Columns(past=("p",), known=("k", "l"), static=("kind", "size"))
STEPS = {"b": 40, "a": 7, "c": 25}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def table(stamps: str = "dates") -> pl.DataFrame:
    """Series of several lengths, of hours or steps, with gaps, missing values and future rows."""
    chance, parts = np.random.default_rng(3), []
    for row, (name, steps) in enumerate(STEPS.items()):
        y, past, known = chance.normal(20, 5, steps), chance.normal(size=steps), chance.normal(size=(steps, 2))
        y[[0, 3, -1]] = np.nan
        past[2] = np.nan
        at = np.datetime64("2023-12-30T20:00", "us") + (np.arange(steps) + 5 * row) * np.timedelta64(1, "h")
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": name,
                    "ds": at if stamps == "dates" else np.arange(steps) + 5 * row,
                    "y": y,
                    "p": past,
                    "k": known[:, 0],
                    "l": known[:, 1],
                    "kind": "xy"[row % 2],
                    "size": float(row),
                }
            ).filter(pl.int_range(pl.len()) != 4)
        )
    return pl.concat(parts).with_columns(pl.col("y", "p", "k", "l").fill_nan(None))


def write(frame: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path


def assert_same(one: SeriesSet, other: SeriesSet) -> None:
    assert one.ids == other.ids
    assert (one.frequency, one.columns, one.form) == (other.frequency, other.columns, other.form)
    assert (one.source, one.integer_ids, one.horizon) == (other.source, other.integer_ids, other.horizon)
    for mine, its in zip(one, other, strict=True):
        assert (mine.start, mine.static) == (its.start, its.static)
        for name in ("y", "past", "known"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(its, name))
    assert one.digest() == other.digest()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("stamps", ["dates", "steps"])
def test_mapped_series_and_their_windows_are_those_in_memory(
    cache: Path, tmp_path: Path, stamps: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(table(stamps), tmp_path / f"a.{ending}")
    held, mapped = read_series(path, COLUMNS), stored_series(path, COLUMNS, None)
    assert (held.is_mapped, mapped.is_mapped) == (False, True)
    assert_same(mapped, held)
    assert_same(stored_series(path, COLUMNS, None), held)  # found
    assert_same(mapped.until(3), held.until(3))
    with pytest.raises(ValueError, match="read-only"):
        mapped.series[0].y[0] = 1
    holidays = "DE" if stamps == "dates" else None
    encodings = [CovariateEncoding.fit(data, True, holidays) for data in (held, mapped)]
    assert encodings[0] == encodings[1]
    shape = WindowShape((3,), 6, 4)
    windows = [windows_of(data, encodings[0], shape) for data in (held, mapped)]
    assert [type(one) for one in windows] == [Windows, GatheredWindows]
    rows = np.repeat(np.arange(3), 9)
    origins = np.concatenate([np.linspace(0, length, 9).astype(int) for length in held.lengths])
    for one, other in zip(*(each.cut(rows, origins) for each in windows), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_moments_are_those_of_all_values_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    covariates = importlib.import_module("recurra.data.series.covariates")
    chance = np.random.default_rng(0)
    arrays = [chance.normal(3, 2, (size, 2)) for size in (5, 0, 17, 30)]
    arrays[2][4] = np.nan
    every = np.concatenate(arrays)
    expected = [(np.nanmean(column), np.nanstd(column)) for column in every.T]
    for rows in (1 << 18, 7):
        monkeypatch.setattr(covariates, "_ROWS_AT_ONCE", rows)
        np.testing.assert_allclose(covariates._moments(arrays), expected, rtol=1e-12)
    assert covariates._moments([np.full((4, 1), np.nan)]) == [(0.0, 1.0)]


def stored_files(cache: Path) -> list[Path]:
    return [file for file in (cache / "series").rglob("*") if file.is_file() and not file.suffix]


def test_a_table_is_read_once_and_anew_where_it_or_its_file_changes(cache: Path, tmp_path: Path) -> None:
    path = write(table(), tmp_path / "a.csv")
    held = read_series(path, COLUMNS)
    stored_series(path, COLUMNS, None)
    (file,) = stored_files(cache)
    content = file.read_bytes()
    leftover = file.with_name(f".{file.name}.4242.tmp")
    rows = file.with_suffix(".rows")  # and of one that was killed while it read
    for damaged in (content[:-1], content[:90] + b"#" + content[91:], b""):
        file.write_bytes(damaged)
        leftover.write_bytes(b"half")
        rows.mkdir()
        (rows / "value").write_bytes(b"half")
        assert_same(stored_series(path, COLUMNS, None), held)
        assert file.read_bytes() == content
        assert not leftover.exists()
        assert not rows.exists()
    file.with_suffix(".json").write_text('{"values": {')
    assert_same(stored_series(path, COLUMNS, None), held)
    stored_series(path, Columns(), None)  # read in another way
    assert len(stored_files(cache)) == 2
    path.write_text(path.read_text().replace("kind", "sort"))
    assert stored_series(path, Columns(), None).columns == Columns()
    assert len(stored_files(cache)) == 3
    with pytest.raises(DataError, match=r"a\.csv: no column 'kind'"):
        stored_series(path, COLUMNS, None)
    assert len(stored_files(cache)) == 3


def test_a_table_that_changes_while_it_is_read_is_not_stored(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = write(table(), tmp_path / "a.csv"), module.series_in_pieces
    row = "d,2023-12-31T21:00:00.000000,1,1,1,1,x,1\n"

    def read_while_it_grows(*arguments: Any) -> Any:
        with path.open("a") as file:
            file.write(row)
        return read(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "series_in_pieces", read_while_it_grows)
        with pytest.raises(DataError, match=r"a\.csv: the file changed while it was read\. Start again"):
            stored_series(path, COLUMNS, None)
    assert not stored_files(cache)
    path.write_text(path.read_text().removesuffix(row))
    assert_same(stored_series(path, COLUMNS, None), read_series(path, COLUMNS))


def test_mapped_series_are_pickled_without_their_arrays(cache: Path, tmp_path: Path) -> None:
    path = write(table(), tmp_path / "a.csv")
    held, mapped = read_series(path, COLUMNS), stored_series(path, COLUMNS, None)
    assert isinstance(mapped.series, StoredSeries)
    before = series_stored_before(mapped.series.values, mapped.series.about, mapped.series.digest)
    packed = pickle.dumps((mapped, replace(mapped, series=before)))
    size = len(pickle.dumps(mapped.series))
    assert_same(mapped, held)
    assert mapped["b"].id == "b"
    assert len(pickle.dumps(mapped.series)) == size
    for file in stored_files(cache):
        file.unlink()
    for one in pickle.loads(packed):
        assert_same(one, held)


def test_of_several_processes_one_reads_and_the_others_wait(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls, write_once = write(table(), tmp_path / "a.parquet"), [], module._write

    def slow(*arguments: Any) -> None:
        calls.append(threading.get_ident())
        time.sleep(0.1)
        write_once(*arguments)

    # The lock is of the open file, and keeps threads apart as it does processes.
    monkeypatch.setattr(module, "_write", slow)
    with ThreadPoolExecutor(3) as pool:
        digests = list(pool.map(lambda _: stored_series(path, COLUMNS, None).digest(), range(3)))
    assert len(calls) == 1
    assert digests == [read_series(path, COLUMNS).digest()] * 3


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(table(), tmp_path / "a.csv")

    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)") as raised:
            stored_series(path, COLUMNS, None)
    assert "\n" not in str(raised.value)
    assert not stored_files(cache)
    assert_same(stored_series(path, COLUMNS, None), read_series(path, COLUMNS))
    (known,) = (cache / "series").rglob("*.json")
    assert json.loads(known.read_text())["values"]["ids"] == list(STEPS)
