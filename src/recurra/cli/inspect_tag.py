"""`recurra inspect RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import parse, show_warnings
from recurra.cli.tag_options import add_file_options, columns_of
from recurra.tasks.tag.inspect import inspect

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra inspect` with these arguments."""
    parser = make_inspection_parser()
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        help="file of sentences: CoNLL-U, CoNLL columns, or plain text (.txt); required, as a run keeps none",
    )
    parser.add_argument(
        "--row", type=int | None, default=None, help="which sentence to draw, from 1; one of about 15 words by default"
    )
    parser.add_argument(
        "--word", type=int | None, default=None, help="which of its words, from 1; the middle one by default"
    )
    add_file_options(parser, plain_text=True)
    options = parse(parser, arguments)
    show_warnings()
    print(
        inspect(
            *(Path(options.run), options.data, options.row, options.word),
            columns=columns_of(options),
            kind=options.format,
            out=out_of(options),
        )
    )
    return 0
