"""Writing files so that nothing is lost or left half-written."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recurra.errors import RunError

__all__ = ["prepare_folder", "write_atomically", "write_text"]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file whole: written aside, synced, renamed; a crash leaves the old or the new, never a part.

    Args:
        path: the file.
        write: writes the content to the path it is given.

    Raises:
        RunError: where the folder cannot be written or the disk is full; the old file is untouched.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
    """Replace a text file whole, in UTF-8; raises as `write_atomically`."""
    write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def prepare_folder(path: Path) -> None:
    """Make a folder and its parents, and see that it can be written.

    Raises:
        RunError: where it cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{path}: cannot be written ({reason}); choose another folder") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
