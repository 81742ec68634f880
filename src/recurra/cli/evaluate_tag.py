"""`recurra evaluate RUN`, where the run is of a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.parsing import make_parser, names, parse, show_warnings
from recurra.data.conll import ConllColumns
from recurra.tasks.tag.commands import evaluate

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra evaluate` with these arguments."""
    parser = make_parser(
        "recurra evaluate", "Compare a tagger with known tags, beside the most frequent tag of each word."
    )
    parser.add_argument("run", type=str, help="folder that `recurra train` wrote")
    parser.add_argument("--data", type=str, required=True, help="file of tagged sentences")
    parser.add_argument(
        "--format", type=Literal["auto", "conllu", "columns"], default="auto", help="of the file; by its name"
    )
    parser.add_argument("--columns", type=names, default=(), help="names of its columns in order")
    parser.add_argument(
        "--word_column", type=str | None, default=None, help="name or number of the words' column; as in training"
    )
    parser.add_argument(
        "--tag_column", type=str | None, default=None, help="name or number of the tags' column; as in training"
    )
    parser.add_argument("--out", type=str | None, default=None, help="where tables go; RUN/evaluation")
    options = parse(parser, arguments)
    show_warnings()
    print(
        evaluate(
            Path(options.run),
            options.data,
            ConllColumns(options.columns, options.word_column, options.tag_column),
            options.format,
            None if options.out is None else Path(options.out),
        )
    )
    return 0
