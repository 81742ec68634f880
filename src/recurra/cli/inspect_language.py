"""`recurra inspect RUN`, where the run is of a language model."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import parse, show_warnings
from recurra.tasks.language.inspect import inspect

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_inspection_parser()
    parser.add_argument(
        "--data", type=str | None, default=None, help="a text file; the run's validation text by default"
    )
    parser.add_argument(
        "--row", type=int | None, default=None, help="which stretch of the text to draw, from 1; the first by default"
    )
    options = parse(parser, arguments)
    show_warnings()
    print(inspect(Path(options.run), options.data, options.row, out_of(options)))
    return 0
