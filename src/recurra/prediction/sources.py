"""The tables that a pattern names: their paths or URLs, and how they are opened."""

import glob
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from recurra.data.files.text_file import check_file
from recurra.errors import DataError, MissingExtraError

__all__ = ["TableFile", "are_tables", "find_tables", "open_bytes"]

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class TableFile:
    """A table.

    Attributes:
        path: of the file, or its URL.
        kind: of its content; a `csv` file may be separated by tabs, and be gzipped.
        size: in bytes.
        modified: when it was changed last, in nanoseconds since 1970.
    """

    path: str
    kind: Literal["csv", "parquet"]
    size: int
    modified: int


def are_tables(data: object) -> bool:
    """Whether data are a folder, a pattern or a URL, and not a single file or examples."""
    if not isinstance(data, str | Path):
        return False
    name = str(data)
    return _is_url(name) or Path(name).is_dir() or (glob.has_magic(name) and not Path(name).exists())


def find_tables(data: str | Path | Sequence[str | Path]) -> list[TableFile]:
    """The tables in the order of their paths, as text; those of several patterns in the order of the patterns.

    Args:
        data: the path of a file or of a folder, a pattern such as `folder/*.csv` (`**` for folders in folders), a URL
            of an object store, which may end in a pattern, or several of these.

    Raises:
        DataError: there is no such file, one is not a table, or both CSV and Parquet files are there.
        MissingExtraError: a URL needs the extra ray.
    """
    named = [data] if isinstance(data, str | Path) else list(data)
    tables = [table for one in named for table in _find(str(one))]
    first = tables[0]
    other = next((table for table in tables if table.kind != first.kind), None)
    if other is not None:
        raise DataError(f"{other.path}: expected tables of one kind, as {first.path}. Name those of one, as in *.csv.")
    return tables


def open_bytes(table: TableFile) -> BinaryIO:
    """The content of a table, decompressed. Raises DataError if it cannot be opened."""
    is_gzipped = table.path.lower().endswith(".gz")
    try:
        if not _is_url(table.path):
            return cast(BinaryIO, (gzip.open if is_gzipped else open)(table.path, "rb"))
        filesystem, path = _filesystem(table.path)
        stream = filesystem.open_input_file(path)
    except OSError as error:
        raise DataError(f"{table.path}: cannot be read ({error.strerror or error}).") from None
    return cast(BinaryIO, gzip.open(stream) if is_gzipped else stream)


def _find(name: str) -> list[TableFile]:
    found = _find_remote(name) if _is_url(name) else _find_local(name)
    if not found:
        raise DataError(f"{name}: no file there ends in {', '.join((*_CSV, *_PARQUET))}. Check the path.")
    return found


def _find_local(name: str) -> list[TableFile]:
    path = Path(name)
    if path.is_dir():
        paths = [str(one) for one in path.iterdir() if _kind(one.name)]
    elif path.exists() or not glob.has_magic(name):
        paths = [str(check_file(path))]
    else:
        paths = [one for one in glob.glob(name, recursive=True) if Path(one).is_file()]
        if not paths:
            raise DataError(f"{name}: no file fits this pattern. Check the path.")
    tables = []
    for one in sorted(paths):
        check_file(one)
        status = os.stat(one)
        tables.append(TableFile(one, _kind_or_refuse(one), status.st_size, status.st_mtime_ns))
    return tables


def _find_remote(url: str) -> list[TableFile]:
    """The tables that a URL names: a file, a folder, or those that fit a pattern."""
    start = url[: next((at for at, sign in enumerate(url) if sign in "*?["), len(url))]
    is_pattern = start != url
    filesystem, path = _filesystem(start.rpartition("/")[0] if is_pattern else url)
    from pyarrow.fs import FileSelector, FileType

    try:
        infos = [filesystem.get_file_info(path)]
        if is_pattern or infos[0].type == FileType.Directory:
            infos = filesystem.get_file_info(FileSelector(path, recursive="**" in url))
    except OSError as error:
        raise DataError(f"{url}: cannot be reached ({str(error).splitlines()[0]}).") from None
    scheme = url.partition("://")[0]
    files = {f"{scheme}://{info.path}": info for info in infos if info.type == FileType.File}
    names = [name for name in files if fnmatchcase(name, url)] if is_pattern else list(files)
    if not is_pattern and infos[0].type == FileType.NotFound:
        raise DataError(f"{url}: no such file. Check the URL.")
    kept = [name for name in sorted(names) if is_pattern or name == url or _kind(name)]
    return [TableFile(one, _kind_or_refuse(one), files[one].size or 0, files[one].mtime_ns or 0) for one in kept]


def _filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, as Ray finds it, and the path there."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise MissingExtraError("pyarrow", "ray", f"reading {url.partition('://')[0]}:// URLs") from error
    try:
        return FileSystem.from_uri(url)
    except (ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"{url}: not a URL that can be read ({str(error).splitlines()[0]}).") from None


def _is_url(name: str) -> bool:
    return "://" in name


def _kind(name: str) -> Literal["csv", "parquet"] | None:
    lower = name.lower()
    return "csv" if lower.endswith(_CSV) else "parquet" if lower.endswith(_PARQUET) else None


def _kind_or_refuse(name: str) -> Literal["csv", "parquet"]:
    kind = _kind(name)
    if kind is None:
        raise DataError(f"{name}: not a table of rows, expected a name ending in {', '.join((*_CSV, *_PARQUET))}.")
    return kind
