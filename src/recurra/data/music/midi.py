"""MIDI files in and out. Needs the extra `music`."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.music.limits import BEATS_PER_DAY, check_rests
from recurra.data.music.piece import VELOCITY, Grid, Piece, Tracks
from recurra.data.music.pitches import within_keys
from recurra.errors import DataError, MissingExtraError
from recurra.files import write_atomically

__all__ = ["read_midi", "write_midi"]

_TICKS_PER_STEP = 120
_TEMPO = 120.0
_HEADER = struct.Struct(">4sIHHH")
_AGAIN = "Export it as MIDI again."


def read_midi(path: Path, steps_per_beat: int) -> Piece:
    """Read a MIDI file: the notes of all tracks but drums, moved to the nearest frame, each at least a frame long.

    The first time signature holds for the whole piece. Notes beyond the 88 keys of a piano are
    moved into them by octaves.

    Args:
        path: of the file.
        steps_per_beat: frames a quarter note.

    Raises:
        DataError: the file cannot be read, or has no notes.
        MissingExtraError: symusic is not installed.
    """
    score = _read(path)
    played = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    tracks = [track.notes.numpy() for track in played]
    if not tracks:
        drums = any(len(track.notes) for track in score.tracks)
        raise DataError(f"{path}: has no notes{' but drums' if drums else ' that end'}. Leave the file out.")
    time, duration, pitch, velocity = (
        np.concatenate([track[key] for track in tracks]).astype(np.int64)
        for key in ("time", "duration", "pitch", "velocity")
    )
    if time.min() < 0 or duration.min() < 0 or (time + duration).max() > BEATS_PER_DAY * score.tpq:
        raise DataError(f"{path}: its notes last longer than a day; the file is damaged. {_AGAIN}")
    start = _nearest(time * steps_per_beat, score.tpq)
    end = np.maximum(_nearest((time + duration) * steps_per_beat, score.tpq), start + 1)
    pitch = within_keys(pitch)
    signature = score.time_signatures[0] if len(score.time_signatures) else None
    beats = 4.0
    if signature is not None and signature.numerator > 0 and signature.denominator > 0:
        beats = 4 * signature.numerator / signature.denominator
    changes = _tempi(score, steps_per_beat)
    grid = Grid(steps_per_beat, beats, changes[0][1])
    index = np.repeat(np.arange(len(tracks)), [len(track["time"]) for track in tracks])
    programs = tuple(min(max(int(track.program), 0), 127) for track in played)
    notes = np.stack([start, end, pitch], axis=1)
    instruments = Tracks(programs, index, np.clip(velocity, 1, 127))
    piece = Piece.from_notes(path.stem, notes, grid, tracks=instruments)
    try:
        check_rests(piece)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return replace(piece, tempi=tuple(one for one in changes[1:] if one[0] < piece.length))


def write_midi(piece: Piece, path: Path) -> None:
    """Write a piece as a MIDI file, a track for each of its tracks that has notes, which `read_midi` reads back.

    Raises:
        RunError: the file cannot be written.
        MissingExtraError: symusic is not installed.
    """
    symusic, grid = _symusic(), piece.grid
    score = symusic.Score(_TICKS_PER_STEP * grid.steps_per_beat)
    for frame, tempo in ((0, grid.tempo), *piece.tempi):
        score.tempos.append(symusic.Tempo(frame * _TICKS_PER_STEP, tempo))
    score.time_signatures.append(symusic.TimeSignature(0, *_signature(grid.beats_per_bar)))
    alone = Tracks((0,), np.zeros(len(piece.notes), np.int64), np.full(len(piece.notes), VELOCITY))
    of = piece.tracks or alone
    for index, program in enumerate(of.programs):
        chosen = of.track == index
        if not chosen.any() and piece.tracks is not None:
            continue
        track = symusic.Track("Recurra", program, False)
        for (start, end, pitch), velocity in zip(
            piece.notes[chosen].tolist(), of.velocity[chosen].tolist(), strict=True
        ):
            length = (end - start) * _TICKS_PER_STEP
            track.notes.append(symusic.Note(start * _TICKS_PER_STEP, length, pitch, velocity))
        score.tracks.append(track)
    write_atomically(path, lambda aside: aside.write_bytes(score.dumps_midi()))


def _tempi(score: Any, steps_per_beat: int) -> list[tuple[int, float]]:
    """Where the tempo changes, and to how many beats a minute. What is stated first holds from frame 0 on."""
    tempo_from: dict[int, float] = {}
    for change in score.tempos:
        tempo = round(float(change.qpm), 2)
        if 1 <= tempo <= 1000:
            tempo_from[(2 * max(int(change.time), 0) * steps_per_beat + score.tpq) // (2 * score.tpq)] = tempo
    stated = sorted(tempo_from.items())
    changes = [(0, stated[0][1] if stated else _TEMPO)]
    for frame, tempo in stated:
        if changes[-1][1] != tempo:
            changes.append((frame, tempo))
    return changes


def _signature(beats: float) -> tuple[int, int]:
    """Numerator and denominator of a time signature with so many quarter notes a bar."""
    denominator = next((one for one in (4, 8, 16) if (beats * one / 4).is_integer()), 32)
    return max(round(beats * denominator / 4), 1), denominator


def _nearest(numerator: np.ndarray, denominator: int) -> np.ndarray:
    """Quotients rounded to the nearest whole number, halves upward."""
    return (2 * numerator + denominator) // (2 * denominator)


def _read(path: Path) -> Any:
    symusic = _symusic()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    _check_chunks(path, content)
    try:
        return symusic.Score.from_midi(content)
    except Exception as error:  # symusic raises RuntimeError and others for damaged files
        reason = " ".join(str(error).split()).removesuffix(": iostream error")
        raise DataError(f"{path}: a damaged MIDI file ({reason}). {_AGAIN}") from error


def _check_chunks(path: Path, content: bytes) -> None:
    """Check the header, and that every track that it counts is there whole. Raises DataError."""
    if not content.startswith(b"MThd"):
        raise DataError(f"{path}: not a MIDI file: it does not begin with MThd. {_AGAIN}")
    if len(content) < _HEADER.size:
        raise DataError(f"{path}: a damaged MIDI file: it ends within its header. {_AGAIN}")
    _, size, form, counted, division = _HEADER.unpack_from(content)
    if form == 2:
        raise DataError(f"{path}: a MIDI file of format 2, whose tracks are separate pieces. Export each as a file.")
    if division & 0x8000:
        raise DataError(f"{path}: its time is in seconds (SMPTE), not in beats. Export it with ticks a quarter note.")
    if not division:
        raise DataError(f"{path}: a damaged MIDI file: its header says 0 ticks a quarter note. {_AGAIN}")
    if size != 6:
        raise DataError(f"{path}: a damaged MIDI file: its header has {size:,} bytes, expected 6. {_AGAIN}")
    at, tracks = _HEADER.size, 0
    while at + 8 <= len(content):
        kind, after = content[at : at + 4], at + 8 + int.from_bytes(content[at + 4 : at + 8], "big")
        tracks += kind == b"MTrk" and after <= len(content)
        at = after
    if tracks < counted:
        raise DataError(f"{path}: a damaged MIDI file: it ends in track {tracks + 1:,} of {counted:,}. {_AGAIN}")


def _symusic() -> Any:
    try:
        import symusic
    except ImportError:
        raise MissingExtraError("symusic", "music", "reading and writing MIDI files") from None
    return symusic
