"""Piano rolls in files of MATLAB and numpy."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.part_names import part_of
from recurra.data.music.limits import BEATS_PER_DAY
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES
from recurra.errors import DataError, MissingExtraError

__all__ = ["read_mat", "read_npz"]

_PITCHES = 128
_NAMED = 3
_EXPECTED = f"expected a piano roll (T, {NOTES}) or (T, {_PITCHES}) of numbers"
_MAT = "Save it with -v7, or the piano rolls as .npz."
_SAVE = "Save each piano roll (T, 88) as an array of 0 and 1."


def read_mat(path: Path, grid: Grid) -> dict[str, tuple[Piece, ...]]:
    """The piano rolls of a `.mat` file: each variable is a roll (T, 88) or (T, 128), or a cell array of rolls.

    The published files of Boulanger-Lewandowski et al. 2012 are such, with `traindata`, `validdata` and `testdata`.

    Returns:
        The pieces by part, or all as "all" if a variable is not named after a part.

    Raises:
        DataError: the file cannot be read, or holds no rolls.
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtraError("scipy", "music", "reading .mat files") from None
    try:
        content = loadmat(str(path))
    except Exception as error:  # scipy raises many kinds for damaged files
        raise DataError(f"{path}: not a readable .mat file ({_one_line(error)}). {_MAT}") from error
    arrays = {name: value for name, value in content.items() if not name.startswith("__")}
    return _pieces(path, {name: _cells(value) for name, value in arrays.items()}, grid)


def read_npz(path: Path, grid: Grid) -> dict[str, tuple[Piece, ...]]:
    """The piano rolls of an `.npz` file: each array is a roll (T, 88) or (T, 128), named after a part or not at all.

    Pickled objects are not read: they could run any program.

    Returns:
        The pieces by part, or all as "all" if an array is not named after a part.

    Raises:
        DataError: the file cannot be read, or holds no rolls.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                name = member.filename.removesuffix(".npy")
                with file.open(member) as content:
                    _check_header(path, name, content, grid)
                with file.open(member) as content:
                    arrays[name] = [np.lib.format.read_array(content, allow_pickle=False)]
    # Members may be compressed, encrypted or damaged in ways that raise any of these.
    except (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a readable .npz file of arrays ({_one_line(error)}). {_SAVE}") from error
    return _pieces(path, arrays, grid)


def _check_header(path: Path, name: str, content: Any, grid: Grid) -> None:
    """Check the shape that an array states before as much memory is filled. Raises DataError, and what numpy raises."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(content)
    if version not in readers:
        raise ValueError(f"version {version} of .npy")
    shape, _, dtype = readers[version](content)
    if dtype.kind == "O":
        raise DataError(f"{path}: {name}: holds pickled objects, which could run any program. {_SAVE}")
    _check_shape(path, name, shape, dtype, grid)


def _check_shape(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], grid: Grid) -> None:
    if len(shape) != 2 or shape[1] not in (NOTES, _PITCHES) or dtype.kind not in "buif":
        raise DataError(f"{path}: {name}: {_EXPECTED}, got {dtype} {shape}.")
    if not shape[0]:
        raise DataError(f"{path}: {name}: the piano roll has no frames. Leave it out.")
    if shape[0] > BEATS_PER_DAY * grid.steps_per_beat:
        raise DataError(f"{path}: {name}: the piano roll of {shape[0]:,} frames lasts longer than a day. Cut it.")


def _cells(value: Any) -> list[Any]:
    return list(value.ravel()) if isinstance(value, np.ndarray) and value.dtype == object else [value]


def _pieces(path: Path, arrays: dict[str, list[Any]], grid: Grid) -> dict[str, tuple[Piece, ...]]:
    if not any(arrays.values()):
        raise DataError(f"{path}: holds no piano rolls. {_SAVE}")
    parts: dict[str, tuple[Piece, ...]] = {}
    stated = all(part_of(name) for name in arrays)
    for name, rolls in arrays.items():
        part = part_of(name) if stated else None
        pieces = []
        for count, roll in enumerate(rolls, 1):
            label = name if len(rolls) == 1 else f"{name} {count}"
            pieces.append(Piece.from_roll(f"{path.stem} {label}", _checked(path, label, roll, grid), grid))
        parts[part or "all"] = (*parts.get(part or "all", ()), *pieces)
    return parts


def _checked(path: Path, name: str, roll: Any, grid: Grid) -> np.ndarray:
    if not isinstance(roll, np.ndarray):
        raise DataError(f"{path}: {name}: {_EXPECTED}, got {type(roll).__name__}.")
    _check_shape(path, name, roll.shape, roll.dtype, grid)
    if not np.isfinite(roll).all() or (roll < 0).any():
        wrong = np.unique(roll[~(roll >= 0) | np.isinf(roll)])[:_NAMED]
        raise DataError(
            f"{path}: {name}: expected 0 for a note that is silent and a larger number for one that sounds, "
            f"got {', '.join(f'{value:g}' for value in wrong)}."
        )
    sounding = roll > 0  # also of velocities
    return sounding[:, LOWEST : LOWEST + NOTES] if roll.shape[1] == _PITCHES else sounding


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
