"""`recurra inspect RUN`, where the run is of a classifier."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.classify_options import add_reading, as_unicode, reading_of
from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import parse, show_warnings
from recurra.tasks.classify.inspect import inspect
from recurra.tasks.classify.run import ClassifyRun

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_inspection_parser()
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        help="file of texts or of series, labelled or not; required, as a run keeps none",
    )
    parser.add_argument(
        "--row",
        type=int | None,
        default=None,
        help="which item to draw, from 1; by default a text of about 15 tokens, or the first series",
    )
    parser.add_argument(
        "--label",
        type=str | None,
        default=None,
        help="whose log-odds are attributed; those of the likeliest by default",
    )
    add_reading(parser, as_in_training=True)
    options = parse(parser, arguments)
    show_warnings()
    folder = Path(options.run)
    reading = reading_of(options, ClassifyRun.read(folder).reading)
    label = None if options.label is None else as_unicode(options.label)
    print(inspect(folder, options.data, options.row, label, reading, out_of(options)))
    return 0
