"""Recordings: WAV, FLAC, Ogg (Vorbis and Opus), MP3, and what else libsndfile reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.audio.libraries import soundfile, soxr
from recurra.data.files.text_file import check_file
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["Sound", "SoundHeader", "read_header", "read_sound", "resampled"]

_FORMATS = "WAV, FLAC, Ogg (Vorbis, Opus) or MP3"
# The length of an MP3 file without an index is an estimate: this many seconds may be missing at the end.
_TOLERATED = 0.1


@dataclass(frozen=True)
class Sound:
    """Samples of one channel.

    Attributes:
        samples: (N,) float32; full scale is -1 to 1.
        sample_rate: samples a second.
    """

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class SoundHeader:
    """What the header of a recording says.

    Attributes:
        sample_rate: samples a second.
        samples: the number of samples of each channel.
        channels: the number of channels.
    """

    sample_rate: int
    samples: int
    channels: int

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.samples / self.sample_rate


def read_header(path: str | Path) -> SoundHeader:
    """Read the header of a recording, which takes well under a millisecond whatever its length.

    Raises:
        DataError: the file is missing, empty, or not a recording.
        MissingExtraError: the extra `audio` is not installed.
    """
    with _opened(path) as file:
        return SoundHeader(file.samplerate, file.frames, file.channels)


def read_sound(
    path: str | Path,
    sample_rate: int | None = None,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
) -> Sound:
    """Read a recording, or a segment of one, as one channel.

    Only the segment is read, however long the file. A segment ends at the end of the file if it would end later.

    Args:
        path: the file.
        sample_rate: the sample rate to resample to. None: that of the file.
        offset: where the segment begins, in seconds.
        duration: the duration of the segment in seconds. None: to the end.
        channel: the channel, from 0. None: the mean of all channels.

    Raises:
        DataError: the file is missing, empty, damaged or not a recording, the segment begins after its end, or the
            channel does not exist.
        ParameterError: a parameter is out of range.
        MissingExtraError: the extra `audio` is not installed.
    """
    if sample_rate is not None:
        check_positive("sample_rate", sample_rate)
    if not offset >= 0:
        raise ParameterError("offset", "seconds of at least 0", offset)
    if duration is not None and not duration > 0:
        raise ParameterError("duration", "seconds above 0, or None", duration)
    if channel is not None:
        check_positive("channel", channel, at_least=0)
    with _opened(path) as file:
        if channel is not None and channel >= file.channels:
            raise DataError(f"{path}: no channel {channel}; it has {file.channels}, counted from 0.")
        if not file.frames:
            raise DataError(f"{path}: the recording holds no samples.")
        begin = round(offset * file.samplerate)
        if offset and begin >= file.frames:
            whole = file.frames / file.samplerate
            raise DataError(f"{path}: the segment begins at {offset:g} s, and the recording ends at {whole:.2f} s.")
        rest = file.frames - begin
        expected = rest if duration is None else min(max(round(duration * file.samplerate), 1), rest)
        try:
            file.seek(begin)
            samples = file.read(expected, dtype="float32", always_2d=True)
        except RuntimeError as error:
            raise DataError(f"{path}: the recording is damaged ({_reason(error)}).") from None
        rate = file.samplerate
    if len(samples) < expected - _TOLERATED * rate:
        raise DataError(
            f"{path}: the recording is cut off: {(begin + len(samples)) / rate:.2f} s can be read of the "
            f"{(begin + expected) / rate:.2f} s that its header promises."
        )
    # One channel alone needs no mean, which would copy it.
    alone = samples[:, channel or 0] if channel is not None or samples.shape[1] == 1 else samples.mean(axis=1)
    if not np.isfinite(alone).all():
        raise DataError(f"{path}: a sample is not a finite number.")
    return resampled(Sound(np.ascontiguousarray(alone), rate), sample_rate or rate)


def resampled(sound: Sound, sample_rate: int) -> Sound:
    """A sound at another sample rate, by soxr in its high quality."""
    if sound.sample_rate == sample_rate:
        return sound
    return Sound(soxr().resample(sound.samples, sound.sample_rate, sample_rate), sample_rate)


def _opened(path: str | Path) -> Any:
    library = soundfile()
    check_file(path)
    try:
        return library.SoundFile(str(path))
    except (RuntimeError, TypeError, ValueError) as error:  # without a header soundfile takes .raw for raw samples
        raise DataError(f"{path}: not a recording that can be read ({_reason(error)}); expected {_FORMATS}.") from None


def _reason(error: Exception) -> str:
    """The reason in libsndfile's words, without the path, which the message has already."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".").removeprefix("Error : ")
