"""Options that the classifier's commands share."""

from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from recurra.tasks.classify import Reading

__all__ = ["add_reading", "as_unicode", "reading_of"]

_FIELDS = {
    "text_column": "name of the texts' column, or key in JSON lines",
    "label_column": "name of the labels' column, or key in JSON lines",
    "id_column": "name of the column that tells series apart, in a table with a row a step",
    "time_column": "name of the column of the steps' times there, if any",
}


def add_reading(parser: ArgumentParser, as_in_training: bool) -> None:
    """Add how files are read; where nothing is said as in training, or the defaults of `Reading`."""
    plain = Reading()
    ending = "; as in training" if as_in_training else ""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--format",
        type=Literal["auto", "text", "ts", "arff", "npz", "series"] | None,
        default=None if as_in_training else "auto",
        help="text: a table (CSV, TSV) or JSON lines of texts; series: a table with a row a step; by the file's name"
        + ending,
    )
    for name, words in _FIELDS.items():
        default = None if as_in_training else getattr(plain, name)
        group.add_argument(f"--{name}", type=str | None, default=default, help=words + ending)
    group.add_argument(
        "--label_separator",
        type=str | None,
        default=None,
        help="what stands between the labels of an item, where it may have several, as |" + ending,
    )


def as_unicode(text: str) -> str:
    """A text from the command line; \ufffd for bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def reading_of(options: Namespace, plain: Reading | None) -> Reading:
    """The reading that options say, and otherwise this one."""
    base = plain or Reading()
    given = {name: getattr(options, name) for name in Reading.__dataclass_fields__}
    return Reading(**{name: getattr(base, name) if value is None else value for name, value in given.items()})
