"""The .ts format of labelled series, which the UCR and UEA archives, sktime and aeon use."""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from recurra.data.labelled.series_cases import SeriesCases, numbers, side_by_side
from recurra.errors import DataError

__all__ = ["cases_from_ts"]

_COMMENTS = ("#", "%")


@dataclass
class _Header:
    dimensions: int | None = None
    labelled: bool | None = None
    has_targets: bool = False
    classes: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def cases_from_ts(text: str, source: str, label_separator: str | None = None) -> SeriesCases:
    """Read a .ts file. A line is `dimension 1 : dimension 2 : ... : class`, with commas between values.

    A dimension is a channel. `?` and `NaN` are missing values; the class `?` is missing. The header fields
    `@dimensions`, `@univariate`, `@classLabel` and `@targetLabel` are used; the data itself shows all else. With
    `@targetLabel true` a number stands in place of the class.

    Args:
        text: the content of the file.
        source: the name of the file in messages.
        label_separator: the text between the classes of a series (multi-label). None: each series has one class.

    Raises:
        DataError: the file does not follow the format, or has time stamps. The message names the line.
    """
    header = _Header()
    cases = SeriesCases([], None, [])
    fields: list[str | None] = []
    begun = False
    for line_number, raw in enumerate(text.split("\n"), start=1):
        line, location = raw.strip(), f"{source}, line {line_number}"
        if not line or line.startswith(_COMMENTS):
            continue
        if not begun and line.lower() == "@data":
            if header.labelled is None:
                way_out = "Write @classLabel true and the classes, or @classLabel false if the series have none."
                raise DataError(f"{location}: no @classLabel before @data. {way_out}")
            begun = True
        elif not begun and line.startswith("@"):
            _read_header(header, line, location)
        elif not begun:
            raise DataError(f"{location}: {line[:40]!r} before @data, expected a line that begins with @ or #.")
        else:
            parts = _parts(header, line, location)
            if header.labelled:
                fields.append(_class(header, parts.pop(), label_separator, location))
            values = [_values(part, f"{location}, dimension {k}") for k, part in enumerate(parts, start=1)]
            cases.series.append(side_by_side(values, location, "dimension"))
            cases.locations.append(location)
    if not cases.series:
        raise DataError(f"{source}: no {'series after @data' if begun else '@data section'}. Is it a .ts file?")
    if not header.labelled:
        return cases
    label_type = "target" if header.has_targets else "class"
    return SeriesCases(cases.series, fields, cases.locations, label_type=label_type)


def _read_header(header: _Header, line: str, location: str) -> None:
    keyword, *words = line.split()
    keyword, first = keyword.lower(), words[0].lower() if words else ""
    if keyword in ("@timestamps", "@univariate", "@classlabel", "@targetlabel") and first not in ("true", "false"):
        raise DataError(f"{location}: {line[:40]!r}, expected {keyword} true or {keyword} false.")
    if keyword == "@timestamps" and first == "true":
        raise _time_stamps(location)
    if keyword == "@targetlabel" and first == "true":
        header.labelled = header.has_targets = True
    elif keyword == "@classlabel" and not header.has_targets:
        header.labelled, header.classes = first == "true", tuple(words[1:])
        header.known = frozenset(header.classes)
    elif keyword == "@univariate" and first == "true" and header.dimensions is None:
        header.dimensions = 1
    elif keyword in ("@dimensions", "@dimension"):
        if not first.isdecimal() or int(first) < 1:
            raise DataError(f"{location}: {line[:40]!r}, expected a whole number of at least 1.")
        header.dimensions = int(first)


def _time_stamps(location: str) -> DataError:
    return DataError(
        f"{location}: values with time stamps are not read. Write the values alone (@timeStamps false), or a .csv file "
        "with one row per step and the columns id, time, label and one for each dimension."
    )


def _parts(header: _Header, line: str, location: str) -> list[str]:
    if line.startswith("("):
        raise _time_stamps(location)
    parts = line.split(":")
    if header.dimensions is None:
        header.dimensions = max(len(parts) - bool(header.labelled), 1)
    if len(parts) != header.dimensions + bool(header.labelled):
        wanted = f"{header.dimensions} dimension{'s' * (header.dimensions > 1)}"
        raise DataError(
            f"{location}: {len(parts)} parts between colons, expected "
            + (f"{wanted} and the class." if header.labelled else f"{wanted}, and no class without @classLabel true.")
        )
    return parts


def _values(part: str, location: str) -> np.ndarray:
    return numbers(part.split(",") if part.strip() else [], location)


def _class(header: _Header, field: str, separator: str | None, location: str) -> str | None:
    field = field.strip()
    if field == "?":
        return None
    for name in [field] if separator is None else field.split(separator):
        name = name.strip()
        if name and header.classes and name not in header.known:
            close = get_close_matches(name, header.classes, n=1)
            raise DataError(
                f"{location}: the class {name[:40]!r} is not among those of @classLabel."
                + (f" Did you mean {close[0]!r}?" if close else "")
                + " Correct one of them."
            )
    return field
