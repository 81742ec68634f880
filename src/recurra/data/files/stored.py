"""What is computed once from large files, into files of the user's cache folder, for all processes of a machine."""

import json
import os
import time
from collections.abc import Callable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from recurra.errors import DataError
from recurra.files import cache_folder, locked, prepare_folder, remove_leftovers, write_text

__all__ = ["checksum", "fact_of_file", "made_once", "read_json", "stored_path"]

# A fact about a file is computed anew after so many seconds: a disk may damage what no process has written.
_TRUSTED = 600.0
# A file that was written this shortly before it was read may have changed again within a tick of the clock. Some file
# systems keep times of one or two seconds.
_SETTLED = 2.0


def stored_path(kind: str, about: list[Any]) -> Path:
    """The file of the user's cache that holds what was computed from these JSON values.

    Args:
        kind: of what is stored: a folder.
        about: all that the content depends on.

    Raises:
        RunError: the user has no home folder.
    """
    key = sha256(json.dumps(about).encode()).hexdigest()
    return cache_folder(kind) / key[:2] / key[2:]


def made_once(path: Path, find: Callable[[], Any], make: Callable[[], object]) -> Any:
    """What `find` returns: at once, or after this or another process has made it. The others wait.

    Args:
        path: of the file that is made.
        find: None, if the file is not there or is damaged.
        make: writes it.

    Raises:
        RunError: the cache cannot be written.
    """
    if (result := find()) is None:
        prepare_folder(path.parent)
        with locked(path.with_suffix(".lock")):
            if (result := find()) is None:
                remove_leftovers(path.parent, path.name)
                make()
                result = find()
    return result


def fact_of_file(path: str | Path, name: str, compute: Callable[[], Any]) -> Any:
    """A fact about the content of a file, which takes reading it: one process reads, and the others wait.

    It holds while the file is the same one, by its inode, size and times, and for ten minutes.

    Args:
        path: of the file.
        name: of the fact.
        compute: the fact, as JSON values.

    Raises:
        DataError: the file cannot be read.
        RunError: the cache cannot be written.
    """
    record = stored_path("facts", [name, str(Path(path).resolve())]).with_suffix(".json")

    def find() -> list[Any] | None:
        known, now = read_json(record), time.time()
        if not known or known["state"] != _state(path) or not 0 <= now - known["at"] < _TRUSTED:
            return None
        is_settled = known["at"] - known["state"][-1] / 1e9 > _SETTLED
        return [known["fact"]] if is_settled else None

    if (result := find()) is None:
        prepare_folder(record.parent)
        with locked(record.with_suffix(".lock")):
            if (result := find()) is None:
                remove_leftovers(record.parent, record.name)
                values = {"state": _state(path), "at": time.time()}
                result = [compute()]
                write_text(record, json.dumps({**values, "fact": result[0]}) + "\n")
    return result[0]


def checksum(path: str | Path) -> str:
    """The SHA-256 of a file, which one process of the machine computes; see `fact_of_file`."""

    def compute() -> str:
        try:
            with open(path, "rb") as file:
                return file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None

    return fact_of_file(path, "checksum", compute)


def read_json(path: Path) -> Any:
    """The JSON values of a file; None: it is not there, or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _state(path: str | Path) -> list[int]:
    try:
        values = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    return [values.st_dev, values.st_ino, values.st_size, values.st_mtime_ns, values.st_ctime_ns]
