"""`recurra predict RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.parsing import make_parser, parse, show_warnings
from recurra.cli.tag_options import add_file_options, columns_of
from recurra.tasks.tag.commands import predict

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser("recurra predict", "Tag a file, and write it with its tags in its own format.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str, required=True, help="CoNLL-U, CoNLL columns, or plain text (.txt)")
    parser.add_argument("--out", type=str | None, default=None, help="file to write; RUN/tagged/NAME by default")
    add_file_options(parser, plain_text=True)
    parser.add_argument(
        "--scheme",
        type=Literal["iob1", "iob2", "iobes"] | None,
        default=None,
        help="to write entities in; the file's own, where it has tags, else that of training",
    )
    parser.add_argument("--confidence", action="store_true", help="also write the confidence of each tag, 0 to 1")
    options = parse(parser, arguments)
    show_warnings()
    print(
        predict(
            Path(options.run),
            options.data,
            None if options.out is None else Path(options.out),
            columns_of(options),
            options.format,
            options.scheme,
            options.confidence,
        )
    )
    return 0
