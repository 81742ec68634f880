"""When a run may be resumed: with the same options and the same data; and when a folder can hold a new run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.errors import ParameterError, RunError
from recurra.task.budget import BUDGET

__all__ = ["check_new", "check_same_data", "check_same_options", "files_of", "training_files"]

# A run may be resumed with other values of these.
_RESUMABLE = (*BUDGET, "device", "keep")


def check_new(folder: Path) -> None:
    """Refuse a folder whose run a new one would overwrite. Raises RunError."""
    from recurra.training import has_run
    from recurra.training.run_files import RunFiles

    if has_run(folder):
        raise RunError(
            f"{folder}: already holds a run. Resume it (--resume), choose another folder (--out), or delete it first."
        )
    # One that was stopped before its first validation has no best weights yet.
    RunFiles(folder, keep=1).check_new()


def check_same_options(saved: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse options that differ from those of a run, by name. Raises RunError."""
    different = [name for name, value in now.items() if saved[name] != value and name not in _RESUMABLE]
    if different:
        raise RunError(
            f"{folder}: cannot resume with other {', '.join(different)}; use the same values, or train into "
            "another folder"
        )


def check_same_data(saved: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse data whose checksums differ from those of a run. Raises RunError."""
    names = {"digest": "data", "validation_digest": "validation data"}
    different = [words for name, words in names.items() if saved[name] != now[name]]
    if different:
        raise RunError(
            f"{folder}: cannot resume with other {' and '.join(different)}; use the same, or train into another folder"
        )


def files_of(data: Any) -> Any:
    """What `read` takes to read examples again: the source, or the files that it has several of; [] if it has none."""
    files = getattr(data, "files", data.source)
    paths = [files] if isinstance(files, str) else files or []
    return files if paths and all(Path(path).exists() for path in paths) else []


def training_files(saved: Mapping[str, Any], validation: Any) -> tuple[Any, Any]:
    """The files that a run was trained on, and the validation data: those given, or else the run's own.

    Args:
        saved: what the run says of its data.
        validation: what the caller passed; None: the run's own.

    Raises:
        ParameterError: the run was trained on examples, which it does not hold.
    """
    files = saved["files"]
    if not files:
        expected = "the examples that the run was trained on, which it does not hold"
        raise ParameterError("data", expected, None, "Pass them to `fit` again, in Python.")
    if validation is None:
        validation = saved["validation"]
        if validation == []:
            expected = "the examples that the run was validated with, which it does not hold"
            raise ParameterError("validation", expected, None, "Pass them to `fit` again, in Python.")
    return files, validation
