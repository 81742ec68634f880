"""Pieces as samples by the instruments of a sound font. Needs the extra `soundfont`, and FluidSynth's library."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.text_file import check_file
from recurra.data.music.piece import Piece
from recurra.data.music.synthesis import SAMPLE_RATE, normalized
from recurra.errors import DataError, MissingExtraError

__all__ = ["check_sound_font", "render"]

_RELEASE = 2.0  # seconds that are heard after the last note ends
_CHANNELS = 256


def check_sound_font(path: str | Path) -> None:
    """Check that a file is a sound font, and that what plays it is installed.

    Raises:
        DataError: it is not an SF2 or SF3 file.
        MissingExtraError: pyfluidsynth or FluidSynth's library is not installed.
    """
    checked = check_file(path)
    try:
        with checked.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise DataError(f"{checked}: cannot be read ({error.strerror or error}).") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise DataError(f"{checked}: not a sound font. Name an SF2 or SF3 file.")
    if checked.stat().st_size < 8 + int.from_bytes(head[4:8], "little"):
        raise DataError(f"{checked}: a damaged sound font: it ends before it says. Copy it again.")
    _fluidsynth()


def render(piece: Piece, path: str | Path) -> np.ndarray:
    """The samples of a piece (S,), float32, at 44,100 a second, as FluidSynth plays it with a sound font.

    Each track is played by the instrument of its program or, if the font lacks that, by the font's first one. The
    loudest sample is one decibel below full scale.

    Args:
        piece: what is played, at its tempi; without tracks by a piano.
        path: of the sound font, SF2 or SF3.

    Raises:
        DataError: the file is not a sound font, or has no instrument.
        MissingExtraError: pyfluidsynth or FluidSynth's library is not installed.
    """
    check_sound_font(path)
    synthesizer = _fluidsynth().Synth(samplerate=SAMPLE_RATE, channels=_CHANNELS)
    try:
        font = synthesizer.sfload(str(path))
        if font < 0:
            raise DataError(f"{path}: a damaged sound font. Copy it again.")
        programs = piece.performance.tracks.programs
        channels = [channel for channel in range(_CHANNELS) if channel % 16 != 9]  # which are of drums
        for channel, program in zip(channels, programs, strict=False):
            _choose(synthesizer, channel, font, program, path)
        return normalized(_played(synthesizer, piece, channels))
    finally:
        synthesizer.delete()


def _choose(synthesizer: Any, channel: int, font: int, program: int, path: str | Path) -> None:
    for wanted in (program, *range(128)):
        if synthesizer.program_select(channel, font, 0, wanted) == 0:
            return
    raise DataError(f"{path}: the sound font has no instrument in its first bank.")


def _played(synthesizer: Any, piece: Piece, channels: list[int]) -> np.ndarray:
    performance = piece.performance
    notes, tracks = performance.notes, performance.tracks
    times = np.round(performance.seconds(notes[:, :2]) * SAMPLE_RATE).astype(np.int64)
    changes = []
    for (first, last), pitch, track, velocity in zip(
        times.tolist(), notes[:, 2].tolist(), tracks.track.tolist(), tracks.velocity.tolist(), strict=True
    ):
        channel = channels[track % len(channels)]
        changes += [(first, 1, channel, pitch, velocity), (last, 0, channel, pitch, 0)]
    parts, now = [], 0
    # A note that ends does so before another of its pitch begins.
    for time, starts, channel, pitch, velocity in sorted(changes):
        if time > now:
            parts.append(_mono(synthesizer, time - now))
            now = time
        if starts:
            synthesizer.noteon(channel, pitch, velocity)
        else:
            synthesizer.noteoff(channel, pitch)
    rest = round((piece.duration + _RELEASE) * SAMPLE_RATE) - now
    if not changes:
        return np.zeros(rest, np.float32)  # the reverberation of nothing is a faint noise
    return np.concatenate([*parts, _mono(synthesizer, rest)])


def _mono(synthesizer: Any, length: int) -> np.ndarray:
    """The mean of both channels. pyfluidsynth itself has samples of 16 bits alone, which are clipped and dithered."""
    sides = np.zeros((2, length), np.float32)
    left, right = (ctypes.c_void_p(side.ctypes.data) for side in sides)
    library = ctypes.CDLL(_fluidsynth().lib)
    library.fluid_synth_write_float(ctypes.c_void_p(synthesizer.synth), length, left, 0, 1, right, 0, 1)
    return sides.mean(0)


def _fluidsynth() -> Any:
    try:
        import fluidsynth
    except ImportError as error:
        if "library" in str(error):
            raise MissingExtraError(
                "FluidSynth's library (of Debian: apt-get install libfluidsynth3) and pyfluidsynth",
                "soundfont",
                "a sound font",
            ) from None
        raise MissingExtraError("pyfluidsynth", "soundfont", "a sound font") from None
    # The library would write to standard error what is raised here.
    library = ctypes.CDLL(fluidsynth.lib)
    for level in range(5):
        library.fluid_set_log_function(level, None, None)
    return fluidsynth
