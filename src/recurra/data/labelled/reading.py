"""How files of labelled items are read, as options."""

from typing import Literal

from recurra.options import Options, option

__all__ = ["ItemReading"]


class ItemReading(Options):
    """How a file of labelled texts or series is read."""

    format: Literal["auto", "text", "ts", "arff", "npz", "series", "ucr"] = option(
        default="auto",
        help="text: a table (CSV, TSV) or JSON lines of texts; series: a table with a row a step; ucr: a line a "
        "series, its label first; auto: by the file's name and columns",
    )
    text_column: str = option(default="text", help="name of the texts' column, or key in JSON lines")
    label_column: str = option(default="label", help="name of the labels' column, or key in JSON lines")
    id_column: str = option(default="id", help="name of the column that tells series apart, in a table of series")
    time_column: str = option(default="time", help="name of the column of the steps' times there, if any")
    times: bool = option(
        default=False,
        help="whether the network reads when steps are: of a table of series the time since the step before, from its "
        "time column; of other files and of arrays the last channel is that time",
    )
    label_separator: str | None = option(
        default=None, help="text between the labels of an item that may have several, such as |"
    )
