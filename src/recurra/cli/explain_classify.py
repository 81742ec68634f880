"""`recurra explain RUN`, where the run is of a classifier."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recurra.cli.classify_options import add_reading, as_unicode, reading_of
from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.errors import ParameterError
from recurra.tasks.classify.commands import explain
from recurra.tasks.classify.run import ClassifyRun

__all__ = ["run"]

_COLORS = ("auto", "always", "never")


def run(arguments: Sequence[str]) -> int:
    """Run `recurra explain` with these arguments."""
    parser = make_parser(
        "recurra explain",
        "What each token of a text, or step of a series, adds to a label: blue for it, orange against it.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train classify` wrote")
    parser.add_argument("--text", type=str | None, default=None, help="to explain")
    parser.add_argument("--data", type=str | None, default=None, help="or a file, of which one item is explained")
    parser.add_argument("--row", type=int, default=1, help="which item of the file, from 1")
    parser.add_argument("--label", type=str | None, default=None, help="which label; the likeliest by default")
    parser.add_argument("--color", type=str, default="auto", help="auto (in a terminal), always or never")
    parser.add_argument(
        "--out", type=str | None, default=None, help="page (.html) or picture (.png); RUN/explanation.html or .png"
    )
    add_reading(parser, as_in_training=True)
    options = parse(parser, arguments)
    if options.color not in _COLORS:
        raise ParameterError("color", f"one of {', '.join(_COLORS)}", options.color)
    show_warnings()
    in_terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    folder = Path(options.run)
    print(
        explain(
            folder,
            None if options.text is None else as_unicode(options.text),
            options.data,
            options.row,
            None if options.label is None else as_unicode(options.label),
            options.color == "always" or (options.color == "auto" and in_terminal),
            None if options.out is None else Path(options.out),
            reading_of(options, ClassifyRun.read(folder).reading),
        )
    )
    return 0
