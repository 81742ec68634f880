"""MIDI files in and out. Needs the extra `music`."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.music.limits import BEATS_PER_DAY, check_rests
from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.piece import Grid, Piece
from recurra.errors import DataError, MissingExtraError
from recurra.files import write_atomically

__all__ = ["read_midi", "write_midi"]

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
    index = np.repeat(np.arange(len(tracks)), [len(track["time"]) for track in tracks])
    programs = tuple(min(max(int(track.program), 0), 127) for track in played)
    instruments = Tracks(programs, index, np.clip(velocity, 1, 127))
    tempi = _tempi(score)
    notes = np.stack([time, time + duration, pitch], axis=1)
    as_read = Performance(score.tpq, notes, instruments, tempi)
    signature = score.time_signatures[0] if len(score.time_signatures) else None
    beats = 4.0
    if signature is not None and signature.numerator > 0 and signature.denominator > 0:
        beats = 4 * signature.numerator / signature.denominator
    (_, first), *changes = _on_grid(tempi, score.tpq, steps_per_beat)
    grid = Grid(steps_per_beat, beats, first)
    piece = Piece.from_performance(path.stem, as_read, grid, tracks=instruments, tempi=tuple(changes))
    try:
        check_rests(piece)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return piece


def write_midi(piece: Piece, path: Path) -> None:
    """Write a piece as a MIDI file, a track for each of its tracks that has notes, which `read_midi` reads back.

    Raises:
        RunError: the file cannot be written.
        MissingExtraError: symusic is not installed.
    """
    symusic, performance = _symusic(), piece.performance
    score = symusic.Score(performance.ticks_per_beat)
    for tick, tempo in performance.tempi:
        score.tempos.append(symusic.Tempo(tick, tempo))
    score.time_signatures.append(symusic.TimeSignature(0, *_signature(piece.grid.beats_per_bar)))
    tracks = performance.tracks
    for index, program in enumerate(tracks.programs):
        chosen = tracks.track == index
        if not chosen.any() and len(performance.notes):
            continue
        track = symusic.Track("Recurra", program, False)
        for (start, end, pitch), velocity in zip(
            performance.notes[chosen].tolist(), tracks.velocity[chosen].tolist(), strict=True
        ):
            track.notes.append(symusic.Note(start, end - start, pitch, velocity))
        score.tracks.append(track)
    write_atomically(path, lambda aside: aside.write_bytes(score.dumps_midi()))


def _tempi(score: Any) -> tuple[tuple[int, float], ...]:
    """Where a tempo begins, the tick and the beats a minute. What is stated first holds from the beginning on."""
    tempo_from: dict[int, float] = {}
    for change in score.tempos:
        if 1 <= (tempo := float(change.qpm)) <= 1000:
            tempo_from[max(int(change.time), 0)] = tempo
    (_, first), *rest = sorted(tempo_from.items()) or [(0, _TEMPO)]
    return ((0, first), *rest)


def _on_grid(tempi: tuple[tuple[int, float], ...], tpq: int, steps_per_beat: int) -> list[tuple[int, float]]:
    """The frames in which the tempo changes, with what holds from there on."""
    last_in = {(2 * tick * steps_per_beat + tpq) // (2 * tpq): round(tempo, 2) for tick, tempo in tempi}
    changes = [(0, last_in[0])]
    for frame, tempo in last_in.items():
        if changes[-1][1] != tempo:
            changes.append((frame, tempo))
    return changes


def _signature(beats: float) -> tuple[int, int]:
    """Numerator and denominator of a time signature with so many quarter notes a bar."""
    denominator = next((one for one in (4, 8, 16) if (beats * one / 4).is_integer()), 32)
    return max(round(beats * denominator / 4), 1), denominator


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
