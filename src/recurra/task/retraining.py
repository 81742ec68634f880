"""The command that trains an estimator like one that is trained, on other data."""

import shlex
from typing import Any

from recurra.task.estimator import Estimator

__all__ = ["retraining_command"]


def retraining_command(estimator: Estimator[Any, Any, Any], data: str) -> str:
    """The command line that trains with the options of a trained estimator, and as its files were read.

    Args:
        estimator: whose training has ended.
        data: the path of a file.
    """
    reading = estimator.fitted.reading
    options = estimator.changed() | ({} if reading is None else reading.changed())
    folder = f"{estimator.folder or f'runs/{estimator.task}'}-retrained"
    words = ["recurra", "train", estimator.task, "--data", data, "--out", folder]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)
