"""The training log: a CSV file, and TensorBoard where asked for."""

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from recurra.errors import MissingExtraError, RunError
from recurra.files import write_text

__all__ = ["TrainingLog", "read_log"]

_COLUMNS: tuple[str, ...] = ("step", "loss", "validation_loss", "learning_rate", "grad_norm", "seconds")


class TrainingLog:
    """Rows of figures by step, appended to `path`; with `tensorboard`, also events in that folder.

    On resuming at a step, rows after it are dropped: they will be written again.

    Raises:
        MissingExtraError: where TensorBoard is asked for and not installed.
        RunError: where the file cannot be written.
    """

    def __init__(self, path: Path, resume_step: int = 0, tensorboard: Path | None = None) -> None:
        self._events = _open_events(tensorboard, resume_step) if tensorboard else None
        kept = [row for row in read_log(path) if int(row["step"]) <= resume_step] if resume_step else []
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_text(path, text.getvalue())
        self._path = path
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, _COLUMNS, lineterminator="\n")

    def write(self, step: int, **figures: float | None) -> None:
        """Append one row; `figures` are of the columns, the absent and the None left blank."""
        row = {name: _number(value) for name, value in figures.items() if value is not None}
        try:
            self._writer.writerow({"step": step, **row})
            self._file.flush()
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written ({error.strerror})") from error
        if self._events is not None:
            for name, value in figures.items():
                if value is not None:
                    self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files; a row that could not be written has been reported by `write`."""
        with suppress(OSError):
            self._file.close()
        if self._events is not None:
            self._events.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """The rows of a training log, oldest first; a last row cut short by a crash is left out."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return list(csv.DictReader(whole.splitlines()))


def _number(value: float) -> str:
    return f"{value:.6g}"


def _open_events(folder: Path, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "a TensorBoard log (--tensorboard)") from error
    return SummaryWriter(str(folder), purge_step=resume_step + 1 if resume_step else None)
