"""`recurra inspect RUN`."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.errors import RunError
from recurra.training import read_run

__all__ = ["run"]

_BY_TASK = {"forecast": "recurra.tasks.forecast.inspect"}


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_parser(
        "recurra inspect",
        "Look inside a trained run: gradients through time, memory, dynamics, gates and attribution, as one HTML page "
        "with pictures (PNG) and tables (CSV) beside it.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument(
        "--series", type=str | None, default=None, help="id of the series to look at; all by default, the first drawn"
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="where page, pictures and tables go; RUN/inspection"
    )
    options = parse(parser, arguments)
    show_warnings()
    folder = Path(options.run)
    task = read_run(folder).get("task")
    if task not in _BY_TASK:
        raise RunError(f"{folder}: a run of task {task!r}; `recurra inspect` knows {', '.join(_BY_TASK)}")
    inspect = import_module(_BY_TASK[task]).inspect
    print(inspect(folder, series=options.series, out=None if options.out is None else Path(options.out)))
    return 0
