"""Utterances: recordings or segments of them, with their transcripts or labels."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.audio.sound import Sound, read_header, read_sound, resampled
from recurra.data.files.problems import Problem
from recurra.errors import DataError, ParameterError

__all__ = ["Utterance", "Utterances", "utterances_of"]

_HIGHEST_RATE = 16000


@dataclass(frozen=True)
class Utterance:
    """One recording, or one segment of it.

    Attributes:
        id: its name in results and messages, unique within a manifest.
        audio: the file, or the sound itself.
        text: the transcript, or the label of a sound. None: it is not known.
        offset: where the segment begins, in seconds. None: it is the whole recording.
        duration: the duration in seconds, if the manifest states it. None: to the end of the recording.
        speaker: who speaks. None: it is not known.
        where: the manifest and its line, for messages.
    """

    id: str
    audio: Path | Sound
    text: str | None = None
    offset: float | None = None
    duration: float | None = None
    speaker: str | None = None
    where: str = ""

    def read(self, sample_rate: int, channel: int | None = None) -> Sound:
        """The sound at a sample rate; see `read_sound`. Raises DataError, MissingExtraError."""
        if isinstance(self.audio, Sound):
            return resampled(self.audio, sample_rate)
        try:
            if self.offset is None:
                return read_sound(self.audio, sample_rate, channel=channel)
            return read_sound(
                self.audio, sample_rate, offset=self.offset, duration=self.duration or None, channel=channel
            )
        except DataError as error:
            raise DataError(f"{self.where}: {error}" if self.where else str(error)) from None

    @property
    def seconds(self) -> float:
        """The duration: that of the manifest, or else of the recording by its header. Raises DataError."""
        if isinstance(self.audio, Sound):
            return self.audio.seconds
        if self.duration is not None:
            return self.duration
        return max(read_header(self.audio).seconds - (self.offset or 0.0), 0.0)

    @property
    def name(self) -> str:
        """The file, or the id of what is in memory, for messages."""
        return self.id if isinstance(self.audio, Sound) else str(self.audio)


@dataclass(frozen=True)
class Utterances:
    """The utterances of a manifest.

    Attributes:
        items: one or more utterances.
        source: the manifest or the folder, for messages.
        problems: what is wrong with rows of the manifest, those left out among them; see `recurra.data.files.problems`.

    Raises:
        DataError: there are none.
    """

    items: tuple[Utterance, ...]
    source: str = "the utterances"
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if not self.items:
            raise DataError(f"{self.source}: no utterances, expected at least one.")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Utterance:
        return self.items[row]

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.items)

    @property
    def texts(self) -> tuple[str, ...]:
        """The text of each. Raises DataError: one has none."""
        for item in self.items:
            if item.text is None:
                where = dict.fromkeys((item.where or self.source, item.name))
                raise DataError(f"{': '.join(where)}: there is no text or label, which each recording needs here.")
        return tuple(item.text for item in self.items if item.text is not None)

    @property
    def speakers(self) -> tuple[str | None, ...]:
        """The speaker of each, or None."""
        return tuple(item.speaker for item in self.items)

    @property
    def usual_rate(self) -> int:
        """The sample rate of most recordings, at most 16,000: speech has little above 8,000 Hz. Raises DataError."""
        audio = (item.audio for item in self.items)
        rates = Counter((one if isinstance(one, Sound) else read_header(one)).sample_rate for one in audio)
        return min(rates.most_common(1)[0][0], _HIGHEST_RATE)

    def take(self, rows: Sequence[int]) -> "Utterances":
        """The utterances in these rows."""
        return replace(self, items=tuple(self.items[row] for row in rows))

    def digest(self) -> str:
        """A checksum of all that a manifest says, in hexadecimal. The content of files is not read."""
        digest = sha256()
        for item in self.items:
            digest.update(json.dumps([item.id, item.text, item.offset, item.duration, item.speaker]).encode())
            if isinstance(item.audio, Sound):
                digest.update(f"{item.audio.sample_rate}".encode() + item.audio.samples.tobytes())
            else:
                digest.update(item.audio.name.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def utterances_of(
    sounds: Sequence[Any], texts: Sequence[str] | None = None, sample_rate: int | None = None
) -> Utterances:
    """Utterances from lists.

    Args:
        sounds: each a path, a `Sound`, an `Utterance`, or an array of samples (N,) or (N, C). Samples are
            floating-point with full scale at -1 and 1, or integers of their type's full scale.
        texts: the text, or the label, of each. None: they are not known, or the utterances have them.
        sample_rate: samples a second of the arrays.

    Raises:
        DataError: the data cannot be used; the message names the position, from 1.
        ParameterError: arrays have no sample rate.
    """
    if texts is not None and len(texts) != len(sounds):
        raise DataError(f"the data: {len(sounds)} sounds and {len(texts)} texts; give one for each")
    items = []
    for position, sound in enumerate(sounds, start=1):
        where = f"the data, item {position}"
        text = None if texts is None else texts[position - 1]
        if text is not None and not isinstance(text, str):
            raise DataError(f"{where}: expected a text, got {text!r}.")
        if isinstance(sound, Utterance):
            items.append(sound if text is None else replace(sound, text=text))
        elif isinstance(sound, str | Path):
            items.append(Utterance(str(sound), Path(sound), text, where=where))
        else:
            made = sound if isinstance(sound, Sound) else _sound(sound, sample_rate, where)
            items.append(Utterance(str(position), made, text, duration=made.seconds, where=where))
    return Utterances(tuple(items), "the data")


def _sound(samples: Any, sample_rate: int | None, where: str) -> Sound:
    array = np.asarray(samples)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        got = f"{array.dtype} of shape {array.shape}" if array.dtype.kind != "O" else type(samples).__name__
        raise DataError(f"{where}: expected a path or samples (N,) or (N, C), got {got}.")
    if sample_rate is None:
        raise ParameterError("sample_rate", "samples a second, for sounds that are arrays", None)
    if array.dtype.kind == "u":
        raise DataError(f"{where}: unsigned samples ({array.dtype}); convert them to floating-point, from -1 to 1.")
    scale = 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max) + 1
    values = np.ascontiguousarray((array if array.ndim == 1 else array.mean(axis=1)) / scale, dtype=np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: a sample is not a finite number.")
    return Sound(values, sample_rate)
