"""`recurra evaluate RUN`, where the run is of a classifier."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.classify_options import add_reading, reading_of
from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.tasks.classify.commands import evaluate
from recurra.tasks.classify.run import ClassifyRun

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser(
        "recurra evaluate",
        "Compare a classifier with known labels, beside a baseline: accuracy, F1, confusion, calibration, and how "
        "early it could have decided.",
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str, required=True, help="file of labelled texts or series")
    parser.add_argument("--out", type=str | None, default=None, help="where tables and pictures go; RUN/evaluation")
    add_reading(parser, as_in_training=True)
    options = parse(parser, arguments)
    show_warnings()
    folder = Path(options.run)
    reading = reading_of(options, ClassifyRun.read(folder).reading)
    print(evaluate(folder, options.data, reading, None if options.out is None else Path(options.out)))
    return 0
