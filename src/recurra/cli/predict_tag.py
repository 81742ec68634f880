"""`recurra predict RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.parsing import make_parser, names, parse, show_warnings
from recurra.data.conll import ConllColumns
from recurra.tasks.tag.commands import predict

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra predict` with these arguments."""
    parser = make_parser("recurra predict", "Tag a file, and write it with its tags in its own format.")
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str, required=True, help="CoNLL-U, CoNLL columns, or plain text (.txt)")
    parser.add_argument("--out", type=str | None, default=None, help="file to write; RUN/tagged/NAME by default")
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
            ConllColumns(options.columns, options.word_column, options.tag_column),
            options.format,
            options.scheme,
            options.confidence,
        )
    )
    return 0
