"""Labelled series from an .npz file of numpy arrays."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from recurra.data.files.text_file import check_file
from recurra.data.labelled.labels import Labels
from recurra.data.labelled.series_cases import SeriesCases
from recurra.errors import DataError

__all__ = ["cases_from_npz"]

_SAVE = "Save it with numpy.savez(path, X=..., y=...)."
_NO_OBJECTS = (
    "Arrays of Python objects are not read. Save series of unequal length as X=np.concatenate(series) with "
    "lengths=[len(one) for one in series], and text as np.array(y, dtype=str)."
)


def cases_from_npz(path: str | Path, needs_labels: bool = True) -> SeriesCases:
    """Read the arrays of an .npz file that numpy.savez or savez_compressed wrote.

    X: numbers, NaN for missing values, in one of these shapes, for N series of C channels:
        (N, T, C), or (N, T) for one channel: padded at the end to T steps if there is an array `lengths`.
        (sum of lengths, C), or (sum of lengths,) for one channel: the series end to end, with `lengths`. If a matrix
            fits (N, T) too, it is read this way.
    lengths: (N,) integers, the length of each series, at least 1.
    y: the labels, in one of these forms:
        (N,) integers, text or booleans: one label each. Booleans become "true" and "false".
        (N, K) booleans, or 0 and 1: multi-label; true for the classes of the series, among K.
    classes: (K,) text or integers, the names of the classes. Without it they are "0", "1" and so on. For integers y
        (N,) it names the classes that y indexes from 0.

    Args:
        path: the file.
        needs_labels: whether the file must have y.

    Raises:
        DataError: the file or an array is missing, or an array holds Python objects or has another shape or type.
    """
    source = str(path)
    arrays = _arrays(check_file(path), source, ("X", "y") if needs_labels else ("X",))
    series = _series(arrays["X"], arrays.get("lengths"), source)
    locations = [f"{source}, series {position}" for position in range(1, len(series) + 1)]
    fields = _labels(arrays["y"], arrays.get("classes"), len(series), source) if "y" in arrays else None
    return SeriesCases(series, fields, locations)


def _arrays(path: Path, source: str, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{source}: not an .npz file. {_SAVE}")
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in needed:
                if name not in file.files:
                    there = ", ".join(map(repr, file.files)) or "none"
                    raise DataError(f"{source}: no array {name!r}; there are {there}. {_SAVE}")
            return {name: file[name] for name in ("X", "lengths", "y", "classes") if name in file.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{source}: {_NO_OBJECTS}") from None
        raise DataError(f"{source}: cannot be read ({error}). {_SAVE}") from None


def _series(values: np.ndarray, lengths: np.ndarray | None, source: str) -> list[np.ndarray]:
    """Each (T, C)."""
    if values.dtype.kind not in "fiub":
        raise DataError(f"{source}: X is of type {values.dtype}, expected numbers.")
    if not values.size:
        raise DataError(f"{source}: X has the shape {values.shape}, expected a series, step and channel at least.")
    if lengths is not None:
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
            raise DataError(f"{source}: lengths is {lengths.dtype} {lengths.shape}, expected integers (N,).")
        if (lengths < 1).any():
            wrong = int(np.argmax(lengths < 1))
            raise DataError(f"{source}, series {wrong + 1}: a length of {lengths[wrong]}, expected at least 1.")
        if values.ndim in (1, 2) and int(lengths.sum()) == len(values):
            parts = np.split(values, np.cumsum(lengths)[:-1])
            return [part.reshape(len(part), -1) for part in parts]
    if values.ndim not in (2, 3) or 0 in values.shape or (lengths is not None and len(lengths) != len(values)):
        wanted = "(N, T, C) or (N, T)"
        if lengths is not None:
            n, total = len(lengths), int(lengths.sum())
            wanted = f"({n}, T, C), ({n}, T), ({total}, C) or ({total},) for {n} lengths that sum to {total}"
        raise DataError(f"{source}: X has the shape {values.shape}, expected {wanted}.")
    values = values[:, :, None] if values.ndim == 2 else values
    if lengths is None:
        return list(values)
    if (lengths > values.shape[1]).any():
        wrong = int(np.argmax(lengths > values.shape[1]))
        raise DataError(
            f"{source}, series {wrong + 1}: a length of {lengths[wrong]}, expected at most the {values.shape[1]} "
            f"steps of X {values.shape}."
        )
    return [one[:length] for one, length in zip(values, lengths, strict=True)]


def _labels(y: np.ndarray, classes: np.ndarray | None, count: int, source: str) -> list[str | Labels | None]:
    if y.ndim not in (1, 2) or len(y) != count:
        raise DataError(f"{source}: y has the shape {y.shape}, expected ({count},) or ({count}, K) for {count} series.")
    if y.ndim == 2:
        return list(_multi_label(y, classes, source))
    if y.dtype.kind in "biu":
        names = None if classes is None or y.dtype.kind == "b" else _names(classes, source)
        if names is not None and len(set(names)) < len(names):
            raise DataError(f"{source}: classes are {names}, expected different names.")
        if names is not None and ((y < 0) | (y >= len(names))).any():
            wrong = int(np.argmax((y < 0) | (y >= len(names))))
            raise DataError(
                f"{source}, series {wrong + 1}: y is {y[wrong]}, expected the index, from 0, of one of the "
                f"{len(names)} classes."
            )
        return [str(value).lower() if names is None else names[value] for value in y.tolist()]
    if y.dtype.kind not in "US":
        raise DataError(
            f"{source}: y is of type {y.dtype}, expected integers, text or booleans. Convert it, with y.astype(int)."
        )
    return list(_names(y, source))


def _multi_label(y: np.ndarray, classes: np.ndarray | None, source: str) -> list[Labels]:
    if y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all() or y.shape[1] < 2:
        raise DataError(
            f"{source}: y is {y.dtype} {y.shape}, expected (N,) for one label each, or booleans or 0 and 1 of shape "
            "(N, K) for K of at least 2 classes."
        )
    names = tuple(str(k) for k in range(y.shape[1])) if classes is None else _names(classes, source)
    if len(names) != y.shape[1] or len(set(names)) < len(names):
        raise DataError(f"{source}: classes are {names}, expected {y.shape[1]} different names, as y is {y.shape}.")
    return [tuple(names[k] for k in np.flatnonzero(row)) for row in y]


def _names(array: np.ndarray, source: str) -> Labels:
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(f"{source}: names of classes are {array.dtype} {array.shape}, expected text or integers (K,).")
    try:
        return tuple(np.char.decode(array, "utf-8").tolist() if array.dtype.kind == "S" else map(str, array.tolist()))
    except UnicodeDecodeError:
        raise DataError(f"{source}: names of classes are bytes that are not UTF-8. Save them as text.") from None
