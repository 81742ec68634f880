"""Files of landmarks: arrays of numpy and MATLAB, and tables."""

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.delimited import Delimited, delimited_rows
from recurra.data.files.text_file import check_file, read_text
from recurra.data.video.landmarks import Landmarks
from recurra.errors import DataError, MissingExtraError

__all__ = ["ENDINGS", "read_frame_labels", "read_landmarks", "read_sensors"]

ENDINGS = (".npz", ".npy", ".csv", ".tsv", ".mat")
"""The endings of files of landmarks, in lower case."""

_POINTS = ("points", "landmarks", "keypoints", "skeleton", "joints", "pose", "d_skel", "X")
_TIMES = ("times", "timestamps", "time", "timestamp", "seconds", "t")
_SENSORS = ("sensors", "inertial", "d_iner", "imu")
_NPY = b"\x93NUMPY"
_LABEL = "label"
_AXES = ("x", "y", "z")
_IGNORED = ("visibility", "presence", "confidence", "likelihood", "score")


def read_landmarks(path: Path, member: str | None, rate: float) -> Landmarks:
    """Read one recording.

    - `.npz`: an array (T, J, D), J points in D = 2 or 3 dimensions, which is the only one or is called `points`,
      `landmarks`, `keypoints`, `skeleton`, `joints` or `pose`; perhaps `times` (T,) in seconds, and `sensors` (S, C).
      Of an archive of many recordings `member` names the array.
    - `.npy`: that array alone.
    - `.csv`, `.tsv`: a row a frame, columns with the name of a point and x, y or z, such as `hip_x`, and perhaps one
      called `time` or `seconds`. Columns of confidence, such as `hip_visibility`, are not read, and a column `label`
      is by `read_frame_labels` alone.
    - `.mat`: an array (T, J, D), or (J, D, T) as `d_skel` of UTD-MHAD (Chen et al. 2015) is, and perhaps `d_iner`.

    Args:
        path: the file.
        member: the array in an archive, or None.
        rate: frames a second, where the file has no times.

    Raises:
        DataError: the file cannot be read, or does not hold one recording; see `Landmarks.of` too.
        MissingExtraError: scipy is not installed, which reads `.mat`.
    """
    where, ending = _where(path, member), check_file(path).suffix.lower()
    if ending in (".csv", ".tsv"):
        return _read_table(path, rate)
    arrays = _arrays(path, member)
    if member is not None:
        return Landmarks.of(_time_first(member, arrays[member]), None, rate, where)
    name = next((one for one in _POINTS if one in arrays), None)
    others = {*_TIMES, *_SENSORS}
    if name is None:
        rest = [one for one in arrays if one not in others]
        if len(rest) != 1:
            there = ", ".join(map(repr, rest[:10])) or "none"
            raise DataError(
                f"{where}: expected one array of points, called {_POINTS[0]!r} or alone; there are {there}. Of an "
                f"archive of many recordings a table names each as {path.name}#ARRAY."
            )
        name = rest[0]
    times = next((arrays[one] for one in _TIMES if one in arrays), None)
    sensors = next((arrays[one] for one in _SENSORS if one in arrays), None)
    points = _time_first(name, arrays[name])
    return Landmarks.of(points, None if times is None else times.ravel(), rate, where, sensors)


def read_sensors(path: Path, member: str | None) -> np.ndarray:
    """The measurements (S, C) of sensors in a file: an array in `.npz`, `.npy` or `.mat`, or a table of numbers.

    Raises:
        DataError: the file cannot be read, or holds something else.
        MissingExtraError: scipy is not installed, which reads `.mat`.
    """
    where = _where(path, member)
    if check_file(path).suffix.lower() in (".csv", ".tsv"):
        _, values = _numbers(path)
        return values
    arrays = _arrays(path, member)
    if member is None:
        name = next((one for one in _SENSORS if one in arrays), None)
        if name is None and len(arrays) != 1:
            raise DataError(
                f"{where}: expected one array of sensors; there are {', '.join(map(repr, arrays)) or 'none'}."
            )
        member = name or next(iter(arrays))
    values = arrays[member]
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise DataError(f"{where}: sensors are {values.dtype} {values.shape}, expected numbers (S, C).")
    return values


def read_frame_labels(path: Path) -> list[str] | None:
    """The label of each frame in a table of landmarks, empty if it has none; None: there is no such column.

    Raises:
        DataError: the file cannot be read.
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        return None
    table = _rows(path)
    names = [name.strip().lower() for name in table.names]
    return [row[names.index(_LABEL)].strip() for row in table.rows] if _LABEL in names else None


def _where(path: Path, member: str | None) -> str:
    return f"{path}#{member}" if member else f"{path}"


def _arrays(path: Path, member: str | None) -> dict[str, np.ndarray]:
    """The arrays of a file by name; of an archive `member` alone, if it is not None."""
    ending = path.suffix.lower()
    try:
        if ending == ".npy":
            with path.open("rb") as file:
                if file.read(len(_NPY)) != _NPY:
                    raise DataError(f"{path}: not an .npy file.")
            arrays = {"points": np.load(path, allow_pickle=False)}
        elif ending == ".npz":
            if not zipfile.is_zipfile(path):
                raise DataError(f"{path}: not an .npz file.")
            with np.load(path, allow_pickle=False) as content:
                if member is not None and member not in content.files:
                    raise _no_member(path, member, content.files)
                arrays = {name: content[name] for name in (content.files if member is None else [member])}
        elif ending == ".mat":
            arrays = _mat(path)
        else:
            raise DataError(f"{path}: neither a video nor landmarks, which are files ending in {', '.join(ENDINGS)}.")
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{path}: arrays of Python objects are not read. Save arrays of numbers.") from None
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}).") from None
    if member is not None and member not in arrays:
        raise _no_member(path, member, list(arrays))
    return arrays


def _no_member(path: Path, member: str, names: list[str]) -> DataError:
    return DataError(f"{path}: no array {member!r}; the first are {', '.join(map(repr, names[:5])) or 'none'}.")


def _mat(path: Path) -> dict[str, np.ndarray]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtraError("scipy", "video", "reading .mat files") from None
    try:
        content: dict[str, Any] = loadmat(str(path))
    except Exception as error:  # scipy raises many kinds for damaged files
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path}: not a readable .mat file ({reason}).") from error
    return {
        name: value for name, value in content.items() if isinstance(value, np.ndarray) and not name.startswith("__")
    }


def _time_first(name: str, points: np.ndarray) -> np.ndarray:
    """Points (T, J, D), of (J, D, T) too, the order of MATLAB's users."""
    if points.ndim == 3 and points.shape[1] in (2, 3) and (name == "d_skel" or points.shape[2] not in (2, 3)):
        return points.transpose(2, 0, 1)
    return points


def _read_table(path: Path, rate: float) -> Landmarks:
    names, values = _numbers(path)
    joints: dict[str, dict[str, int]] = {}
    times = None
    for column, name in enumerate(names):
        lower = name.lower()
        match = re.fullmatch(r"(.*?)[_. ]?([xyz])", lower)
        if lower in _TIMES:
            times = values[:, column]
        elif match:
            joints.setdefault(match[1], {})[match[2]] = column
        elif not lower.endswith(_IGNORED) and lower not in ("frame", "index"):
            raise DataError(
                f"{path}: the column {name!r} is neither NAME_x, NAME_y or NAME_z of a point nor the time. Rename it, "
                "or leave it out."
            )
    axes = [axis for axis in _AXES if any(axis in joint for joint in joints.values())]
    if len(axes) < 2:
        raise DataError(f"{path}: no points; expected columns NAME_x, NAME_y and perhaps NAME_z for each point.")
    for joint, columns in joints.items():
        if lacking := [axis for axis in axes if axis not in columns]:
            raise DataError(f"{path}: the point {joint!r} has no column {joint}_{lacking[0]}, as others have.")
    columns = [[joint[axis] for axis in axes] for joint in joints.values()]
    return Landmarks.of(values[:, columns], times, rate, str(path))


def _numbers(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the columns, but that of labels, and the values (T, C) float64, NaN for an empty field."""
    table = _rows(path)
    columns = [k for k, name in enumerate(table.names) if name.strip().lower() != _LABEL]
    values = np.empty((len(table.rows), len(columns)))
    for k, (whole, line) in enumerate(zip(table.rows, table.lines, strict=True)):
        row = [whole[column] for column in columns]
        try:
            values[k] = [float(field) if field.strip() else np.nan for field in row]
        except ValueError:
            wrong = next(field for field in row if field.strip() and not _is_number(field))
            raise DataError(f"{path}, line {line}: {wrong!r} is not a number.") from None
    if not len(values):
        raise DataError(f"{path}: no rows below the header.")
    return tuple(table.names[column] for column in columns), values


def _rows(path: Path) -> Delimited:
    text = read_text(path)
    return delimited_rows(text, "\t" if "\t" in text.split("\n", 1)[0] else ",", str(path))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
