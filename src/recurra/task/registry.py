"""Tasks by name: one line a task, loaded on first use."""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recurra.errors import ParameterError, RunError
from recurra.options import closest

if TYPE_CHECKING:
    from recurra.task.estimator import Estimator

__all__ = ["find_task", "load", "register_tasks", "task", "task_names", "task_of_run"]

_import_paths: dict[str, str] = {}
_classes: dict[str, "type[Estimator[Any, Any, Any]]"] = {}

EstimatorT = TypeVar("EstimatorT", bound="Estimator[Any, Any, Any]")


def register_tasks(import_paths: Mapping[str, str]) -> None:
    """Register tasks by the import path of their class, "module:Class"."""
    _import_paths.update(import_paths)


def task(name: str) -> "Callable[[type[EstimatorT]], type[EstimatorT]]":
    """Register an estimator as a task: the command line and `load` then know it.

    Args:
        name: of the task, as in `recurra train NAME`.
    """

    def register(kind: "type[EstimatorT]") -> "type[EstimatorT]":
        kind.task = name
        _classes[name] = kind
        return kind

    return register


def task_names() -> list[str]:
    """The names of all registered tasks."""
    return sorted({*_import_paths, *_classes})


def find_task(name: str) -> "type[Estimator[Any, Any, Any]]":
    """The estimator of a task.

    Args:
        name: of the task, or "module:Class" for an estimator outside the package.

    Raises:
        ParameterError: there is no such task.
    """
    if name in _classes:
        return _classes[name]
    import_path = name if ":" in name else _import_paths.get(name)
    if import_path is None:
        raise ParameterError("task", f"one of {', '.join(task_names())}", name, closest(name, task_names()))
    module, _, attribute = import_path.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if name in _import_paths:
            raise
        raise ParameterError("task", "module:Class of an estimator that can be imported", name, f"({error})") from error
    if getattr(kind, "task", None) is None:
        raise ParameterError("task", "module:Class of a class with the decorator @task", name)
    return kind


def task_of_run(folder: str | Path) -> "type[Estimator[Any, Any, Any]]":
    """The estimator that wrote a run.

    Raises:
        RunError: the folder holds no run, or it is damaged.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise RunError(f"{folder}: not a run, as it has no run.json; give the folder that `recurra train` wrote")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return find_task(values["task"] if values["task"] in task_names() else values["class"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(f"{path}: damaged, or written by another version of Recurra ({error})") from error


def load(folder: str | Path) -> "Estimator[Any, Any, Any]":
    """Read a run of any task.

    Raises:
        RunError: the folder holds no run, or it is damaged.
    """
    return task_of_run(folder).load(folder)
