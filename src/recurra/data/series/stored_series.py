"""Series of large tables, read once and mapped from a file into the memory of each process."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any

from recurra.data.files.array_file import create_arrays, layout_of, map_arrays
from recurra.data.files.stored import checksum, made_once, read_json, stored_path
from recurra.data.files.text_file import check_file
from recurra.data.series.frequency import Frequency
from recurra.data.series.read import read_series
from recurra.data.series.series_in_pieces import series_in_pieces
from recurra.data.series.series_set import Columns, Series, SeriesSet, StoredSeries
from recurra.data.series.store import series_to_arrays, set_of, set_values, split_series
from recurra.data.series.table_pieces import WholeTableNeededError
from recurra.errors import DataError
from recurra.files import write_atomically, write_text

__all__ = ["series_stored_before", "stored_series"]

_log = logging.getLogger("recurra.data")
_FORMAT = 1  # of the file, and of how tables are read


def stored_series(path: str | Path, columns: Columns, frequency: Frequency | None) -> SeriesSet:
    """The series of a file as `read_series` reads them, mapped from a file in the user's cache folder.

    The file is made once: another content of the table, or another way to read it, has another one. Of several
    processes one makes it, and the others wait. A file that is not whole, or whose checksum is not the one it had, is
    made anew.

    Args:
        path: of the table.
        columns: see `read_series`.
        frequency: see `read_series`.

    Returns:
        The set; its arrays cannot be written to.

    Raises:
        DataError: the table has a fault, cannot be read, or changed while it was read.
        RunError: the cache cannot be written.
    """
    path = check_file(path)
    about = {
        "path": str(path.resolve()),
        "checksum": checksum(path),
        "columns": asdict(columns),
        "frequency": None if frequency is None else str(frequency),
    }
    stored = _stored(about)
    values = stored["values"] | {"source": str(path)}
    return set_of(values, StoredSeries(about, values, stored["digest"], partial(_mapped, about, stored)))


def series_stored_before(values: dict[str, Any], about: dict[str, Any], digest: str) -> StoredSeries:
    """The series of a `StoredSeries` with these values, of another process.

    They are looked for when one of them is asked for. If they are not in the user's cache folder, the table is read
    anew, which raises DataError if it is not there or has changed.
    """
    return StoredSeries(about, values, digest, partial(_mapped, about))


def _mapped(about: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> tuple[Series, ...]:
    if stored is None or not Path(stored["file"]).is_file():
        try:
            stored = _stored(about)
        except DataError as error:
            raise DataError(f"{error} Put it back, or name another table (--data).") from error
    return split_series(stored["values"], map_arrays(Path(stored["file"]), stored["layout"]))


def _stored(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the stored series: `values`, `digest`, `layout` and `checksum`, and their `file`."""
    table = Path(about["path"])
    # The ending of its name says how a table is read.
    file = stored_path("series", [_FORMAT, about["checksum"], about["columns"], about["frequency"], table.suffixes])

    def find() -> dict[str, Any] | None:
        stored = read_json(file.with_suffix(".json"))
        if stored is None or not file.is_file() or checksum(file) != stored["checksum"]:
            return None
        return stored | {"file": str(file)}

    def make() -> None:
        if not table.is_file() or checksum(table) != about["checksum"]:
            raise DataError(f"{table}: the file that the series were read from is not there, or has changed.")
        _log.info("reading %s once, into %s", table, file)
        _write(table, about, file)

    return made_once(file, find, make)


def _write(table: Path, about: Mapping[str, Any], file: Path) -> None:
    columns = Columns.from_json(about["columns"])
    frequency = None if about["frequency"] is None else Frequency.parse(about["frequency"])
    stored: dict[str, Any] = {}

    def write(aside: Path) -> None:
        try:
            data, layout = series_in_pieces(table, columns, frequency, aside, file.with_suffix(".rows"))
        except WholeTableNeededError as error:
            _log.warning("%s: the whole table is read into memory, once: %s", table, error)
            data = read_series(table, columns, frequency)
            arrays = series_to_arrays(data)
            layout = layout_of(arrays)
            for name, room in create_arrays(aside, layout).items():
                room[:] = arrays[name]
        if checksum(table) != about["checksum"]:
            raise DataError(f"{table}: the file changed while it was read. Start again once nothing writes to it.")
        stored.update(values=set_values(data), digest=data.digest(), layout=layout)
        with aside.open("rb") as content:
            stored["checksum"] = file_digest(content, "sha256").hexdigest()

    write_atomically(file, write)
    write_text(file.with_suffix(".json"), json.dumps(stored, ensure_ascii=False) + "\n")
