"""Labelled series from the file formats of series archives, and from tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from recurra.data.files.text_file import check_file, read_text
from recurra.data.labelled.arff_file import cases_from_arff
from recurra.data.labelled.labels import Labels, LabelType, check_separator, item_labels
from recurra.data.labelled.long_table import cases_from_long
from recurra.data.labelled.npz_file import cases_from_npz
from recurra.data.labelled.series_cases import SeriesCases
from recurra.data.labelled.ts_file import cases_from_ts
from recurra.data.labelled.ucr_file import cases_from_ucr
from recurra.errors import DataError, ParameterError

__all__ = ["LabelledSeries", "Labels", "read_labelled_series"]

_KINDS = {
    "ts": (".ts", ".ts.gz"),
    "arff": (".arff", ".arff.gz"),
    "npz": (".npz",),
    "csv": (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq"),
    "ucr": (),
}


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """N series of C channels, and their labels.

    Attributes:
        series: arrays (T, C) float32, each with its own T of at least 1. Missing values are NaN.
        labels: the labels of each series. None: there are no labels.
        channels: the names of the C channels.
        ids: the names of the N series.
        source: the path, for messages.
        label_type: what the labels were before they became text.
        timed: whether the last channel is the time since the step before, 0 or more.

    Raises:
        DataError: there are no series, the shapes do not fit, the numbers of series, labels and ids differ, or a time
            is negative or missing.
    """

    series: tuple[np.ndarray, ...]
    labels: tuple[Labels, ...] | None
    channels: tuple[str, ...]
    ids: tuple[str, ...]
    source: str = "the series"
    label_type: LabelType = "text"
    timed: bool = False

    def __post_init__(self) -> None:
        if not self.series:
            raise DataError(f"{self.source}: no series, expected at least one.")
        for name, values in (("labels", self.labels), ("ids", self.ids)):
            if values is not None and len(values) != len(self.series):
                raise DataError(f"{self.source}: {len(self.series)} series and {len(values)} {name}, expected as many.")
        for name, values in zip(self.ids, self.series, strict=True):
            if values.ndim != 2 or len(values) < 1 or values.shape[1] != len(self.channels):
                raise DataError(
                    f"{self.source}, series {name!r}: of shape {values.shape}, expected (T, {len(self.channels)}) with "
                    "at least one step."
                )
            if self.timed and not (values[:, -1] >= 0).all():
                row = int(np.argmin(values[:, -1] >= 0))
                raise DataError(
                    f"{self.source}, series {name!r}: step {row + 1} has {values[row, -1]} in the channel "
                    f"{self.channels[-1]!r}, expected the time since the step before, 0 or more."
                )
        if self.timed and len(self.channels) < 2:
            raise DataError(f"{self.source}: no channels beside the time, expected at least one.")

    def __len__(self) -> int:
        return len(self.series)

    def digest(self) -> str:
        """A checksum of all values, labels and names, in hexadecimal."""
        names = [self.labels, self.channels, self.ids, *["timed"] * self.timed]
        digest = sha256(json.dumps(names).encode())
        for values in self.series:
            # NaN has many bit patterns; the digest uses one.
            plain = np.where(np.isnan(values), np.float32("nan"), values).astype("<f4")
            digest.update(f"{plain.shape} ".encode() + plain.tobytes())
        return digest.hexdigest()


def read_labelled_series(
    path: str | Path,
    kind: str = "auto",
    label_column: str = "label",
    id_column: str = "id",
    time_column: str = "time",
    label_separator: str | None = None,
    needs_labels: bool = True,
    times: bool = False,
) -> LabelledSeries:
    """Read series and labels.

    ts: the format of the UCR and UEA archives in sktime and aeon (see `cases_from_ts`).
    arff: Weka's format, in which the same archives are published (see `cases_from_arff`).
    npz: the numpy arrays X and y (see `cases_from_npz`).
    csv: a long table with one row per step, as .csv, .tsv or .parquet (see `cases_from_long`).
    ucr: a line a series, its label first, as the UCR archive publishes them (see `cases_from_ucr`).

    All formats except npz and parquet may be compressed (.gz).

    Args:
        path: the file.
        kind: one of the above, or "auto" to choose by the extension of the file name.
        label_column: the column of the labels in a table, or the class attribute of an ARFF file.
        id_column: the column of a long table with the id of each row's series.
        time_column: the column of a long table by which the rows of a series are sorted.
        label_separator: the text between the labels of a series (multi-label). None: each series has one label.
        needs_labels: whether each series must have a label. If false, the labels are None if one is missing.
        times: whether the last channel is the time since the step before: computed from the time column of a long
            table, in its unit or, of dates and time stamps, in seconds; in other formats the last channel of the file.

    Raises:
        DataError: the file has a fault. The message names the line or the series and says what to do.
        ParameterError: the kind is unknown, the separator is empty, or one column has two roles.
    """
    check_separator(label_separator)
    if kind not in ("auto", *_KINDS):
        raise ParameterError("kind", f"auto, {', '.join(_KINDS)}", kind)
    if len({label_column, id_column, time_column}) < 3:
        got = f"{label_column}, {id_column}, {time_column}"
        raise ParameterError("label_column, id_column, time_column", "three different columns", got)
    kind = _kind_by_name(path) if kind == "auto" else kind
    if kind == "ts":
        cases = cases_from_ts(read_text(path), str(path), label_separator)
    elif kind == "arff":
        cases = cases_from_arff(read_text(path), str(path), label_column, needs_labels)
    elif kind == "npz":
        cases = cases_from_npz(path, needs_labels)
    elif kind == "ucr":
        cases = cases_from_ucr(read_text(path), str(path), label_column)
    else:
        cases = cases_from_long(path, label_column, id_column, time_column, needs_labels, times)
    return _labelled(cases, str(path), label_separator, needs_labels, times)


def _kind_by_name(path: str | Path) -> str:
    name = Path(path).name.lower()
    for kind, endings in _KINDS.items():
        if name.endswith(endings):
            return kind
    check_file(path)
    known = ", ".join(ending for endings in _KINDS.values() for ending in endings)
    raise DataError(f"{path}: not a file of labelled series, expected a name ending in {known}.")


def _labelled(
    cases: SeriesCases, source: str, separator: str | None, needs_labels: bool, times: bool
) -> LabelledSeries:
    if not cases.series:
        raise DataError(f"{source}: the file holds no series.")
    if cases.fields is None and needs_labels:
        raise DataError(f"{source}: the file holds no labels, expected those of each series.")
    count = cases.series[0].shape[1]
    channels = cases.channels or _numbered(count)
    series = []
    for values, location in zip(cases.series, cases.locations, strict=True):
        if values.shape[1] != count:
            raise DataError(f"{location}: {values.shape[1]} channels, expected {count} as in the first series.")
        if len(values) == 0:
            raise DataError(f"{location}: a series of no steps. Remove it.")
        series.append(_finite(values, channels, location))
    labels = None
    if cases.fields is not None:
        labels = item_labels(cases.fields, separator, needs_labels, cases.locations.__getitem__)
    ids = cases.ids or _numbered(len(series))
    return LabelledSeries(tuple(series), labels, channels, ids, source, cases.label_type, times)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(position) for position in range(1, count + 1))


def _finite(values: np.ndarray, channels: Sequence[str], location: str) -> np.ndarray:
    """Convert to float32. Raises DataError if a value is infinite or overflows float32."""
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
    if np.isinf(single).any():
        step, channel = np.argwhere(np.isinf(single))[0]
        raise DataError(
            f"{location}: step {step + 1} of channel {channels[channel]!r} is {values[step, channel]}, expected a "
            "finite number of float32. Correct it, or leave it missing."
        )
    return single
