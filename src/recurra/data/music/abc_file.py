"""Tunes in ABC notation, many in a file: what the standard 2.1 says of pitch and time."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from recurra.data.files.problems import Problem
from recurra.data.music.abc_bars import Bar, in_playing_order
from recurra.data.music.abc_body import read_body, whole_number
from recurra.data.music.limits import BEATS_PER_DAY, check_rests
from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.piece import VELOCITY, Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES
from recurra.errors import DataError

__all__ = ["read_abc"]

_HEADER = re.compile(r"([A-Za-z+]):\s*(.*)")
_TEMPO = 120.0


def read_abc(path: Path, steps_per_beat: int) -> tuple[tuple[Piece, ...], tuple[Problem, ...]]:
    """Read the tunes of a file, each a piece named by its number and title.

    Repeats and endings are played out. The meter and the tempo of the header hold for the whole piece. Grace notes,
    ornaments, words and chord symbols are left out. Notes are moved to the nearest frame, each at least a frame long.

    Args:
        path: of the file, UTF-8 or Latin-1.
        steps_per_beat: frames a quarter note.

    Returns:
        The tunes, and what is wrong with each that cannot be used.

    Raises:
        DataError: the file cannot be read, or has no tune that can be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    pieces, problems = [], []
    for line, tune in _tunes(_decoded(path, content)):
        try:
            pieces.append(_piece(tune, path.stem, steps_per_beat))
        except DataError as error:
            problems.append(Problem(f"{path}, line {line}", "", str(error)))
    if not pieces:
        missing = f"{path}: has no tune: no line begins with X:, as that of each tune has to. Add one."
        raise DataError(str(problems[0]) if problems else missing)
    return tuple(pieces), tuple(problems)


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: the text is UTF-16, expected UTF-8. Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _tunes(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each tune without comments, with the number of its first line."""
    tune: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"X:", line):
            if tune:
                yield first, tune
            tune, first = [], number
        if tune or line.startswith("X:"):
            tune.append(re.sub(r"(?<!\\)%.*", "", line).rstrip())
    if tune:
        yield first, tune


def _piece(tune: list[str], stem: str, steps_per_beat: int) -> Piece:
    key = next((index for index, line in enumerate(tune) if line.startswith("K:")), None)
    if key is None:
        raise DataError("the header has no key (K:). Add one, such as K:C.")
    fields: dict[str, str] = {}
    for line in tune[: key + 1]:
        match = _HEADER.fullmatch(line)
        if match is None and line:
            raise DataError("expected a header that ends with K:, got notes before it.")
        if match is not None:
            fields.setdefault(match[1], match[2].strip())
    body = read_body(tune[key + 1 :], fields)
    notes = _notes(in_playing_order(body.bars))
    if not len(notes):
        raise DataError("the tune has no notes. Leave it out.")
    if 4 * notes[:, 1].max() > BEATS_PER_DAY:
        raise DataError("its notes last longer than a day. Check its lengths.")
    pitch = notes[:, 2].astype(np.int64)
    if pitch.min() < LOWEST or pitch.max() >= LOWEST + NOTES:
        raise DataError("a note is beyond the 88 keys of a piano. Check its octave.")
    beats = 4 * float(body.first_meter) if body.first_meter else 4.0
    grid = Grid(steps_per_beat, beats, _tempo(fields.get("Q", "")))
    name = " ".join(part for part in (stem, fields.get("X", ""), fields.get("T", "")) if part)
    alone = Tracks((0,), np.zeros(len(notes), np.int64), np.full(len(notes), VELOCITY))
    piece = Piece.from_performance(name, Performance.of_beats(4 * notes[:, :2], pitch, alone, grid.tempo), grid)
    check_rests(piece)
    return piece


def _notes(bars: list[Bar]) -> np.ndarray:
    """Start, end (in whole notes) and pitch of each note (K, 3), ties joined."""
    notes: list[list[Fraction | int]] = []
    tied: dict[int, list[Fraction | int]] = {}
    begin = Fraction(0)
    for bar in bars:
        for note in bar.notes:
            start = begin + note.start
            before = tied.pop(note.pitch, None)
            if before is not None and before[1] == start:
                before[1] = start + note.length
            else:
                before = [start, start + note.length, note.pitch]
                notes.append(before)
            if note.tied:
                tied[note.pitch] = before
        begin += bar.length
    return np.array(notes, object).reshape(-1, 3)


def _tempo(text: str) -> float:
    """Quarter notes a minute of a field such as "1/4=120" or "120"."""
    match = re.search(r"(?:(\d+)/(\d+)\s*=\s*)?(\d+)", re.sub(r'"[^"]*"', "", text))
    if match is None or (match[2] is not None and not whole_number(match[2])):
        return _TEMPO
    beat = Fraction(whole_number(match[1]), whole_number(match[2])) if match[1] else Fraction(1, 4)
    tempo = float(4 * beat * whole_number(match[3]))
    return tempo if 1 <= tempo <= 1000 else _TEMPO
