"""Reading music: files and folders of pieces."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.part_names import part_of
from recurra.data.files.problems import Problem, refuse_unusable
from recurra.data.files.standard_input import refuse_standard_input
from recurra.data.files.text_file import check_file
from recurra.data.music.abc_file import read_abc
from recurra.data.music.midi import read_midi
from recurra.data.music.musicxml import read_musicxml
from recurra.data.music.piece import Grid, Music, Piece
from recurra.data.music.pitches import NOTES
from recurra.data.music.roll_files import read_mat, read_npz
from recurra.errors import DataError, ParameterError

__all__ = ["ENDINGS", "duplicates", "read_music", "split_pieces"]

_log = logging.getLogger("recurra.music")

ENDINGS = (".mid", ".midi", ".abc", ".musicxml", ".mxl", ".mat", ".npz")
_PIECES = f"pieces, or piano rolls (T, {NOTES}) of 0 and 1"


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
    if not str(source):
        raise ParameterError("data", "the path of a file or a folder", source)
    refuse_standard_input(source, f"music is read from a file that ends in {', '.join(ENDINGS)}, or a folder of such")
    path = Path(source)
    if _is_folder(path):
        music = _read_folder(path, steps_per_beat, most_unusable)
    else:
        music = Music(str(path), *_read_file(path, steps_per_beat))
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


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


def _read_file(path: Path, steps_per_beat: int) -> tuple[dict[str, tuple[Piece, ...]], tuple[Problem, ...]]:
    """The pieces of a file by part, and its tunes that cannot be used, which are logged."""
    check_file(path)
    ending = path.suffix.lower()
    if ending in (".mid", ".midi"):
        return {"all": (read_midi(path, steps_per_beat),)}, ()
    if ending == ".abc":
        pieces, problems = read_abc(path, steps_per_beat)
        for problem in problems:
            _log.warning("set aside: %s", problem)
        return {"all": pieces}, problems
    if ending in (".musicxml", ".mxl"):
        return {"all": (read_musicxml(path, steps_per_beat),)}, ()
    if ending == ".mat":
        return read_mat(path, Grid(steps_per_beat)), ()
    if ending == ".npz":
        return read_npz(path, Grid(steps_per_beat)), ()
    raise DataError(f"{path}: expected a file ending in {', '.join(ENDINGS)}, or a folder of such files.")


def _files(folder: Path) -> list[Path]:
    """The files of music in a folder, and what is named like one but cannot be read; hidden ones are left out."""
    named = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and not path.is_dir())
    return sorted(path for path in named if not any(one.startswith(".") for one in path.relative_to(folder).parts))


def _read_folder(folder: Path, steps_per_beat: int, most_unusable: float) -> Music:
    files = _files(folder)
    if not files:
        raise DataError(f"{folder}: no file in it ends in {', '.join(ENDINGS)}.")
    parts: dict[str, list[Piece]] = defaultdict(list)
    problems: list[Problem] = []
    broken = 0
    parted = [part_of(path.relative_to(folder).parts[0]) if path.parent != folder else None for path in files]
    stated = all(parted)
    for path, part in zip(files, parted, strict=True):
        try:
            pieces, tunes = _read_file(path, steps_per_beat)
        except DataError as error:
            problems.append(Problem("", str(path), str(error).removeprefix(f"{path}: ")))
            broken += 1
            _log.warning("set aside: %s", error)
            continue
        problems += tunes
        name = path.relative_to(folder).with_suffix("").as_posix()
        for own, members in pieces.items():
            label = part if stated and part is not None else own
            parts[label] += [_renamed(piece, name) for piece in members] if len(members) == 1 else members
    if broken > most_unusable * len(files) or broken == len(files):
        refuse_unusable(str(folder), "files", len(files), broken, problems, most_unusable)
    if "all" in parts and len(parts) > 1:
        raise DataError(
            f"{folder}: some of its files state parts to train and to test on, and others none, such as that of "
            f"{parts['all'][0].name}; read either kind alone."
        )
    return Music(str(folder), {part: tuple(pieces) for part, pieces in parts.items()}, tuple(problems))


def _renamed(piece: Piece, name: str) -> Piece:
    return replace(piece, name=name)


def _of_pieces(source: Any, grid: Grid) -> Music:
    if isinstance(source, bytes | dict | set) or not isinstance(source, Iterable):
        raise ParameterError("data", f"the path of a file or a folder, or a list of {_PIECES}", type(source).__name__)
    pieces = [_piece(one, index, grid) for index, one in enumerate(source, 1)]
    if not pieces:
        raise ParameterError("data", "at least one piece", "none")
    return Music("the data", {"all": tuple(pieces)})


def _piece(one: Any, index: int, grid: Grid) -> Piece:
    if isinstance(one, Piece):
        return one
    try:
        roll = np.asarray(one)
    except ValueError:
        raise ParameterError("data", _PIECES, f"piece {index}, whose rows have several lengths") from None
    if roll.ndim != 2 or roll.shape[1] != NOTES or not len(roll):
        hint = "For one piano roll write [roll]." if roll.shape == (NOTES,) else ""
        raise ParameterError("data", _PIECES, f"piece {index} of shape {roll.shape}", hint)
    if not np.isin(roll, (0, 1)).all():
        raise ParameterError("data", _PIECES, f"piece {index}, which has other values")
    return Piece.from_roll(f"piece {index}", roll, grid)
