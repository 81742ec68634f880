"""The options that the commands of taggers share: how their files are read."""

from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from recurra.cli.parsing import names
from recurra.data.text.conll import ConllColumns

__all__ = ["add_file_options", "columns_of"]


def add_file_options(parser: ArgumentParser, plain_text: bool = False) -> None:
    """Add --format, which may be plain text too, --columns, --word_column and --tag_column."""
    kinds = Literal["auto", "conllu", "columns", "text"] if plain_text else Literal["auto", "conllu", "columns"]
    by_name = "of the file; by its name"
    if plain_text:
        by_name += ", where .txt is plain text with a sentence a line, words between spaces"
    parser.add_argument("--format", type=kinds, default="auto", help=by_name)
    parser.add_argument("--columns", type=names, default=(), help="names of its columns in order")
    for what in ("word", "tag"):
        parser.add_argument(
            f"--{what}_column",
            type=str | None,
            default=None,
            help=f"name or number of the {what}s' column; as in training",
        )


def columns_of(options: Namespace) -> ConllColumns:
    """What those options say of the file's columns."""
    return ConllColumns(options.columns, options.word_column, options.tag_column)
