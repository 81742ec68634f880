"""Piano rolls in files of MATLAB and numpy."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.part_names import part_of
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES
from recurra.errors import DataError, MissingExtraError

__all__ = ["read_mat", "read_npz"]

_PITCHES = 128


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
        raise DataError(f"{path}: not a readable .mat file ({_one_line(error)}).") from error
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
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: [content[name]] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"{path}: not a readable .npz file of arrays ({_one_line(error)}).") from error
    return _pieces(path, arrays, grid)


def _cells(value: Any) -> list[Any]:
    return list(value.ravel()) if isinstance(value, np.ndarray) and value.dtype == object else [value]


def _pieces(path: Path, arrays: dict[str, list[Any]], grid: Grid) -> dict[str, tuple[Piece, ...]]:
    if not arrays:
        raise DataError(f"{path}: holds no piano rolls.")
    parts: dict[str, tuple[Piece, ...]] = {}
    stated = all(part_of(name) for name in arrays)
    for name, rolls in arrays.items():
        part = part_of(name) if stated else None
        pieces = []
        for count, roll in enumerate(rolls, 1):
            label = name if len(rolls) == 1 else f"{name} {count}"
            pieces.append(Piece.from_roll(f"{path.stem} {label}", _checked(path, label, roll), grid))
        parts[part or "all"] = (*parts.get(part or "all", ()), *pieces)
    return parts


def _checked(path: Path, name: str, roll: Any) -> np.ndarray:
    if (
        not isinstance(roll, np.ndarray)
        or roll.ndim != 2
        or roll.shape[1] not in (NOTES, _PITCHES)
        or roll.dtype.kind not in "buif"
    ):
        got = f"{roll.dtype} {roll.shape}" if isinstance(roll, np.ndarray) else type(roll).__name__
        raise DataError(f"{path}: {name}: expected a piano roll (T, {NOTES}) or (T, {_PITCHES}), got {got}.")
    if not len(roll):
        raise DataError(f"{path}: {name}: the piano roll has no frames.")
    sounding = roll > 0  # also of velocities
    return sounding[:, LOWEST : LOWEST + NOTES] if roll.shape[1] == _PITCHES else sounding


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
