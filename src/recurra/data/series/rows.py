"""The rows of a long frame: columns are checked, values converted, rows sorted by series and time stamp."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
import polars as pl

from recurra.data.series.frequency import Frequency
from recurra.data.series.month_calendars import BusinessDay, business_days, month_calendar
from recurra.data.series.numeric import decimal_mark, is_numbers, numeric_column
from recurra.data.series.series_set import Columns
from recurra.data.series.stamp_form import StampForm
from recurra.data.series.stamps import parse_stamps
from recurra.data.series.table import Table
from recurra.errors import DataError

__all__ = [
    "Rows",
    "emptiest",
    "existing_columns",
    "grid_positions",
    "is_irregular",
    "missing_throughout",
    "positions_on_grid",
    "refuse_duplicates",
    "refuse_steps_of_dates",
    "say_missing",
    "series_codes",
    "sorted_rows",
    "way_out_of_text",
]

_log = logging.getLogger("recurra.forecast")

# A frequency that leaves out more of the steps than this is not that of the data, if they are no fewer than this.
_MOST_MISSING = 0.8
_FEWEST_ROWS = 10
_FREQUENT = 0.5
# More missing steps than this are said.
_MANY_MISSING = 0.5
# A series with more empty steps than this, and more steps per row than this, has a typo in a stamp.
_MOST_EMPTY = 100_000
_STEPS_PER_ROW = 50

_ONE_SERIES = "series"


@dataclass(frozen=True)
class Rows:
    """N checked rows of S series, sorted by series (in order of appearance) and stamp.

    Args:
        table: the frame, in the same order.
        ids: the ids of the S series.
        code: (N,) the index of each row's series.
        begin: (S + 1,) rows begin[s]:begin[s + 1] belong to series s.
        stamps: (N,) datetime64[us], or int64.
        values: (N,) float64 for each numeric column.
        time: the column of the stamps.
        form: in which they came.
    """

    table: Table
    ids: tuple[str, ...]
    code: np.ndarray
    begin: np.ndarray
    stamps: np.ndarray
    values: dict[str, np.ndarray]
    time: str
    form: StampForm

    def block(self, names: tuple[str, ...]) -> np.ndarray:
        """The numeric columns with these names, stacked: (N, len(names))."""
        if not names:
            return np.empty((len(self.code), 0))
        return np.stack([self.values[name] for name in names], axis=1)

    def stamp(self, row: int) -> str:
        """The stamp of one row as it stands in the source."""
        cell = self.table.frame[self.time][row]
        return cell.strip() if isinstance(cell, str) else self.form.shown(self.stamps[row])

    def error(self, row: int, text: str) -> DataError:
        """The error to raise for one row."""
        return self.table.error(row, text, self.ids[int(self.code[row])])


def existing_columns(table: Table, columns: Columns, needed: Iterable[str]) -> Columns:
    """Check that the columns exist. `id` becomes None if it has its default name and the frame lacks it.

    Raises:
        DataError: the frame is empty, or a column is missing.
    """
    source, there = table.source.name, table.frame.columns
    if columns.id == Columns.id and columns.id not in there:
        columns = replace(columns, id=None)
    for name in (columns.id, columns.time, *needed):
        if name is not None and name not in there:
            options = {columns.id: "id", columns.time: "time", columns.target: "target"}
            close = get_close_matches(name.lower(), [other.lower() for other in there], n=1)
            guess = next((other for other in there if close and other.lower() == close[0]), None)
            raise DataError(
                f"{source}: no column {name!r}; there are {', '.join(map(repr, there)) or 'none'}."
                + (f" Did you mean {guess!r}?" if guess else "")
                + (f" Name it with --{options[name]}-column ({options[name]}_column=)." if name in options else "")
                + _about_header(table, columns)
                + (_about_steps(table) if name == columns.time else "")
            )
    if table.frame.is_empty():
        raise DataError(f"{source}: no rows, only columns. Give a table with at least one row for each series.")
    return columns


def _about_header(table: Table, columns: Columns) -> str:
    """A sentence for the message about a missing column of a text file that may be without a header."""
    if not columns.header:
        return " Without a header, columns are numbered from 1, as in --id-column 1 --time-column 2 --target-column 3."
    is_row = any(is_numbers(pl.Series([name])) for name in table.frame.columns)
    if table.source.word != "line" or not is_row:
        return ""
    return " If the first line holds values, not names, say so with --no-header."


def _about_steps(table: Table) -> str:
    """A sentence for the message about a table without stamps."""
    if table.source.word != "line" or not all(is_numbers(table.frame[name]) for name in table.frame.columns):
        return ""
    return " If the rows are steps without dates, add such a column that numbers them (0, 1, 2, ...)."


def sorted_rows(
    table: Table,
    columns: Columns,
    numeric: tuple[str, ...],
    frequency: Frequency | None,
    way_out: Callable[[str], str] | None = None,
) -> Rows:
    """Read, check and sort the rows.

    Args:
        table: the table. It has `columns.id`, `columns.time` and the numeric columns.
        columns: the column names.
        numeric: the columns to read as numbers.
        frequency: it decides how integer stamps are read, see `parse_stamps`. None: it is unknown.
        way_out: a sentence for the message that says what to do about the column of this name if it holds text. None:
            that of a target and its covariates.

    Raises:
        DataError: an id is missing, a stamp or value is unreadable, or a stamp occurs twice in a series.
    """
    used = [columns.time, *numeric, *([columns.id] if columns.id is not None else [])]
    table = table.without_blank_rows(used)
    if table.frame.is_empty():
        raise DataError(f"{table.source.name}: all rows are empty.")
    ids, code = series_codes(table, columns.id)
    stamps, form = parse_stamps(table, columns.time, frequency, columns.date_format)
    decimal = columns.decimal or decimal_mark(table, numeric)
    ways = {name: way_out_of_text(name, columns) if way_out is None else way_out(name) for name in numeric}
    values = {name: numeric_column(table, name, ways[name], decimal) for name in numeric}
    order = np.lexsort((stamps, code))
    code, stamps = code[order], stamps[order]
    table = replace(table, frame=table.frame[order], index=table.index[order])
    begin = np.searchsorted(code, np.arange(len(ids) + 1))
    values = {name: column[order] for name, column in values.items()}
    rows = Rows(table, ids, code, begin, stamps, values, columns.time, form)
    refuse_duplicates(rows, columns)
    return rows


def way_out_of_text(name: str, columns: Columns) -> str:
    """A sentence for the message about a column of numbers that holds text."""
    if name == columns.target:
        return "Correct it, or name another column with --target-column."
    return "Encode it as numbers; if it never varies within a series, make it a static column."


def series_codes(table: Table, name: str | None) -> tuple[tuple[str, ...], np.ndarray]:
    """The ids of the series in order of appearance, and the index of each row's series (N,).

    Raises:
        DataError: an id is missing.
    """
    if name is None:
        return (_ONE_SERIES,), np.zeros(table.frame.height, dtype=np.int64)
    text = table.frame[name].cast(pl.String).str.strip_chars().replace("", None)
    if text.null_count():
        row = int(text.is_null().arg_max() or 0)
        raise table.error(row, f"{name} (the series id) is missing. Fill it in or remove the row.")
    ids = text.unique(maintain_order=True)
    code = text.cast(pl.Enum(ids)).to_physical().to_numpy().astype(np.int64)
    return tuple(ids.to_list()), code


def refuse_duplicates(rows: Rows, columns: Columns) -> None:
    """Refuse two rows of a series with the same stamp. Raises DataError."""
    twice = (rows.stamps[1:] == rows.stamps[:-1]) & (rows.code[1:] == rows.code[:-1])
    if not twice.any():
        return
    row = int(np.flatnonzero(twice)[0]) + 1
    text = f"the stamp {rows.stamp(row)} is already at {rows.table.location(row - 1)}."
    if rows.form.zone is None and _may_be_set_back(rows.stamps[row]):
        text += " If the clock was set back then, write all stamps with their offset from UTC, as in 02:00:00+01:00."
    if columns.id is None:
        others = [name for name in rows.table.frame.columns if name not in columns.all]
        raise rows.table.error(
            row,
            f"{text} If the rows belong to several series, name the column that tells them apart with "
            f"--id-column (other columns: {', '.join(map(repr, others)) or 'none'}); otherwise remove one row.",
        )
    raise rows.error(row, f"{text} Keep one row for each stamp, or aggregate them.")


def _may_be_set_back(stamp: np.datetime64 | np.integer) -> bool:
    """Whether clocks are set back at such times: in the first hours of a Sunday."""
    if not isinstance(stamp, np.datetime64):
        return False
    day = stamp.astype("M8[D]")
    # 1970-01-01 was a Thursday; Monday is 0.
    return (int(day.astype(np.int64)) + 3) % 7 == 6 and np.timedelta64(0) < stamp - day < np.timedelta64(4, "h")


def grid_positions(rows: Rows, frequency: Frequency, start: np.ndarray, inferred: bool = False) -> np.ndarray:
    """The position of each row on the grid of its series.

    Args:
        rows: the rows.
        frequency: the step of the grid.
        start: (S,) the stamp at position 0 of each series.
        inferred: whether the frequency was inferred, for the message.

    Returns:
        (N,) int64, at least 0.

    Raises:
        DataError: a stamp is off the grid or before its start, or so far away that the grid would be nearly empty.
    """
    positions = positions_on_grid(rows, frequency, start, inferred)
    if frequency.business_day is not None:
        _check_business_days(rows, frequency.business_day, positions)
    last = rows.begin[1:] - 1
    if inferred:
        _refuse_irregular(rows, frequency, positions)
    steps = np.where(np.diff(rows.begin) > 0, positions[last] - positions[rows.begin[:-1]] + 1, 0)
    if worst := emptiest(steps, np.diff(rows.begin)):
        inside = np.arange(rows.begin[worst[0]] + 1, rows.begin[worst[0] + 1])
        row = int(inside[np.argmax(positions[inside] - positions[inside - 1])])
        raise rows.error(
            row,
            f"a gap of {positions[row] - positions[row - 1] - 1} steps of {frequency} from "
            f"{rows.stamp(row - 1)} to {rows.stamp(row)}: the series would be "
            "nearly all missing. Correct the stamp, or give a coarser frequency with --frequency.",
        )
    return positions


def emptiest(steps: np.ndarray, counts: np.ndarray) -> list[int]:
    """The index of the series that would be the emptiest, if series would be nearly all missing; else nothing.

    Args:
        steps: of each series, (S,).
        counts: rows of each series, (S,).
    """
    sparse = steps > _STEPS_PER_ROW * counts
    return [int(np.where(sparse, steps, 0).argmax())] if steps[sparse].sum() > _MOST_EMPTY else []


def positions_on_grid(rows: Rows, frequency: Frequency, start: np.ndarray, inferred: bool) -> np.ndarray:
    """The position of each row on the grid of its series; see `grid_positions` for the arguments.

    Raises:
        DataError: a stamp is off the grid or before its start.
    """
    positions = frequency.positions(start[rows.code], rows.stamps)
    if (positions < 0).any():
        if inferred:
            _refuse_month_calendar(rows)
        row = int(np.flatnonzero(positions < 0)[0])
        origin = rows.form.shown(start[int(rows.code[row])])
        raise rows.error(
            row,
            f"the stamp {rows.stamp(row)} is not on the grid of frequency {frequency}"
            f"{' (inferred)' if inferred else ''} that starts at {origin}. Correct it, "
            "resample or aggregate the data to regular steps, or give another frequency with --frequency.",
        )
    return positions


def refuse_steps_of_dates(source: str, stated: Frequency | None, dates: bool) -> None:
    """Refuse a stated frequency of steps if the stamps are dates. Raises DataError."""
    if stated is not None and stated.unit == "step" and dates:
        raise DataError(
            f"{source}: the stamps are dates, frequency {stated} needs integers. State another, such as 1d."
        )


def missing_throughout(source: str, series: str, target: str, first: str) -> DataError:
    """The error to raise for a series whose target is missing in all rows, of which `first` says the first one."""
    return DataError(
        f"{source}, series {series!r}: {target} is missing in all its rows (first: {first}). Remove the series."
    )


def say_missing(source: str, frequency: Frequency, rows: int, steps: int) -> None:
    """Warn if about half of the steps or more have no row, and say what that means.

    Args:
        source: the name of the table.
        frequency: the step of the grid.
        rows: N.
        steps: of all series, from the first row to the last.
    """
    missing = 1 - rows / steps
    if rows < _FEWEST_ROWS or missing < _MANY_MISSING:
        return
    _log.warning(
        "%s: %.0f %% of the steps of frequency %s have no row. They count as missing values, and every step is "
        "forecast, these too. If the rows have a calendar of their own, such as some weekdays or hours, integers that "
        "count them instead of dates leave no step missing; or give a coarser frequency with --frequency.",
        *(source, 100 * missing, frequency),
    )


def _check_business_days(rows: Rows, which: BusinessDay, positions: np.ndarray) -> None:
    """Say which stamps are beside the business day of their months; refuse two stamps of one month."""
    twice = (positions[1:] == positions[:-1]) & (rows.code[1:] == rows.code[:-1])
    if twice.any():
        row = int(np.flatnonzero(twice)[0]) + 1
        raise rows.error(
            row,
            f"the stamps {rows.stamp(row - 1)} and {rows.stamp(row)} are both read as the {which} business day of "
            "their month. Keep one row for each month, or aggregate them.",
        )
    beside = np.flatnonzero(rows.stamps.astype("M8[D]") != business_days(rows.stamps.astype("M8[M]"), which))
    if len(beside):
        _log.info(
            "%s: stamps that are not the %s day of their month from Monday to Friday are read as it, as if because of "
            "holidays: %d of %d, such as %s",
            *(rows.table.source.name, which, len(beside), len(rows.stamps), rows.stamp(int(beside[0]))),
        )


def _refuse_month_calendar(rows: Rows) -> None:
    """Refuse stamps that are regular within months but not a fixed step, and name their calendar."""
    calendar = month_calendar(rows.stamps)
    if calendar:
        raise DataError(
            f"{rows.table.source.name}: the stamps are {calendar}, which is not a fixed step. Write each period with a "
            "regular stamp, such as the first of its month, or use integers that count the periods; --frequency 1d "
            "takes all other days as missing."
        )


def _refuse_irregular(rows: Rows, frequency: Frequency, positions: np.ndarray) -> None:
    """Refuse stamps of a calendar that is not a fixed step, such as every tenth and then every eleventh day."""
    gaps = np.diff(positions)[np.diff(rows.code) == 0]
    if frequency.unit == "step":
        return
    if (gaps > 1).all():
        _refuse_month_calendar(rows)
    if not is_irregular(*np.unique(gaps, return_counts=True)):
        return
    middle = int(np.median(gaps))
    raise DataError(
        f"{rows.table.source.name}: the stamps do not follow a fixed step: at the finest one, {frequency}, "
        f"{100 * (1 - len(gaps) / gaps.sum()):.0f} % of the steps would be missing (a gap is {middle} steps in the "
        f"middle). Write each period with a regular stamp, or use integers that count the periods; --frequency "
        f"{frequency} takes the other steps as missing."
    )


def is_irregular(gaps: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the step of a grid that was inferred leaves out nearly all steps, and is not that of the data.

    Args:
        gaps: between rows, in steps, the distinct ones (n,).
        counts: how many there are of each, (n,).
    """
    total, ones = int(counts.sum()), int(counts[gaps == 1].sum())
    if total < _FEWEST_ROWS or 1 - total / int((gaps * counts).sum()) < _MOST_MISSING:
        return False
    return ones / total < _FREQUENT  # otherwise it is a grid with long pauses
