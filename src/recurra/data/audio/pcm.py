"""Samples from standard input as they come: raw PCM or a WAV stream of 16-bit numbers, as `arecord` writes it."""

import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from recurra.data.audio.libraries import soxr
from recurra.data.files.standard_input import SOURCE
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["pcm_chunks"]

_PCM, _EXTENSIBLE = 1, 0xFFFE


def pcm_chunks(
    sample_rate: int,
    *,
    source_rate: int | None = None,
    channels: int = 1,
    seconds: float = 0.1,
    stream: BinaryIO | None = None,
) -> Iterator[np.ndarray]:
    """Chunks of samples (n,) float32 from a stream of signed 16-bit little-endian numbers, until it ends.

    A stream that begins with the header of a WAV file has the sample rate and the channels that this states; any other
    is raw. Several channels are averaged.

    Args:
        sample_rate: the sample rate of the chunks.
        source_rate: the sample rate of a raw stream. None: `sample_rate`.
        channels: the channels of a raw stream.
        seconds: the duration of a chunk, after which it is returned.
        stream: what is read. None: standard input.

    Raises:
        DataError: the stream holds no sample, or it is a WAV stream of other numbers or with a damaged header.
        ParameterError: a parameter is out of range.
        MissingExtraError: the rates differ, and the extra `audio` is not installed.
    """
    check_positive("sample_rate", sample_rate)
    check_positive("channels", channels)
    if not seconds > 0:
        raise ParameterError("seconds", "a number above 0", seconds)
    source: BinaryIO = sys.stdin.buffer if stream is None else stream
    first = source.read(4)
    rate = source_rate or sample_rate
    if first == b"RIFF":
        rate, channels = _wav_header(source)
        first = b""
    resampler = soxr().ResampleStream(rate, sample_rate, 1, dtype="float32") if rate != sample_rate else None
    size = max(round(seconds * rate), 1) * channels * 2
    data = first + source.read(size - len(first))
    if len(data) < 2 * channels:
        raise DataError(f"{SOURCE}: there are no samples. Pipe a recording into the command: arecord -f S16_LE ... |")
    while data:
        whole = len(data) - len(data) % (2 * channels)
        chunk = np.frombuffer(data[:whole], "<i2").reshape(-1, channels).mean(axis=1, dtype=np.float32) / np.float32(
            32768
        )
        following = source.read(size) if len(data) == size else b""
        if resampler is not None:
            chunk = resampler.resample_chunk(chunk, last=not following)
        if len(chunk):
            yield chunk
        data = following


def _wav_header(stream: BinaryIO) -> tuple[int, int]:
    """Read a WAV header after its first four bytes, up to the samples: the sample rate and the channels."""
    if stream.read(8)[4:] != b"WAVE":
        raise DataError(f"{SOURCE}: neither raw samples nor a WAV stream.")
    form: tuple[int, int, int, int] | None = None
    while len(head := stream.read(8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if form is None or not all(form):
                break
            kind, channels, rate, bits = form
            if kind not in (_PCM, _EXTENSIBLE) or bits != 16:
                raise DataError(f"{SOURCE}: a WAV stream of {bits}-bit numbers, expected 16-bit ones (-f S16_LE).")
            return rate, channels
        content = stream.read(size + size % 2)
        if name == b"fmt " and len(content) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
            form = kind, channels, rate, bits
    raise DataError(f"{SOURCE}: the header of the WAV stream is damaged.")
