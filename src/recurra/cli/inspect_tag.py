"""`recurra inspect RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.inspection_options import make_inspection_parser, out_of
from recurra.cli.parsing import names, parse, show_warnings
from recurra.data.conll import ConllColumns
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
    parser.add_argument(
        "--format",
        type=Literal["auto", "conllu", "columns", "text"],
        default="auto",
        help="of the file; by its name, where .txt is plain text with a sentence a line, words between spaces",
    )
    parser.add_argument("--columns", type=names, default=(), help="names of its columns in order")
    parser.add_argument(
        "--word_column", type=str | None, default=None, help="name or number of the words' column; as in training"
    )
    parser.add_argument(
        "--tag_column", type=str | None, default=None, help="name or number of the tags' column; as in training"
    )
    options = parse(parser, arguments)
    show_warnings()
    columns = ConllColumns(options.columns, options.word_column, options.tag_column)
    print(
        inspect(
            *(Path(options.run), options.data, options.row, options.word),
            columns=columns,
            kind=options.format,
            out=out_of(options),
        )
    )
    return 0
