"""Labelled series as the UCR archive publishes them: no header, and on each line a label and the values of a series."""

import logging
from collections.abc import Sequence

from recurra.data.labelled.series_cases import SeriesCases, numbers, without_padding
from recurra.errors import DataError

__all__ = ["cases_from_ucr", "is_ucr"]

_log = logging.getLogger(__name__)


def is_ucr(text: str) -> bool:
    """Whether the first line is a label and two numbers or more: no header, as in a table, has numbers alone."""
    first, *values = _fields(text.lstrip("\n").split("\n", 1)[0])
    return bool(first.strip()) and len(values) > 1 and all(map(_is_number, values))


def cases_from_ucr(text: str, source: str, label_column: str = "label") -> SeriesCases:
    """Read a line a series of one channel, the label first. Tabs, commas, semicolons or spaces separate fields.

    `?` and `NaN` are missing values, and those at the end of a line are padding, which is cut off. The label `?` is
    missing. Labels that are whole numbers are read alike in every form (1, 1.0, 1.0000000e+00). A first line that
    begins with the name of the label column is a header and is skipped.

    Args:
        text: the content of the file.
        source: the name of the file in messages.
        label_column: what the first line begins with if it is a header.

    Raises:
        DataError: a value is not a number, or a label is missing or a fraction. The message names the line.
    """
    cases = SeriesCases([], [], [])
    labels: list[str | None] = []
    for line_number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        location = f"{source}, line {line_number}"
        first, *values = _fields(line)
        if not labels and first.strip() == label_column:
            continue
        labels.append(_label(first, location))
        if not values:
            raise DataError(f"{location}: a label alone, expected the values of its series after it.")
        cases.series.append(without_padding(numbers(values, location)[:, None]))
        cases.locations.append(location)
    if not labels:
        raise DataError(f"{source}: the file holds no series.")
    _log.info("%s: read as in the UCR archive, a line a series, its label first and then its values", source)
    return SeriesCases(cases.series, labels, cases.locations)


def _fields(line: str) -> Sequence[str]:
    separator = next((mark for mark in "\t,;" if mark in line), None)
    return line.split(separator) or [""]


def _label(field: str, location: str) -> str | None:
    field = field.strip()
    if field == "?":
        return None
    try:
        value = float(field)
    except ValueError:
        return field
    if value.is_integer():
        return str(int(value))
    raise DataError(
        f"{location}: the first field is {field}, expected a label (text or a whole number) before the values of the "
        "series. Write ? where it is not known."
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return field.strip() == "?"
    return True
