"""Commands on a run: which task it is of is read from its `run.json`."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from recurra.errors import ParameterError, RunError

__all__ = ["is_derived", "run_by_task"]


def run_by_task(command: str, tasks: Sequence[str], arguments: Sequence[str]) -> int:
    """Run `recurra.cli.COMMAND_TASK`, the task being that of the run named.

    Args:
        command: such as "evaluate".
        tasks: that have this command.
        arguments: after the command.

    Raises:
        ParameterError: where no run is named.
        RunError: where there is no run, or one of a task without this command.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(
            f"usage: recurra {command} RUN [OPTIONS]\n\nRUN is a folder that `recurra train` wrote; the options depend"
        )
        print(f"on its task ({', '.join(tasks)}): recurra {command} RUN --help")
        return 0
    named = [argument for argument in arguments if not argument.startswith("-")]
    if not named:
        expected = "a folder that `recurra train` wrote"
        raise ParameterError("run", expected, "nothing", f"As in: recurra {command} runs/{tasks[0]}")
    from recurra.training import read_run

    # Options may come first, and their values are not to be told from the run but by looking.
    folder = next((name for name in named if (Path(name) / "run.json").is_file()), named[0])
    task = read_run(Path(folder))["task"]
    if task not in tasks:
        raise RunError(f"{folder}: a run of task {task!r}, and `recurra {command}` is for {', '.join(tasks)}")
    return import_module(f"recurra.cli.{command}_{task}").run(arguments)


def is_derived(arguments: Sequence[str]) -> bool:
    """Whether the run that is named is of a task with one class."""
    for name in arguments:
        path = Path(name) / "run.json"
        if path.is_file():
            try:
                return '"class"' in path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return False
    return False
