"""Labelled texts from a table or from JSON lines."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from recurra.data.files.delimited import delimited_rows, missing_column
from recurra.data.files.text_file import check_file, read_text
from recurra.data.labelled.labels import Labels, LabelType, check_separator, item_labels
from recurra.errors import DataError, ParameterError

__all__ = ["LabelledTexts", "Labels", "read_labelled_texts"]

_JSON = (".jsonl", ".ndjson")
_ENDINGS = (".csv", ".tsv", *_JSON)


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their labels.

    Attributes:
        texts: one or more texts.
        labels: the labels of each text. None: there are no labels.
        source: the path, for messages.
        label_type: what the labels were before they became text.

    Raises:
        DataError: there are no texts, or the numbers of texts and labels differ.
    """

    texts: tuple[str, ...]
    labels: tuple[Labels, ...] | None = None
    source: str = "the texts"
    label_type: LabelType = "text"

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError(f"{self.source}: no texts, expected at least one.")
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise DataError(f"{self.source}: {len(self.texts)} texts and {len(self.labels)} labels, expected as many.")

    def __len__(self) -> int:
        return len(self.texts)

    def digest(self) -> str:
        """A checksum of all texts and labels, in hexadecimal."""
        digest = sha256(json.dumps(self.labels).encode())
        for text in self.texts:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)} ".encode() + data)
        return digest.hexdigest()


def read_labelled_texts(
    path: str | Path,
    text_column: str = "text",
    label_column: str = "label",
    label_separator: str | None = None,
    needs_labels: bool = True,
) -> LabelledTexts:
    """Read texts and labels. The extension of the file name, perhaps followed by `.gz`, decides the format.

    .csv: a table with a header. The delimiter is the most frequent one in the header of comma, semicolon and tab.
    .tsv: a table with a header, separated by tabs.
    .jsonl, .ndjson: one JSON object per line. The label is text, a number, true or false, or a list of these.

    Fields may be in double quotes (see `delimited_rows`). Spaces around labels are removed. Texts are not changed.

    Args:
        path: the file.
        text_column: the column, or JSON key, of the texts.
        label_column: the column, or JSON key, of the labels.
        label_separator: the text between the labels of one text (multi-label). None: each text has one label. JSON
            lists need no separator.
        needs_labels: whether each text must have a label and must not be blank. If false, blank texts stay, and the
            labels are None if one is missing.

    Raises:
        DataError: the file cannot be read, a column, text or label is missing, or a row does not fit. The message
            names file and line.
        ParameterError: the separator is empty, or texts and labels have the same column.
    """
    check_separator(label_separator)
    if text_column == label_column:
        raise ParameterError("label_column", f"another column than text_column ({text_column!r})", label_column)
    name = Path(path).name.lower().removesuffix(".gz")
    if not name.endswith(_ENDINGS):
        check_file(path)
        raise DataError(f"{path}: not a file of labelled texts, expected a name ending in {', '.join(_ENDINGS)} (.gz).")
    content, source = read_text(path), str(path)
    if name.endswith(_JSON):
        texts, fields, lines = _from_json(content, source, text_column, label_column, needs_labels)
    else:
        delimiter = "\t" if name.endswith(".tsv") else _delimiter(content)
        texts, fields, lines = _from_table(content, delimiter, source, text_column, label_column, needs_labels)
    if needs_labels:
        blank = next((k for k, text in enumerate(texts) if not text.strip()), None)
        if blank is not None:
            raise DataError(f"{source}, line {lines[blank]}: the text is blank. Remove the row.")
    labels = None
    if fields is not None:
        labels = item_labels(fields, label_separator, needs_labels, lambda k: f"{source}, line {lines[k]}")
    return LabelledTexts(tuple(texts), labels, source)


_Columns = tuple[list[str], list[str | Labels | None] | None, list[int]]


def _delimiter(content: str) -> str:
    header = content.lstrip("\n").split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _from_table(content: str, delimiter: str, source: str, text: str, label: str, needs_labels: bool) -> _Columns:
    """The texts, the label fields, and the line of each."""
    table = delimited_rows(content, delimiter, source)
    at = table.position(text, "--text-column")
    texts = [row[at] for row in table.rows]
    if not needs_labels and label not in table.names:
        return texts, None, table.lines
    at = table.position(label, "--label-column")
    return texts, [row[at] for row in table.rows], table.lines


def _from_json(content: str, source: str, text: str, label: str, needs_labels: bool) -> _Columns:
    texts, fields, lines = [], [], []
    for line_number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        location = f"{source}, line {line_number}"
        item = _json_object(line, location)
        for name, option, needed in ((text, "--text-column", True), (label, "--label-column", needs_labels)):
            if needed and name not in item:
                raise missing_column(location, name, tuple(item), option)
        if not isinstance(item[text], str):
            raise DataError(f"{location}: {text} is {_shown(item[text])}, expected text in quotes.")
        texts.append(item[text])
        fields.append(_json_labels(item.get(label), f"{location}: {label}"))
        lines.append(line_number)
    return texts, fields, lines


def _json_object(line: str, location: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
        if "\\u" in line:
            # JSON's \u can write half of a surrogate pair, which UTF-8 cannot encode.
            json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(f"{location}: the text has half of a surrogate pair (\\ud800 to \\udfff). Remove it.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{location}: not JSON ({error}), expected an object on each line.") from None
    if not isinstance(item, dict):
        raise DataError(f"{location}: {_shown(item)}, expected a JSON object on each line.")
    return item


def _json_labels(value: Any, what: str) -> str | Labels | None:
    if isinstance(value, list):
        return tuple(_json_label(part, what) for part in value)
    return None if value is None else _json_label(value, what)


def _json_label(value: Any, what: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) and value == value and value not in (float("inf"), -float("inf")):
        return str(value)
    raise DataError(f"{what} is {_shown(value)}, expected text, a number, true or false, or a list of these.")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
