"""Writing files atomically: a crash never leaves a partly written file."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from recurra.errors import CompilerError, RunError

__all__ = [
    "cache_folder",
    "compiled_folder",
    "hold_folder",
    "locked",
    "prepare_folder",
    "remove_leftovers",
    "write_atomically",
    "write_bytes",
    "write_text",
]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file atomically. After a crash the file has its old or its new content, never part of one.

    The content goes to a temporary file beside `path`, which is synced to disk and renamed.

    Args:
        path: the file to replace or create.
        write: a function that writes the content to the path it receives.

    Raises:
        RunError: the folder cannot be written, or the disk is full. The old file is unchanged.
    """
    aside = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        write(aside)
        _sync(aside)
        os.replace(aside, path)
        _sync(path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{path}: cannot be written ({reason}); what was there is unchanged") from error
    finally:
        with suppress(OSError):
            aside.unlink()


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically, in UTF-8. Raises RunError, see `write_atomically`."""
    write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8", newline="\n"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically. Raises RunError, see `write_atomically`."""
    write_atomically(path, lambda aside: aside.write_bytes(content))


@contextmanager
def hold_folder(folder: Path, does: str) -> Iterator[None]:
    """Keep other processes that call this from working in a folder, which must be there.

    Args:
        folder: to work in.
        does: what a process does there, for the message, such as "trains in it".

    Raises:
        RunError: another process holds the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder}: another process {does}; wait, or choose another folder") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock that a file stands for, and hold it. The file is made, and stays.

    Raises:
        RunError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed processes were writing into a folder by `write_atomically`. No other process writes there.

    Args:
        folder: of the files.
        name: of the file that they were writing; "*": of any.
    """
    for leftover in folder.glob(f".{name}.[0-9]*.tmp"):
        leftover.unlink(missing_ok=True)


def cache_folder(kind: str) -> Path:
    """Where files of this kind are cached: in `RECURRA_CACHE`, or in the user's cache folder.

    Raises:
        RunError: the user has no home folder.
    """
    if folder := os.environ.get("RECURRA_CACHE"):
        return Path(folder) / kind
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recurra" / kind
    except RuntimeError as error:
        raise RunError("there is no home folder for what is cached; set RECURRA_CACHE to a folder") from error


def compiled_folder(kind: str) -> Path:
    """Where what was compiled is cached: `RECURRA_CACHE`, or a folder of this kind in the user's cache folder.

    Raises:
        CompilerError: the user has no home folder.
    """
    if folder := os.environ.get("RECURRA_CACHE"):
        return Path(folder)
    try:
        return cache_folder(kind)
    except RunError as error:
        raise CompilerError("there is no home folder for what is compiled; set RECURRA_CACHE to a folder") from error


def prepare_folder(path: Path) -> None:
    """Create a folder and its parents, and check that it can be written.

    Raises:
        RunError: the folder cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # The name is new, so that threads and machines which share the folder do not remove each other's file.
        with TemporaryFile(dir=path, prefix=".probe."):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{path}: cannot be written ({reason}); choose another folder") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
