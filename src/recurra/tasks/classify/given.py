"""Items with labels from whatever a user has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recurra.data.files.csv_frame import csv_header
from recurra.data.files.text_file import read_text
from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.data.labelled.texts import LabelledTexts, read_labelled_texts
from recurra.errors import DataError, ParameterError

__all__ = ["Format", "Items", "Reading", "as_items", "split", "take", "values_of"]

Format = Literal["auto", "text", "ts", "arff", "npz", "series"]
Items = LabelledTexts | LabelledSeries

_SERIES_FILES = {".ts": "ts", ".arff": "arff", ".npz": "npz", ".parquet": "series", ".pq": "series"}
_TABLES = (".csv", ".tsv")
_JSON = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        format: "text" (a table of texts, or JSON lines), "ts", "arff", "npz" or "series" (a table with a row a step);
            "auto" goes by the file's name, and takes a table for texts where it has the text column.
        text_column: of texts.
        label_column: of the labels.
        id_column: of the series.
        time_column: of the steps.
        label_separator: between the labels of an item that may have several; None where each has one.
    """

    format: Format = "auto"
    text_column: str = "text"
    label_column: str = "label"
    id_column: str = "id"
    time_column: str = "time"
    label_separator: str | None = None


def as_items(
    data: Any, labels: Any = None, reading: Reading | None = None, texts: bool | None = None, needs_labels: bool = True
) -> Items:
    """Texts or series.

    Args:
        data: the path of a file; a list of texts; a list of arrays (T, C) or (T,), or one array (N, T, C); or what
            this function returned.
        labels: of each item of a list, a label or, with several, a list of labels.
        reading: of a file.
        texts: whether they must be texts or series; None for either.
        needs_labels: whether items without labels are refused.

    Raises:
        DataError: where the data cannot be used, or are not of the kind that they must be.
        ParameterError: for a combination that has no meaning.
    """
    found = _items(data, labels, reading or Reading(), texts, needs_labels)
    if texts is not None and isinstance(found, LabelledTexts) != texts:
        expected, got = ("texts", "series") if texts else ("series", "texts")
        raise DataError(f"{found.source}: expected {expected}, which the classifier was trained on, got {got}")
    return found


def values_of(items: Items) -> tuple[Any, ...]:
    """The texts, or the series, of items."""
    return items.texts if isinstance(items, LabelledTexts) else items.series


def take(items: Items, rows: Sequence[int]) -> Items:
    """The items with these numbers."""
    labels = None if items.labels is None else tuple(items.labels[row] for row in rows)
    if isinstance(items, LabelledTexts):
        return replace(items, texts=tuple(items.texts[row] for row in rows), labels=labels)
    kept = {name: tuple(getattr(items, name)[row] for row in rows) for name in ("series", "ids")}
    return replace(items, labels=labels, **kept)


def split(items: Items, share: float, seed: int) -> tuple[Items, Items | None]:
    """Items to train on, and a share of each label's to validate with, drawn with the seed.

    A label with a single item stays in training. With several labels an item, items are drawn whatever their labels,
    but some of another number of labels than one stay, by which training tells what it is about.
    """
    assert items.labels is not None
    generator = np.random.default_rng(seed)
    groups: dict[tuple[str, ...] | bool, list[int]] = {}
    several = any(len(labels) != 1 for labels in items.labels)
    for row, labels in enumerate(items.labels):
        groups.setdefault(len(labels) == 1 if several else labels, []).append(row)
    held = [
        int(row)
        for rows in groups.values()
        for row in generator.permutation(rows)[: min(round(share * len(rows)), len(rows) - 1)]
    ]
    if not held:
        return items, None
    rest = sorted(set(range(len(items))) - set(held))
    return take(items, rest), take(items, sorted(held))


def _items(data: Any, labels: Any, reading: Reading, texts: bool | None, needs_labels: bool) -> Items:
    if isinstance(data, LabelledTexts | LabelledSeries):
        if labels is not None:
            raise ParameterError("labels", f"None with {type(data).__name__}, which has them", type(labels).__name__)
        if needs_labels and data.labels is None:
            raise DataError(f"{data.source}: no labels are in it, expected those of each item.")
        return data
    if isinstance(data, str | Path):
        if labels is not None:
            raise ParameterError("labels", "None with a file, which has them in a column", type(labels).__name__)
        return _read(Path(data), reading, texts, needs_labels)
    values = list(data)
    if not values:
        raise DataError("the data: no items are in it.")
    given = None if labels is None else tuple(_labels(number, one) for number, one in enumerate(labels, start=1))
    if given is not None and len(given) != len(values):
        raise DataError(f"the data: {len(values)} items and {len(given)} labels; give one for each")
    if given is None and needs_labels:
        raise ParameterError("labels", "a label for each item", None)
    if isinstance(values[0], str):
        if not all(isinstance(value, str) for value in values):
            raise DataError("the data: some items are texts and others are not")
        for number, text in enumerate(values, start=1):
            _check_unicode(number, text)
        return LabelledTexts(tuple(values), given, "the data")
    series = tuple(_series(number, value) for number, value in enumerate(values, start=1))
    channels = tuple(str(k + 1) for k in range(series[0].shape[1]))
    if len({one.shape[1] for one in series}) > 1:
        raise DataError("the data: series of different numbers of channels")
    return LabelledSeries(series, given, channels, tuple(str(k + 1) for k in range(len(series))), "the data")


def _read(path: Path, reading: Reading, texts: bool | None, needs_labels: bool) -> Items:
    form = reading.format
    if form == "auto":
        form = _format_of(path, reading, texts)
    if form == "text":
        return read_labelled_texts(
            path, reading.text_column, reading.label_column, reading.label_separator, needs_labels
        )
    return read_labelled_series(
        path,
        "csv" if form == "series" else form,
        reading.label_column,
        reading.id_column,
        reading.time_column,
        reading.label_separator,
        needs_labels,
    )


def _format_of(path: Path, reading: Reading, texts: bool | None) -> Format:
    endings = [ending.lower() for ending in path.suffixes if ending.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    if ending in _SERIES_FILES:
        return _SERIES_FILES[ending]  # type: ignore[return-value]
    if ending in _TABLES:
        if texts is not None:
            return "text" if texts else "series"
        names, _ = csv_header(read_text(path))
        return "series" if reading.text_column not in names and reading.id_column in names else "text"
    # Where series are wanted and the name says nothing, their reader says what it can read.
    return "auto" if texts is False and ending not in _JSON else "text"


def _labels(number: int, given: Any) -> tuple[str, ...]:
    several = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    if any(label is None or isinstance(label, np.ndarray) or _is_nan(label) for label in several):
        raise DataError(f"the data, item {number}: expected a label, got {given!r}.")
    found = tuple(dict.fromkeys(_name(label) for label in several))
    if not all(label.strip() for label in found):
        raise DataError(f"the data, item {number}: expected a label, got {given!r}.")
    for label in found:
        _check_unicode(number, label)
    # A set is in another order in another process, and the data would not be known again.
    return tuple(sorted(found)) if isinstance(given, set | frozenset) else found


def _name(label: Any) -> str:
    """A label as the readers of files write it."""
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def _is_nan(label: Any) -> bool:
    """Whether it is what stands for a missing one in a table."""
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def _check_unicode(number: int, text: str) -> None:
    """Refuse what no file can hold. Raises DataError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the data, item {number}: half of a surrogate pair (\\ud800 to \\udfff) alone. Remove it."
        ) from None


def _series(number: int, given: Any) -> np.ndarray:
    try:
        values = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"the data, item {number}: expected a text or numbers, got {type(given).__name__}.") from None
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise DataError(f"the data, item {number}: expected numbers (T, C) or (T,), got the shape {values.shape}.")
    if np.isinf(values).any():
        raise DataError(f"the data, item {number}: a value is infinite; leave it out (nan) or correct it.")
    return values
