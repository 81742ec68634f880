"""Labels of anomalies from windows: which rows of each series are anomalous."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from recurra.data.files.csv_frame import csv_frame, csv_header, header_line
from recurra.data.files.text_file import read_text
from recurra.data.series.channels import ChannelSeries, ChannelSet
from recurra.data.series.frequency import Frequency
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.table import Source, Table
from recurra.data.series.zones import from_local, to_local
from recurra.errors import DataError

__all__ = ["Labels", "Verdict", "read_labels", "read_verdicts", "with_windows"]

# By the id of the series, whether each of its T steps is anomalous: (T,) bool.
Labels = dict[str, np.ndarray]


def read_labels(path: str | Path, data: ChannelSet, name: str | None = None) -> Labels:
    """Read windows of anomalies from a file, and tell which steps of each series lie in one.

    A .json file is NAB's: {"folder/file.csv": [["start", "end"], ...]}. Any other is a CSV file with the columns start,
    end and perhaps series; a window without a series is one of every series, and one without an end is its start alone.
    Both ends belong to a window. They are stamps in a form that the data could have; a time without a zone is by the
    clock of the data's. Integers in data with dates are indices of steps, 0 for the first of the series. A window
    between two steps is the earlier one.

    Args:
        path: the file; it may be gzipped.
        data: the series.
        name: the file of the data in NAB's file. None: `data.source`, whose folders may be more than NAB's file names.

    Raises:
        DataError: the file has a fault, does not know the data's file, or has windows of which all lie outside of the
            series. The message names the line.
    """
    text = read_text(path)
    is_json = PurePath(str(path).lower().removesuffix(".gz")).suffix == ".json"
    table = _of_nab(text, str(path), data.source if name is None else name) if is_json else _of_csv(text, str(path))
    table = table.without_blank_rows(["start", "end"])
    labels = {series.id: np.zeros(len(series), bool) for series in data}
    if table.frame.is_empty():
        return labels
    for window in _windows(table, data):
        for series in data if window.series is None else [data[window.series]]:
            _mark(labels[series.id], window, series, data)
    if not any(flags.any() for flags in labels.values()):
        series = data.series[0]
        first, last = (data.form.shown(stamp) for stamp in series.stamps[[0, -1]])
        raise table.error(
            0,
            f"this window, and all others of the file, lie outside of the series in {data.source} (series "
            f"{series.id!r}: {first} to {last}). Correct the stamps, or name the right file.",
        )
    return labels


class _Window(NamedTuple):
    """A window as it stands in a file: its ends, which belong to it, and its series; None: every series."""

    start: Any
    end: Any
    series: str | None


class Verdict(NamedTuple):
    """Rows of a series that a person has judged.

    Attributes:
        series: its index.
        start: the first.
        end: the row after the last.
        is_normal: whether they are called normal; else an anomaly.
    """

    series: int
    start: int
    end: int
    is_normal: bool


def read_verdicts(path: str | Path, data: ChannelSet) -> list[Verdict]:
    """Read verdicts on windows: a CSV file with the columns start, end, verdict, and perhaps series and others.

    A verdict is "normal" or "anomaly"; rows without one are left out. Windows are as in `read_labels`.

    Args:
        path: the file.
        data: the series.

    Raises:
        DataError: the file has a fault, no verdicts, or a window without any row of the series.
    """
    table = _of_csv(read_text(path), str(path), ("start", "end", "verdict")).without_blank_rows(["start", "end"])
    judged = table.frame["verdict"].str.strip_chars().fill_null("") != ""
    table = replace(table, frame=table.frame.filter(judged), index=table.index[judged.to_numpy()])
    if table.frame.is_empty():
        raise DataError(f"{path}: no verdicts. Write normal or anomaly in the column 'verdict'.")
    verdicts = []
    texts = table.frame["verdict"].str.strip_chars()
    for row, (window, text) in enumerate(zip(_windows(table, data), texts, strict=True)):
        if text not in ("normal", "anomaly"):
            raise table.error(row, f"verdict is {text!r}, expected normal or anomaly, or an empty cell.")
        before = len(verdicts)
        for index, series in enumerate(data):
            flags = np.zeros(len(series), bool)
            if window.series in (None, series.id):
                _mark(flags, window, series, data)
            rows = np.flatnonzero(flags)
            if len(rows):
                verdicts.append(Verdict(index, int(rows[0]), int(rows[-1]) + 1, text == "normal"))
        if len(verdicts) == before:
            raise table.error(row, f"no row of {data.source} lies in this window. Give the data that it was found in.")
    return verdicts


def with_windows(data: ChannelSet, path: str | Path) -> ChannelSet:
    """The series, labelled by the windows of a file; see `read_labels`."""
    labels = read_labels(path, data)
    return replace(data, series=tuple(replace(one, labels=labels[one.id]) for one in data))


def _of_csv(text: str, source: str, columns: Sequence[str] = ("start", "end")) -> Table:
    frame = csv_frame(text, source)
    for name in columns:
        if name not in frame.columns:
            there, header = ", ".join(map(repr, frame.columns)), ",".join(columns)
            raise DataError(
                f"{source}, line {header_line(text)}: no column {name!r}; there are {there}. Write windows "
                f"under the header {header} or {header},series."
            )
    return Table(frame, np.arange(frame.height), Source(source, "line", header_line(text) + 1, csv_header(text)[1]))


def _of_nab(text: str, source: str, name: str) -> Table:
    """The windows of one file. Each row's index is the line of its start."""
    try:
        by_file = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{source}, line {error.lineno}: not JSON ({error.msg}). Correct it.") from None
    if not isinstance(by_file, dict):
        raise DataError(f'{source}, line 1: expected {{"folder/file.csv": [["start", "end"], ...]}}, NAB\'s form.')
    key = _key(name, list(by_file), source)
    at = text.find(json.dumps(key))
    at = text.find(key) if at < 0 else at
    lines, cells = [], []
    windows = by_file[key]
    for window in windows if isinstance(windows, list) else [windows]:
        if not (isinstance(window, list) and len(window) == 2 and all(isinstance(end, str | int) for end in window)):
            line = text.count("\n", 0, at) + 1
            raise DataError(f'{source}, line {line}: {key!r} has {window!r}, expected a window ["start", "end"].')
        at = max(at, text.find(json.dumps(window[0]), at + len(key) if not lines else at + 1))
        lines.append(text.count("\n", 0, at) + 1)
        cells.append([str(end) for end in window])
    frame = pl.DataFrame(cells, schema={"start": pl.String, "end": pl.String}, orient="row")
    return Table(frame, np.array(lines, np.int64), Source(source, "line", 0))


def _key(name: str, keys: list[str], source: str) -> str:
    """The key that ends the name's path, or is the only one with its file name."""
    parts = _parts(name)
    ending = [key for key in keys if parts[-len(_parts(key)) :] == _parts(key)]
    alike = [key for key in keys if _parts(key)[-1] == parts[-1]]
    if ending:
        return max(ending, key=len)
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise DataError(
            f"{source}: several files are named {parts[-1]!r}: {', '.join(alike)}. Say which, with its folder."
        )
    close = get_close_matches(name, keys, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]!r}?" if close else f" among {len(keys)}."
    raise DataError(f"{source}: no windows for a file {'/'.join(parts[-2:])}{hint}")


def _parts(name: str) -> tuple[str, ...]:
    return PurePath(name.removesuffix(".gz")).parts or ("",)


def _windows(table: Table, data: ChannelSet) -> list[_Window]:
    """The windows of a table that has at least one row."""
    start = _stamps(table, "start", data)
    table = replace(table, frame=table.frame.with_columns(end=pl.coalesce(_blank_as_null("end"), "start")))
    end = _stamps(table, "end", data)
    if start.dtype.kind != end.dtype.kind:
        raise table.error(0, "one end of the window is an index and the other a stamp. Write both in one form.")
    if (start > end).any():
        row = int(np.flatnonzero(start > end)[0])
        frame = table.frame
        raise table.error(row, f"the window ends at {frame['end'][row]}, before its start at {frame['start'][row]}.")
    return [_Window(*ends) for ends in zip(start, end, _series_of_windows(table, data), strict=True)]


def _blank_as_null(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().replace("", None)


def _stamps(table: Table, name: str, data: ChannelSet) -> np.ndarray:
    """One end of the windows (N,): in the form of the data's stamps, or as indices."""
    date_format = data.columns.date_format
    if date_format and re.search(r"[^%A-Za-z]", date_format) and table.frame[name].str.contains(r"^\s*\d+\s*$").all():
        date_format = None  # indices, beside dates such as 31.01.2024
    try:
        stamps, form = parse_stamps(table, name, None if data.has_times else Frequency(1, "step"), date_format)
    except DataError as error:
        # The rest is advice on tables of series. Here the columns are fixed, and the form is that of the data.
        fault, example = str(error).partition(". ")[0], data.form.shown(data.series[0].stamps[0])
        way_out = f"Write stamps as in {data.source}, such as {example}, or indices of rows, 0 for the first."
        raise DataError(f"{fault}. {way_out}") from None
    zone = data.form.zone
    if stamps.dtype.kind != "M":
        return stamps
    if not data.has_times:
        raise table.error(0, f"{name} is a date, but the stamps of {data.source} are integers. Write such integers.")
    if form.zone is not None and zone is None:
        raise table.error(0, f"{name} has a zone, but the stamps of {data.source} have none. Leave the zone out.")
    if zone is None:
        return stamps
    utc = form.utc(stamps) if form.zone is not None else from_local(stamps.astype("M8[us]"), zone)
    return to_local(utc, zone) if data.form.is_local else utc


def _series_of_windows(table: Table, data: ChannelSet) -> list[str | None]:
    if "series" not in table.frame.columns:
        return [None] * table.frame.height
    names = table.frame.select(_blank_as_null("series"))["series"].to_list()
    for row, name in enumerate(names):
        if name is not None and name not in data:
            close = get_close_matches(name, data.ids, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, data.ids[:3]))} ..."
            raise table.error(row, f"no series {name!r} in {data.source}; {hint}")
    return names


def _mark(flags: np.ndarray, window: _Window, series: ChannelSeries, data: ChannelSet) -> None:
    """Set the steps of a window in the labels (T,) of a series."""
    of_steps = not data.has_times or window.start.dtype.kind == "M"
    stamps = series.stamps if of_steps else np.arange(len(series))
    begin, stop = np.searchsorted(stamps, window.start, "left"), np.searchsorted(stamps, window.end, "right")
    if begin == stop and 0 < begin < len(stamps):
        begin -= 1
    flags[begin:stop] = True
