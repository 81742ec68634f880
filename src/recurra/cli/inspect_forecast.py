"""`recurra inspect RUN`, where the run is of a forecaster."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import parse, show_warnings
from recurra.tasks.forecast.inspect import inspect

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_inspection_parser()
    parser.add_argument(
        "--series", type=str | None, default=None, help="id of the series to look at; all by default, the first drawn"
    )
    options = parse(parser, arguments)
    show_warnings()
    print(inspect(Path(options.run), options.series, out_of(options)))
    return 0
