"""`recurra train TASK`."""

import shlex
from collections.abc import Sequence
from importlib import import_module

from recurra.errors import ParameterError

__all__ = ["run"]

_TASKS = {"forecast": "recurra.cli.train_forecast"}


def run(arguments: Sequence[str]) -> int:
    """Run `recurra train` with these arguments."""
    if not arguments:
        raise ParameterError(
            "task", f"one of {', '.join(_TASKS)}", "nothing", "As in: recurra train forecast --data FILE"
        )
    if arguments[0] in ("-h", "--help"):
        print(f"usage: recurra train TASK [OPTIONS]\n\ntasks: {', '.join(_TASKS)}\n")
        print("recurra train TASK --help shows a task's options.")
        return 0
    task, *rest = arguments
    if task not in _TASKS:
        raise ParameterError("task", f"one of {', '.join(_TASKS)}", task, "As in: recurra train forecast --data FILE")
    command = shlex.join(["recurra", "train", *arguments])
    return import_module(_TASKS[task]).run(rest, command if "--resume" in rest else f"{command} --resume")
