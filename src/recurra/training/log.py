"""The training's tables: CSV files that grow by a row, and TensorBoard where asked for."""

import csv
import io
import os
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from recurra.errors import MissingExtraError, RunError
from recurra.files import write_text
from recurra.training.health import layer_of

__all__ = ["TABLES", "TrainingLog", "read_log"]

# By file, what its columns hold. `log.csv` and the two after it are the same for the same training, however often it
# was interrupted; `time.csv` is what cannot be.
TABLES = MappingProxyType(
    {
        "log": ("step", "loss", "validation_loss", "learning_rate", "grad_norm", "clipped", "skipped"),
        "health": ("step", "layer", "parameter", "grad_norm", "weight_norm", "update_ratio"),
        "skipped": ("step", "batches", "loss", "grad_norm", "layer", "parameter"),
        "time": ("step", "seconds"),
    }
)


class TrainingLog:
    """Rows of figures by step, appended to the tables in `folder`; with `tensorboard`, also events.

    On resuming at a step, rows after it are dropped: they will be written again.

    Raises:
        MissingExtraError: if TensorBoard is asked for and not installed.
        RunError: if a file cannot be written.
    """

    def __init__(self, folder: Path, resume_step: int = 0, tensorboard: bool = False) -> None:
        self._events = _open_events(folder / "tensorboard", resume_step) if tensorboard else None
        self._tables = {name: _Table(folder / f"{name}.csv", columns, resume_step) for name, columns in TABLES.items()}

    def write(self, table: str, step: int, **figures: float | str | None) -> None:
        """Append a row to a table; `figures` are of its columns, the absent and the None left blank."""
        self._tables[table].write(step, figures)

    def write_skipped(self, step: int, batches: str, loss: float, grad_norm: float, parameters: list[str]) -> None:
        """Append a row for each parameter whose gradient was not finite, or one where all were."""
        for parameter in parameters or [""]:
            layer = layer_of(parameter)
            self.write(
                "skipped", step, batches=batches, loss=loss, grad_norm=grad_norm, layer=layer, parameter=parameter
            )

    def show(self, step: int, **figures: float | None) -> None:
        """Send figures to TensorBoard, where it was asked for."""
        if self._events is not None:
            for name, value in figures.items():
                if value is not None:
                    self._events.add_scalar(name, value, step)

    def sync(self) -> None:
        """See that every row so far outlives a power cut."""
        for table in self._tables.values():
            table.sync()

    def close(self) -> None:
        """Close the files; a row that could not be written has been reported by `write`."""
        for table in self._tables.values():
            table.close()
        if self._events is not None:
            self._events.close()


class _Table:
    def __init__(self, path: Path, columns: tuple[str, ...], resume_step: int) -> None:
        retained = [row for row in read_log(path) if int(row["step"]) <= resume_step] if resume_step else []
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(retained)
        write_text(path, text.getvalue())
        self._path = path
        try:
            self._file = path.open("a", newline="", encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error
        self._writer = csv.DictWriter(self._file, columns, lineterminator="\n")

    def write(self, step: int, figures: dict[str, float | str | None]) -> None:
        row = {name: _text(value) for name, value in figures.items() if value is not None}
        try:
            self._writer.writerow({"step": step, **row})
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _failed(self, error: OSError) -> RunError:
        return RunError(f"{self._path}: cannot be written ({error.strerror})")


def read_log(path: Path) -> list[dict[str, str]]:
    """The rows of a table of a training, oldest first; a last row cut short by a crash is left out."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return list(csv.DictReader(whole.splitlines()))


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _open_events(folder: Path, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "a TensorBoard log (--tensorboard)") from error
    return SummaryWriter(str(folder), purge_step=resume_step + 1 if resume_step else None)
