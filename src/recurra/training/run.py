"""A run: the folder a training writes. Its `run.json` holds the task, the version, and what the task stores there."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import recurra
from recurra.errors import RunError
from recurra.files import prepare_folder, write_text

__all__ = ["has_run", "read_run", "write_run"]

_NAME = "run.json"
_WEIGHTS = "best.safetensors"
_FORMAT = 1


def has_run(folder: Path) -> bool:
    """Whether a folder holds a run: what it is, and weights."""
    return (folder / _NAME).is_file() and (folder / _WEIGHTS).is_file()


def write_run(folder: Path, task: str, values: dict[str, Any]) -> None:
    """Write a run's `run.json`, whole or not at all.

    Raises:
        RunError: if the folder cannot be written.
    """
    prepare_folder(folder)
    header = {
        "format": _FORMAT,
        "task": task,
        "recurra": recurra.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(folder / _NAME, json.dumps({**header, **values}, indent=1) + "\n")


def read_run(folder: Path, task: str | None = None) -> dict[str, Any]:
    """The content of a run's `run.json`.

    Args:
        folder: of the run.
        task: what it must be a run of; None for any.

    Raises:
        RunError: if there is no run, it is damaged, of another task, or of another version's format.
    """
    path = folder / _NAME
    if not path.is_file():
        raise RunError(f"{folder}: not a run, as it has no {_NAME}; give the folder that `recurra train` wrote")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RunError(f"{path}: damaged ({error})") from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise RunError(f"{path}: not of format {_FORMAT}; damaged, or written by another version of Recurra")
    if task is not None and values.get("task") != task:
        raise RunError(f"{folder}: a run of task {values.get('task')!r}, expected {task!r}")
    return values
