"""`recurra inspect RUN`, where the run is of a translator."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import parse, show_warnings
from recurra.tasks.translate.inspect import inspect

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_inspection_parser()
    parser.add_argument(
        "--data",
        type=str,
        nargs="+",
        default=[],
        help="two text files, source and target line by line, or one table of two columns (TSV), plain or .gz; "
        "required, as a run keeps none",
    )
    parser.add_argument(
        "--row",
        type=int | None,
        default=None,
        help="which pair to draw, by its line, from 1; one of about 15 subwords by default",
    )
    parser.add_argument(
        "--subword",
        type=int | None,
        default=None,
        help="which subword of its translation, from 1; the last that is not punctuation by default",
    )
    options = parse(parser, arguments)
    show_warnings()
    print(inspect(Path(options.run), options.data, options.row, options.subword, out_of(options)))
    return 0
