"""ARFF files of series with a class, Weka's format (https://waikato.github.io/weka-wiki/formats_and_processing/arff)."""

import re
from dataclasses import dataclass, field

import numpy as np

from recurra.data.labelled.series_cases import SeriesCases, numbers, side_by_side, without_padding
from recurra.errors import DataError

__all__ = ["cases_from_arff"]

_QUOTED = r"'[^'\\]*+(?:\\.[^'\\]*+)*+'|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{'\"][^\s{{]*)\s*(.*)", re.IGNORECASE)
_NOMINAL = re.compile(r"\{(.*)\}\s*(?:%.*)?")
_FIELD = re.compile(rf"\s*(?:({_QUOTED})\s*|([^,'\"][^,]*|))(,|$)")
_SPARSE = re.compile(rf"\s*(\d+)\s+(?:({_QUOTED})|([^,'\"\s][^,]*?))\s*(?:,|$)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_NUMERIC = ("numeric", "real", "integer")


@dataclass(frozen=True)
class _Attribute:
    name: str
    kind: str
    values: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


@dataclass
class _Header:
    attributes: list[_Attribute] = field(default_factory=list)
    within: str | None = None  # the relational attribute whose inner attributes are being declared


def cases_from_arff(text: str, source: str, label_column: str = "label", needs_labels: bool = True) -> SeriesCases:
    """Read the series of an ARFF file, one per row.

    In a file of one channel, each numeric attribute is a step. In a file of several channels, one relational attribute
    holds them all, in quotes: one channel per line, the two characters `\\n` between lines, commas between values.
    Steps at the end of a row that are missing (`?`) in all channels are padding and are cut off, unless all steps are
    missing. A sparse row, `{INDEX VALUE, ...}` with indices from 0, leaves out zeros and the first of the classes.

    Args:
        text: the content of the file.
        source: the name of the file in messages.
        label_column: the attribute of the class. If there is no such attribute, the last one is used.
        needs_labels: whether the file must have labels. If false, a file whose last attribute is numeric has no labels.

    Raises:
        DataError: the file does not follow the format, or has attributes of other types. The message names the line.
    """
    header = _Header()
    cases = SeriesCases([], [], [])
    fields: list[str | None] = []
    label: int | None = None
    begun = relational = False
    for line_number, raw in enumerate(text.split("\n"), start=1):
        line, location = raw.strip(), f"{source}, line {line_number}"
        if not line or line.startswith("%"):
            continue
        if begun:
            row = _row(header, line, location)
            if label is not None:
                fields.append(_class(header.attributes[label], row.pop(label), location))
            cases.series.append(
                _channels(row[0], location) if relational else without_padding(numbers(row, location)[:, None])
            )
            cases.locations.append(location)
        elif line.lower() == "@data":
            begun = True
            label = _class_position(header, source, label_column, needs_labels)
            relational = any(attribute.kind == "relational" for attribute in header.attributes)
        else:
            _read_header(header, line, location)
    if not cases.series:
        raise DataError(f"{source}: no {'rows after @data' if begun else '@data section'}. Is it an ARFF file?")
    return SeriesCases(cases.series, None if label is None else fields, cases.locations)


def _read_header(header: _Header, line: str, location: str) -> None:
    keyword = line.split(maxsplit=1)[0].lower()
    if keyword == "@end" and header.within is not None:
        header.within = None
    elif keyword == "@attribute":
        attribute = _attribute(line, location)
        if header.within is not None:
            if attribute.kind not in _NUMERIC:
                raise DataError(
                    f"{location}: the attribute {attribute.name!r} of {header.within!r} is {attribute.kind}, expected "
                    "numeric."
                )
            return
        header.attributes.append(attribute)
        header.within = attribute.name if attribute.kind == "relational" else None
    elif keyword != "@relation":
        raise DataError(f"{location}: {line[:40]!r}, expected @relation, @attribute, @end or @data.")


def _attribute(line: str, location: str) -> _Attribute:
    match = _ATTRIBUTE.fullmatch(line)
    name, kind = (_plain(match[1]), match[2]) if match else ("", "")
    if nominal := _NOMINAL.fullmatch(kind):
        values = _fields(nominal[1], location)
        held = tuple(value for value in values if value is not None)
        return _Attribute(name, "nominal", held, frozenset(held))
    kind = kind.split(maxsplit=1)[0].lower() if kind else ""
    if kind not in (*_NUMERIC, "string", "date", "relational"):
        raise DataError(
            f"{location}: {line[:60]!r}, expected @attribute NAME numeric, string, relational or {{CLASS, CLASS}}. Put "
            "a name with spaces in quotes."
        )
    return _Attribute(name, kind)


def _class_position(header: _Header, source: str, label_column: str, needed: bool) -> int | None:
    """The index of the class attribute, after a check of the other attributes. None: the file has no class."""
    attributes = header.attributes
    if header.within is not None:
        raise DataError(f"{source}: the relational attribute {header.within!r} has no @end before @data.")
    named = [k for k, attribute in enumerate(attributes) if attribute.name == label_column]
    position = named[0] if named else len(attributes) - 1
    if not named and (not attributes or attributes[-1].kind not in ("nominal", "string")):
        if needed:
            last = f"{attributes[-1].name!r} ({attributes[-1].kind})" if attributes else "none"
            raise DataError(
                f"{source}: the last attribute is {last}, expected the class, as {{CLASS, CLASS}}. Name another with "
                "--label-column."
            )
        position = None
    others = [attribute for k, attribute in enumerate(attributes) if k != position]
    wrong = [attribute for attribute in others if attribute.kind not in (*_NUMERIC, "relational")]
    if wrong:
        raise DataError(
            f"{source}: the attribute {wrong[0].name!r} is {wrong[0].kind}, expected numeric ones beside the class. "
            "Remove it; or if it is the class, name it with --label-column."
        )
    kinds = {attribute.kind for attribute in others}
    if not others or ("relational" in kinds and len(others) > 1):
        raise DataError(
            f"{source}: {len(others)} attributes beside the class, expected numeric ones, or one that is relational."
        )
    return position


def _row(header: _Header, line: str, location: str) -> list[str | None]:
    if line.startswith("{"):
        return _sparse_row(header, line, location)
    row = _fields(line, location)
    if len(row) != len(header.attributes):
        raise DataError(f"{location}: {len(row)} values, expected {len(header.attributes)}, one for each @attribute.")
    return row


def _sparse_row(header: _Header, line: str, location: str) -> list[str | None]:
    """The values of `{INDEX VALUE, ...}`. One that is left out is 0, or the first of the values of a class."""
    values = [_left_out(attribute) for attribute in header.attributes]
    if not line.endswith("}"):
        raise DataError(f"{location}: a sparse row without }} at its end. Write each row on a line of its own.")
    content, at, last = line[1:-1].strip(), 0, -1
    while at < len(content):
        match = _SPARSE.match(content, at)
        if match is None:
            got = content[at : at + 40].strip()
            raise DataError(f"{location}: {got!r}, expected the index of an attribute, from 0, a space and its value.")
        index, at = int(match[1]), match.end()
        if not last < index < len(values):
            raise DataError(
                f"{location}: the index {index}, expected more than {last} and less than {len(values)}. Indices count "
                "the attributes from 0, in order."
            )
        values[index] = _plain(match[2]) if match[2] else None if match[3] == "?" else match[3]
        last = index
    return values


def _left_out(attribute: _Attribute) -> str | None:
    """The value of an attribute that a sparse row does not name."""
    if attribute.kind in _NUMERIC:
        return "0"
    return attribute.values[0] if attribute.values else None


def _fields(line: str, location: str) -> list[str | None]:
    """The values between commas. Missing values are None."""
    if "'" not in line and '"' not in line:
        return [None if value == "?" else value for value in (part.strip() for part in line.split(","))]
    values: list[str | None] = []
    at = 0
    while True:
        match = _FIELD.match(line, at)
        if match is None:
            got = line[at : at + 40].strip()
            raise DataError(f"{location}: {got!r}, expected a value, or one in quotes, and a comma after it.")
        value = (match[2] or "").strip()
        values.append(_plain(match[1]) if match[1] else None if value == "?" else value)
        if not match[3]:
            return values
        at = match.end()


def _plain(value: str) -> str:
    """A value without its quotes and escapes."""
    if value[:1] not in ("'", '"'):
        return value
    return _ESCAPE.sub(lambda match: _escaped(match[1]), value[1:-1]) if "\\" in value else value[1:-1]


def _escaped(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)


def _channels(value: str | None, location: str) -> np.ndarray:
    if value is None:
        raise DataError(f"{location}: the relational value is missing, expected a channel a line. Remove the row.")
    lines = value.removesuffix("\n").split("\n")
    channels = [numbers(line.split(","), f"{location}, channel {k}") for k, line in enumerate(lines, start=1)]
    return without_padding(side_by_side(channels, location, "channel"))


def _class(attribute: _Attribute, value: str | None, location: str) -> str | None:
    if value is not None and attribute.values and value not in attribute.known:
        shown = ", ".join(attribute.values[:10]) + ("..." if len(attribute.values) > 10 else "")
        raise DataError(f"{location}: {attribute.name} is {value[:40]!r}, expected one of {shown}.")
    return value
