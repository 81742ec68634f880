"""`recurra predict RUN`, where the run is of a classifier."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.classify_options import add_reading, as_unicode, reading_of
from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.errors import ParameterError
from recurra.tasks.classify.commands import predict, predict_text
from recurra.tasks.classify.run import ClassifyRun

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser("recurra predict", "Classify texts or series: a table of labels and how sure they are.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str | None, default=None, help="file of texts or series, with labels or without")
    parser.add_argument("--text", type=str | None, default=None, help="a text to classify at once")
    parser.add_argument("--out", type=str | None, default=None, help="CSV file; RUN/predictions/NAME.csv by default")
    parser.add_argument("--probabilities", action="store_true", help="also write the probability of every label")
    add_reading(parser, as_in_training=True)
    options = parse(parser, arguments)
    show_warnings()
    if (options.data is None) == (options.text is None):
        raise ParameterError("data", "--data FILE or --text TEXT, one of the two", options.data)
    folder = Path(options.run)
    if options.text is not None:
        if options.out is not None:
            raise ParameterError("out", "--data FILE, whose labels are written there, and not --text", options.out)
        print(predict_text(folder, as_unicode(options.text)))
        return 0
    reading = reading_of(options, ClassifyRun.read(folder).reading)
    out = None if options.out is None else Path(options.out)
    print(predict(folder, options.data, out, reading, options.probabilities))
    return 0
