"""`recurra evaluate RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.cli.tag_options import add_file_options, columns_of
from recurra.tasks.tag.commands import evaluate

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser(
        "recurra evaluate", "Compare a tagger with known tags, beside the most frequent tag of each word."
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str, required=True, help="file of tagged sentences")
    add_file_options(parser)
    parser.add_argument("--out", type=str | None, default=None, help="where tables go; RUN/evaluation")
    options = parse(parser, arguments)
    show_warnings()
    print(
        evaluate(
            Path(options.run),
            options.data,
            columns_of(options),
            options.format,
            None if options.out is None else Path(options.out),
        )
    )
    return 0
