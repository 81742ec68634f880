"""`recurra train TASK`."""

import os
import shlex
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module

from recurra.errors import ParameterError, RecurraError, RunError

__all__ = ["run"]

_TASKS = {
    "classify": "recurra.cli.train_classify",
    "forecast": "recurra.cli.train_forecast",
    "language": "recurra.cli.train_language",
    "tag": "recurra.cli.train_tag",
}


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
    resume_command = command if "--resume" in rest else f"{command} --resume"
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return import_module(_TASKS[task]).run(rest, resume_command)
    return _run_as_one_of_several(task, rest, f"torchrun ... -m {resume_command}")


def _run_as_one_of_several(task: str, rest: list[str], resume_command: str) -> int:
    """Run as one of the processes that torchrun started: all train, the first speaks."""
    from recurra.training import joined

    try:
        with (
            joined() as processes,
            open(os.devnull, "w") as nowhere,
            nullcontext() if processes.is_first else redirect_stdout(nowhere),
        ):
            return import_module(_TASKS[task]).run(rest, resume_command)
    except RuntimeError as error:
        # torch has no class of its own for it.
        if isinstance(error, RecurraError) or not any(name in str(error).lower() for name in ("gloo", "nccl")):
            raise
        raise RunError(
            "contact with another process is lost; torchrun starts all of them again, from the last checkpoint, as "
            f"often as --max-restarts says ({str(error).splitlines()[0]})"
        ) from error
