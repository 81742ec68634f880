"""Labelled texts or series from whatever a user has: a file, lists, arrays, or frames."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.csv_frame import csv_header
from recurra.data.files.text_file import read_text
from recurra.data.labelled.labels import LabelType
from recurra.data.labelled.reading import ItemReading
from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.data.labelled.texts import LabelledTexts, read_labelled_texts
from recurra.data.labelled.ucr_file import is_ucr
from recurra.errors import DataError, ParameterError

__all__ = ["Items", "as_items", "label_name", "split", "split_rows", "take", "values_of"]

Items = LabelledTexts | LabelledSeries

_SERIES_FILES = {".ts": "ts", ".arff": "arff", ".npz": "npz", ".parquet": "series", ".pq": "series"}
_TABLES = (".csv", ".tsv")
_JSON = (".jsonl", ".ndjson")
_COLLECTIONS = (list, tuple, set, frozenset)


def as_items(
    data: Any,
    labels: Any = None,
    reading: ItemReading | None = None,
    texts: bool | None = None,
    needs_labels: bool = True,
    targets: bool = False,
) -> Items:
    """Texts or series.

    Args:
        data: the path of a file; a list, or a Series of pandas or polars, of texts, each a string or a list of words;
            a list of arrays (T, C) or (T,), an
            array (N, T, C) or (N, T), or a frame whose rows are series (N, T); a frame with a column of texts, and
            perhaps one of labels; or what this function returned.
        labels: of each item, a label or, with several, a list of labels.
        reading: how a file is read.
        texts: whether they must be texts or series; None for either.
        needs_labels: whether items without labels are refused.
        targets: whether labels are numbers to predict; else they are classes.

    Raises:
        DataError: the data cannot be used, or are not of the kind that they must be.
        ParameterError: a combination has no meaning.
    """
    items = _items(data, labels, reading or ItemReading(), texts, needs_labels)
    if items.label_type == "target" and not targets:
        raise DataError(
            f"{items.source}: this file holds a regression problem, with a number as the target of each series "
            f"(@targetLabel): recurra train regress --data {items.source}. To classify instead, divide the range of "
            "the numbers into classes (@classLabel)."
        )
    if items.label_type == "class" and targets:
        raise DataError(
            f"{items.source}: this file holds a classification problem, with a class of each series (@classLabel): "
            f"recurra train classify --data {items.source}. If its classes are numbers to predict, write @targetLabel "
            "true in place of @classLabel."
        )
    if texts is not None and isinstance(items, LabelledTexts) != texts:
        expected, got = ("texts", "series") if texts else ("series", "texts")
        raise DataError(f"{items.source}: expected {expected}, which the classifier was trained on, got {got}")
    return items


def label_name(label: Any) -> str:
    """A label as text, as the readers of files write it; a whole number is written alike as int and as float."""
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def values_of(items: Items) -> tuple[Any, ...]:
    """The texts, or the series, of items."""
    return items.texts if isinstance(items, LabelledTexts) else items.series


def take(items: Items, rows: Sequence[int]) -> Items:
    """The items in these rows."""
    labels = None if items.labels is None else tuple(items.labels[row] for row in rows)
    if isinstance(items, LabelledTexts):
        return replace(items, texts=tuple(items.texts[row] for row in rows), labels=labels)
    selected = {name: tuple(getattr(items, name)[row] for row in rows) for name in ("series", "ids")}
    return replace(items, labels=labels, **selected)


def split(items: Items, fraction: float, seed: int) -> tuple[Items, Items | None]:
    """Items to train on, and a fraction of each label's to validate with, sampled with the seed.

    A label with a single item stays in training. With several labels an item, items are sampled whatever their labels,
    but some of another number of labels than one stay, by which training tells that items are multi-label.
    """
    assert items.labels is not None
    rest, held = split_rows(items.labels, fraction, seed)
    return (take(items, rest), take(items, held)) if held else (items, None)


def split_rows(labels: Sequence[tuple[str, ...]], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The rows to train on and to validate with, in order; see `split`."""
    generator = np.random.default_rng(seed)
    groups: dict[tuple[str, ...] | bool, list[int]] = {}
    multi_label = any(len(one) != 1 for one in labels)
    for row, one in enumerate(labels):
        groups.setdefault(len(one) == 1 if multi_label else one, []).append(row)
    held = [
        int(row)
        for rows in groups.values()
        for row in generator.permutation(rows)[: min(round(fraction * len(rows)), len(rows) - 1)]
    ]
    return sorted(set(range(len(labels))) - set(held)), sorted(held)


def _items(data: Any, labels: Any, reading: ItemReading, texts: bool | None, needs_labels: bool) -> Items:
    if isinstance(data, LabelledTexts | LabelledSeries):
        if labels is not None:
            raise ParameterError("y", f"None with {type(data).__name__}, which has them", type(labels).__name__)
        if needs_labels and data.labels is None:
            raise DataError(f"{data.source}: no labels are in it, expected those of each item.")
        return data
    if isinstance(data, str | Path):
        if labels is not None:
            raise ParameterError("y", "None with a file, which has them in a column", type(labels).__name__)
        return _read(Path(data), reading, texts, needs_labels)
    values, columns = _rows(data, reading)
    if texts is not False and values and (isinstance(values[0], str) or _is_sentence(values[0])):
        values = [" ".join(value) if _is_sentence(value) else value for value in values]
    labels = columns if labels is None else labels
    if not values:
        raise DataError("the data: no items are in it.")
    names, label_type = (None, "text") if labels is None else _named(labels)
    if names is not None and len(names) != len(values):
        raise DataError(f"the data: {len(values)} items and {len(names)} labels; give one for each")
    if names is None and needs_labels:
        raise ParameterError("y", "a label for each item", None)
    if isinstance(values[0], str):
        if not all(isinstance(value, str) for value in values):
            raise DataError("the data: some items are texts and others are not")
        _refuse_times("the data", reading)
        for position, text in enumerate(values, start=1):
            _check_unicode(position, text)
        return LabelledTexts(tuple(values), names, "the data", label_type)
    series = tuple(_series(position, value) for position, value in enumerate(values, start=1))
    channels = tuple(str(k + 1) for k in range(series[0].shape[1]))
    if len({one.shape[1] for one in series}) > 1:
        raise DataError("the data: series of different numbers of channels")
    ids = tuple(str(k + 1) for k in range(len(series)))
    return LabelledSeries(series, names, channels, ids, "the data", label_type, reading.times)


def _is_sentence(value: Any) -> bool:
    """Whether an item is a list of words."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(word, str) for word in value)


def _rows(data: Any, reading: ItemReading) -> tuple[list[Any], Any]:
    """The items of a list, an array, a Series or a frame, and the labels in a frame, or None."""
    if hasattr(data, "toarray"):
        raise DataError("the data: sparse matrices are not supported; pass what their method toarray returns.")
    if not hasattr(data, "columns"):
        data = _iterable(data)
        if getattr(data, "ndim", None) == 0:
            raise DataError("the data: expected a list of items or an array, got a single value.")
        return list(data), None
    names = list(data.columns)
    if reading.text_column in names:
        return list(data[reading.text_column]), data[reading.label_column] if reading.label_column in names else None
    if len(names) == 1 and len(data) and isinstance(next(iter(data[names[0]])), str):
        return list(data[names[0]]), None
    return list(data.to_numpy()), None


def _named(labels: Any) -> tuple[tuple[tuple[str, ...], ...], LabelType]:
    """The names of each item's labels, and the type that all labels have."""
    if getattr(labels, "ndim", 1) > 1 or hasattr(labels, "columns"):
        expected = "a label for each item (N,), or a list of labels for each"
        raise ParameterError("y", expected, f"an array or frame of shape {tuple(labels.shape)}")
    labels = _iterable(labels)
    listed = next((getattr(labels, name)() for name in ("tolist", "to_list") if hasattr(labels, name)), labels)
    items = [_one_or_several(label) for label in listed]
    names = tuple(_labels(position, one) for position, one in enumerate(items, start=1))
    kinds = {type(label) for one in items for label in (one if isinstance(one, _COLLECTIONS) else [one])}
    if kinds == {bool}:
        return names, "boolean"
    if kinds == {int}:
        return names, "integer"
    return names, "number" if kinds and kinds <= {int, float} else "text"


def _iterable(values: Any) -> Any:
    """Values; as an array, if they know how to become one and nothing else."""
    return np.asarray(values) if hasattr(values, "__array__") and not hasattr(values, "__iter__") else values


def _one_or_several(label: Any) -> Any:
    """A label, or a collection of labels, of Python's own types."""
    if isinstance(label, _COLLECTIONS):
        return type(label)(_one_or_several(one) for one in label)
    is_scalar = getattr(label, "ndim", None) == 0 and hasattr(label, "item")
    return label.item() if is_scalar else label


def _read(path: Path, reading: ItemReading, texts: bool | None, needs_labels: bool) -> Items:
    form = reading.format
    if form == "auto":
        form = _format_of(path, reading, texts)
    if form == "text":
        _refuse_times(str(path), reading)
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
        reading.times,
    )


def _refuse_times(source: str, reading: ItemReading) -> None:
    if reading.times:
        raise ParameterError("times", f"False with {source}, whose items are texts", True)


def _format_of(path: Path, reading: ItemReading, texts: bool | None) -> str:
    endings = [ending.lower() for ending in path.suffixes if ending.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    if ending in _SERIES_FILES:
        return _SERIES_FILES[ending]
    if texts is not True and ending not in _JSON and is_ucr(read_text(path)):
        return "ucr"
    if ending in _TABLES:
        if texts is not None:
            return "text" if texts else "series"
        names, _ = csv_header(read_text(path))
        return "series" if reading.text_column not in names and reading.id_column in names else "text"
    # Where series are wanted and the name says nothing, their reader says what it can read.
    return "auto" if texts is False and ending not in _JSON else "text"


def _labels(position: int, value: Any) -> tuple[str, ...]:
    several = list(value) if isinstance(value, _COLLECTIONS) else [value]
    if any(label is None or hasattr(label, "__len__") != isinstance(label, str | bytes) or _is_nan(label)
           for label in several):  # fmt: skip
        raise DataError(f"the data, item {position}: expected a label, got {value!r}.")
    names = tuple(dict.fromkeys(label_name(label) for label in several))
    if not all(label.strip() for label in names):
        raise DataError(f"the data, item {position}: expected a label, got {value!r}.")
    for label in names:
        _check_unicode(position, label)
    # A set is in another order in another process, and the data would not be known again.
    return tuple(sorted(names)) if isinstance(value, set | frozenset) else names


def _is_nan(label: Any) -> bool:
    """Whether it is what stands for a missing one in a table."""
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def _check_unicode(position: int, text: str) -> None:
    """Refuse what no file can hold. Raises DataError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the data, item {position}: half of a surrogate pair (\\ud800 to \\udfff) alone. Remove it."
        ) from None


def _series(position: int, value: Any) -> np.ndarray:
    if np.iscomplexobj(value):
        raise DataError(f"the data, item {position}: complex numbers are not supported; pass parts as channels.")
    try:
        values = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"the data, item {position}: expected a text or numbers, got {type(value).__name__}.") from None
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise DataError(f"the data, item {position}: expected numbers (T, C) or (T,), got the shape {values.shape}.")
    if np.isinf(values).any():
        raise DataError(f"the data, item {position}: a value is infinite; leave it out (nan) or correct it.")
    return values
