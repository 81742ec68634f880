"""Scores in MusicXML. Needs the extra `musicxml` (music21)."""

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

import numpy as np

from recurra.data.music.limits import BEATS_PER_DAY, check_rests
from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.piece import VELOCITY, Grid, Piece
from recurra.errors import DataError, MissingExtraError

__all__ = ["read_musicxml"]

_TEMPO = 120.0
_MOST_BYTES = 1 << 26  # of a score that is compressed
_AGAIN = "Export it again as MusicXML, or as MIDI."


def read_musicxml(path: Path, steps_per_beat: int) -> Piece:
    """Read a score, `.musicxml` or compressed as `.mxl`: a track for each part, moved to the nearest frame.

    Repeats are played out and ties joined. Grace notes, chord symbols and unpitched percussion are left out. The first
    meter and the first tempo hold for the whole piece. Notes beyond the 88 keys of a piano are moved into them by
    octaves.

    Args:
        path: of the file.
        steps_per_beat: frames a quarter note.

    Raises:
        DataError: the file cannot be read, or has no notes.
        MissingExtraError: music21 is not installed.
    """
    score = _score(path)
    notes, tracks, programs = [], [], []
    for index, part in enumerate(score.parts):
        programs.append(min(max(part.getInstrument().midiProgram or 0, 0), 127))
        try:
            played = _played(part)
        except Exception as error:  # music21 raises several kinds for repeats that do not match
            reason = " ".join(str(error).split())[:80]
            raise DataError(f"{path}: its repeats cannot be played out ({reason}). {_AGAIN}") from error
        for note in played.recurse().notes:
            start, length = note.getOffsetInHierarchy(played), note.quarterLength
            pitches = () if "ChordSymbol" in note.classes or not length else getattr(note, "pitches", ())
            notes += [(start, start + length, pitch.midi) for pitch in pitches]
            tracks += [index] * len(pitches)
    if not notes:
        raise DataError(f"{path}: has no notes. Leave the file out.")
    times = np.array([[float(one) for one in note[:2]] for note in notes])
    if not np.isfinite(times).all() or times.min() < 0 or times.max() > BEATS_PER_DAY:
        raise DataError(f"{path}: its notes last longer than a day; the file is damaged. {_AGAIN}")
    pitch, grid = np.array([note[2] for note in notes], np.int64), _grid(score, steps_per_beat)
    instruments = Tracks(tuple(programs), np.array(tracks), np.full(len(notes), VELOCITY))
    performance = Performance.of_beats(times, pitch, instruments, grid.tempo)
    piece = Piece.from_performance(path.stem, performance, grid, tracks=instruments)
    try:
        check_rests(piece)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return piece


def _score(path: Path) -> Any:
    try:
        from music21.musicxml.xmlToM21 import MusicXMLImporter
    except ImportError:
        raise MissingExtraError("music21", "musicxml", "reading MusicXML files") from None
    try:
        content = _unpacked(path) if path.suffix.lower() == ".mxl" else path.read_bytes()
        root = fromstring(content)
        if root.tag != "score-partwise":
            raise DataError(
                f"{path}: expected a MusicXML score by parts (score-partwise), got {root.tag[:40]}. {_AGAIN}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what music21 leaves out, such as layout
            return MusicXMLImporter().xmlRootToScore(root)
    except (OSError, zipfile.BadZipFile, zlib.error, ParseError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: not a readable MusicXML file ({reason}). {_AGAIN}") from error
    except Exception as error:  # music21 raises nearly anything for damaged scores
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path}: a damaged MusicXML file ({reason}). {_AGAIN}") from error


def _unpacked(path: Path) -> bytes:
    """The score of an `.mxl` file, which its container names."""
    with zipfile.ZipFile(path) as file:
        names = [info for info in file.infolist() if not info.filename.startswith("META-INF/")]
        scores = [info for info in names if info.filename.lower().endswith((".xml", ".musicxml"))]
        if (
            "META-INF/container.xml" in file.namelist()
            and file.getinfo("META-INF/container.xml").file_size < _MOST_BYTES
        ):
            root = fromstring(file.read("META-INF/container.xml"))
            named = [one.get("full-path") for one in root.iter() if one.tag.endswith("rootfile")]
            scores = [info for info in names if info.filename in named[:1]] or scores
        if not scores:
            raise DataError(f"{path}: holds no score. {_AGAIN}")
        if scores[0].file_size > _MOST_BYTES:
            raise DataError(f"{path}: its score has {scores[0].file_size:,} bytes, expected at most {_MOST_BYTES:,}.")
        return file.read(scores[0])


def _played(part: Any) -> Any:
    """A part with its repeats played out and its ties joined."""
    if any(True for _ in part.recurse().getElementsByClass(("Repeat", "RepeatBracket", "RepeatExpression"))):
        part = part.expandRepeats()
    return part.stripTies()


def _grid(score: Any, steps_per_beat: int) -> Grid:
    meters = score.recurse().getElementsByClass("TimeSignature")
    beats = next((float(one.barDuration.quarterLength) for one in meters), 4.0)
    marks = score.recurse().getElementsByClass("MetronomeMark")
    tempo = next((float(one.getQuarterBPM() or 0) for one in marks), 0.0)
    return Grid(steps_per_beat, beats if beats > 0 else 4.0, tempo if 1 <= tempo <= 1000 else _TEMPO)
