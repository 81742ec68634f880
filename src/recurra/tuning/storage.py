"""Where trials are recorded: a journal file, or any storage of Optuna."""

import fcntl
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.errors import MissingExtraError, ParameterError, RecurraError, RunError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import JournalFileOpenLock

__all__ = ["locked", "open_storage", "require_optuna", "storage_errors", "try_lock"]

_JOURNAL = "journal.log"


def require_optuna() -> None:
    """See that Optuna is installed, and keep it from logging. Raises MissingExtraError."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("Optuna", "tune", "a search for options (tune)") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_storage(url: str | None, folder: Path) -> "BaseStorage":
    """The storage at a URL: of a database (SQLAlchemy's form), redis:// or grpc://.

    Args:
        url: None: the journal file of the folder.
        folder: of the search.

    Raises:
        RunError: the storage cannot be reached, or the file cannot be written.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import GrpcStorageProxy, RDBStorage
    from optuna.storages.journal import JournalFileBackend, JournalRedisBackend, JournalStorage

    where = str(folder / _JOURNAL) if url is None else _without_password(url)
    with storage_errors(where), warnings.catch_warnings():
        # Optuna calls some of its storages experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        if url is None:
            path = folder / _JOURNAL
            return JournalStorage(JournalFileBackend(str(path), _journal_lock(path)))
        if url.startswith(("redis://", "rediss://")):
            return JournalStorage(JournalRedisBackend(url))
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").strip("/").partition(":")
            if not port.isdigit():
                raise ParameterError("storage", "grpc://HOST:PORT", url)
            proxy = GrpcStorageProxy(host=host, port=int(port))
            proxy.wait_server_ready(timeout=30)
            return proxy
        return RDBStorage(url)


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn errors of a storage into one line. Raises RunError."""
    try:
        yield
    except RecurraError:
        raise
    except json.JSONDecodeError as error:
        raise RunError(f"{where}: damaged ({error}); search into another folder") from error
    except (TimeoutError, ConnectionError) as error:
        raise RunError(f"storage: {where} cannot be reached ({error}); check the URL and its server") from error
    except OSError as error:
        raise RunError(f"{where}: cannot be read or written ({error.strerror or error})") from error
    except Exception as error:
        if not _is_of_storage(error):
            raise
        missing = error.__cause__ if isinstance(error.__cause__, ImportError) else None
        reason = str(missing or getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RunError(f"storage: {where} cannot be used ({reason}); check the URL and its server") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes; it ends with the process that holds it, however that ends. Raises RunError."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Take a lock among processes: an open file that holds it until it is closed. None: another process has it."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror})") from error


def _journal_lock(path: Path) -> "JournalFileOpenLock":
    from optuna.storages.journal import JournalFileOpenLock

    class JournalLock(JournalFileOpenLock):
        """A lock that ends with its process, where Optuna's waits half a minute for one that was killed.

        A line that a killed process, or a full disk, left half written is cut off: nobody else is writing.
        """

        def __init__(self) -> None:
            self._held = -1

        def acquire(self) -> bool:
            self._held = _open(path.with_suffix(".lock"))
            fcntl.flock(self._held, fcntl.LOCK_EX)
            _cut_half_line(path)
            return True

        def release(self) -> None:
            os.close(self._held)

    return JournalLock()


def _cut_half_line(path: Path) -> None:
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if not end:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _is_of_storage(error: Exception) -> bool:
    home = type(error).__module__.partition(".")[0]
    return home in ("sqlalchemy", "redis", "grpc", "optuna", "alembic") or isinstance(error, ImportError)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
