"""Reading music: files and folders of pieces."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.part_names import part_of
from recurra.data.music.abc_file import read_abc
from recurra.data.music.midi import read_midi
from recurra.data.music.piece import Grid, Music, Piece
from recurra.data.music.roll_files import read_mat, read_npz
from recurra.errors import DataError, ParameterError

__all__ = ["ENDINGS", "duplicates", "read_music", "split_pieces"]

_log = logging.getLogger("recurra.music")

ENDINGS = (".mid", ".midi", ".abc", ".mat", ".npz")
_NAMED = 3


def read_music(source: Any, steps_per_beat: int, most_unusable: float = 0.05) -> Music:
    """Read music.

    Args:
        source: a file, whose ending is one of `ENDINGS`; a folder of such files, at any depth, perhaps in subfolders
            named train, validation and test; or pieces, as `Piece` or as piano rolls (T, 88) of 0 and 1.
        steps_per_beat: frames a quarter note; for piano rolls what a frame is taken for.
        most_unusable: the fraction of a folder's files that may be unusable. Each of them is set aside, and logged.

    Raises:
        DataError: a file that was named cannot be used, or too many of a folder; or only some files of a folder state
            parts; or no piece has a note.
        MissingExtraError: the extra `music` is not installed, and the files need it.
    """
    if not isinstance(source, str | Path):
        return _of_pieces(source, Grid(steps_per_beat))
    path = Path(source)
    if path.is_dir():
        music = _read_folder(path, steps_per_beat, most_unusable)
    elif path.exists():
        music = Music(str(path), *_read_file(path, steps_per_beat))
    else:
        raise DataError(f"{path}: no such file or folder.")
    if not any(len(piece.notes) for pieces in music.parts.values() for piece in pieces):
        raise DataError(f"{path}: no piece has a note.")
    return music


def duplicates(pieces: Sequence[Piece]) -> list[list[int]]:
    """The indices of pieces that are the same but for a transposition, in groups of at least two."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        groups[piece.shape].append(index)
    return [group for group in groups.values() if len(group) > 1]


def split_pieces(music: Music, fraction: float, seed: int) -> tuple[Music, Music | None]:
    """Pieces to train on and to validate with: the parts of the data, or a random fraction of the pieces.

    Pieces that are the same but for a transposition are on one side.

    Args:
        music: what is split.
        fraction: of the pieces to validate with, if the data state no parts; in [0, 1).
        seed: of the random choice.

    Returns:
        Both, the second None if there is nothing to validate with.
    """
    if "all" not in music.parts:
        held = music.parts.get("validation", ())
        return music, Music(music.source, {"all": held}) if held else None
    pieces = music.parts["all"]
    wanted = round(fraction * len(pieces))
    if not wanted or len(pieces) < 2:
        return music, None
    together = {index: group for group in duplicates(pieces) for index in group}
    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(len(pieces)).tolist():
        group = together.get(index, [index])
        if len(chosen) < wanted and index not in chosen and len(chosen) + len(group) < len(pieces):
            chosen.update(group)
    if not chosen:
        return music, None
    rest = tuple(piece for index, piece in enumerate(pieces) if index not in chosen)
    held = tuple(pieces[index] for index in sorted(chosen))
    return Music(music.source, {"all": rest}, music.problems), Music(music.source, {"all": held})


def _read_file(path: Path, steps_per_beat: int) -> tuple[dict[str, tuple[Piece, ...]], tuple[str, ...]]:
    """The pieces of a file by part, and a line for each that cannot be used, which is logged."""
    ending = path.suffix.lower()
    if ending in (".mid", ".midi"):
        return {"all": (read_midi(path, steps_per_beat),)}, ()
    if ending == ".abc":
        pieces, problems = read_abc(path, steps_per_beat)
        for line in problems:
            _log.warning("set aside: %s", line)
        return {"all": pieces}, problems
    if ending == ".mat":
        return read_mat(path, Grid(steps_per_beat)), ()
    if ending == ".npz":
        return read_npz(path, Grid(steps_per_beat)), ()
    raise DataError(f"{path}: expected a file ending in {', '.join(ENDINGS)}, or a folder of such files.")


def _read_folder(folder: Path, steps_per_beat: int, most_unusable: float) -> Music:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in ENDINGS)
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not files:
        raise DataError(f"{folder}: no file in it ends in {', '.join(ENDINGS)}.")
    parts: dict[str, list[Piece]] = defaultdict(list)
    problems: list[str] = []
    broken = 0
    parted = [part_of(path.relative_to(folder).parts[0]) if path.parent != folder else None for path in files]
    stated = all(parted)
    for path, part in zip(files, parted, strict=True):
        try:
            pieces, lines = _read_file(path, steps_per_beat)
        except DataError as error:
            problems.append(str(error))
            broken += 1
            _log.warning("set aside: %s", error)
            continue
        problems += lines
        name = path.relative_to(folder).with_suffix("").as_posix()
        for own, members in pieces.items():
            label = part if stated and part is not None else own
            parts[label] += [_renamed(piece, name) for piece in members] if len(members) == 1 else members
    if broken > most_unusable * len(files) or broken == len(files):
        listed = " ".join(problems[:_NAMED])
        raise DataError(
            f"{folder}: {broken:,} of {len(files):,} files cannot be used, more than the "
            f"{100 * most_unusable:g} % that are allowed (--most-unusable). {listed}"
        )
    if "all" in parts and len(parts) > 1:
        raise DataError(
            f"{folder}: some of its files state parts to train and to test on, and others none, such as that of "
            f"{parts['all'][0].name}; read either kind alone."
        )
    return Music(str(folder), {part: tuple(pieces) for part, pieces in parts.items()}, tuple(problems))


def _renamed(piece: Piece, name: str) -> Piece:
    return replace(piece, name=name)


def _of_pieces(source: Any, grid: Grid) -> Music:
    pieces = []
    for index, one in enumerate(source):
        if isinstance(one, Piece):
            pieces.append(one)
            continue
        roll = np.asarray(one)
        if roll.ndim != 2 or roll.shape[1] != 88 or not len(roll) or not np.isin(roll, (0, 1)).all():
            expected = "pieces, or piano rolls (T, 88) of 0 and 1"
            raise ParameterError("data", expected, f"piece {index + 1} of shape {roll.shape}")
        pieces.append(Piece.from_roll(f"piece {index + 1}", roll, grid))
    if not pieces:
        raise ParameterError("data", "at least one piece", "none")
    return Music("the data", {"all": tuple(pieces)})
