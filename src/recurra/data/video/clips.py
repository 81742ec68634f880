"""Labelled clips: recordings, or spans of them, of which each has one label."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from recurra.data.labelled.items import split_rows
from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.landmarks import Landmarks
from recurra.errors import DataError

__all__ = ["Clip", "Clips", "LabelSpan", "form_in_words"]

_EPSILON = 1e-6  # seconds


class LabelSpan(NamedTuple):
    """What happens from `start` to before `end`, in seconds from the beginning of a recording."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        id: its name in results.
        content: what it shows: landmarks, or a video.
        label: what happens in it. None: it is not known.
        subject: who is in it. None: it is not known.
        where: the table and its line, or the file, for messages.
        recording: what it is a span of; clips of one recording are alike. Empty: it is a recording of its own.
        spans: what happens when, in order and without overlap. None: it is not known.
    """

    id: str
    content: Landmarks | VideoSpan
    label: str | None = None
    subject: str | None = None
    where: str = ""
    recording: str = ""
    spans: tuple[LabelSpan, ...] | None = None

    def labels_at(self, times: np.ndarray, background: str) -> list[str]:
        """The label at each time (T,) in seconds, from spans that are known; `background` outside of them."""
        assert self.spans is not None
        names = [background, *(one.label for one in self.spans)]
        # The span that began last at each time, from 1, if it has not ended.
        index = np.searchsorted([one.start for one in self.spans], times + _EPSILON, side="right")
        ends = np.array([-np.inf, *(one.end for one in self.spans)])
        return [names[k] for k in np.where(times + _EPSILON < ends[index], index, 0)]


@dataclass(frozen=True)
class Clips:
    """The clips of a folder or a table.

    Attributes:
        items: one or more clips: videos, or landmarks alike in points, dimensions and sensors.
        source: for messages.

    Raises:
        DataError: there are none, or one is of another kind, or has other points or sensors, than the first.
    """

    items: tuple[Clip, ...]
    source: str = "the clips"

    def __post_init__(self) -> None:
        if not self.items:
            raise DataError(f"{self.source}: no clips, expected at least one.")
        first = self.items[0]
        for one in self.items:
            if (expected := form(first.content)) != (got := form(one.content)):
                other = f"{first.where or first.id} has {form_in_words(expected)}"
                raise DataError(f"{one.where or one.id}: {form_in_words(got)}, but {other}.")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Clip:
        return self.items[row]

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.items)

    @property
    def form(self) -> tuple[int, ...]:
        """Points, dimensions, and channels of sensors, 0 without them; empty for videos."""
        return form(self.items[0].content)

    @property
    def landmarks(self) -> list[Landmarks]:
        """The landmarks of each, if they are no videos."""
        return [one.content for one in self.items if isinstance(one.content, Landmarks)]

    @property
    def videos(self) -> list[VideoSpan]:
        """The video of each, if they are videos."""
        return [one.content for one in self.items if isinstance(one.content, VideoSpan)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each. Raises DataError: one has none."""
        for one in self.items:
            if one.label is None:
                raise DataError(f"{one.where or one.id}: there is no label, which each clip needs here.")
        return tuple(one.label for one in self.items if one.label is not None)

    def check_spans(self) -> None:
        """Raises DataError: of one it is not known what happens when."""
        for one in self.items:
            if one.spans is None:
                raise DataError(
                    f"{one.where or one.id}: nothing says what happens when, which --by-frame asks of each recording. "
                    "Give a table with the columns file, label, start and end, or a column `label` beside landmarks."
                )

    def held_out(self, fraction: float, seed: int) -> list[int]:
        """The rows of about a fraction of each label's clips, sampled with the seed; all of a recording, or none.

        Each label keeps a clip that is not among them. Clips without a label are held out as if all had the same.
        """
        labels = [("",) if one.label is None else (one.label,) for one in self.items]
        recordings = [one.recording or f"row {k}" for k, one in enumerate(self.items)]
        if len(set(recordings)) == len(self):
            return split_rows(labels, fraction, seed)[1]
        rows: dict[str, list[int]] = {}
        for k, name in enumerate(recordings):
            rows.setdefault(name, []).append(k)
        rest, held = Counter(labels), Counter[tuple[str, ...]]()
        most = {label: round(fraction * count) for label, count in rest.items()}
        chosen: list[int] = []
        for name in np.random.default_rng(seed).permutation(sorted(rows)).tolist():
            own = Counter(labels[k] for k in rows[name])
            if all(rest[one] > n for one, n in own.items()) and any(held[one] < most[one] for one in own):
                chosen += rows[name]
                rest -= own
                held += own
        return sorted(chosen)

    def take(self, rows: Sequence[int]) -> "Clips":
        """The clips in these rows."""
        return replace(self, items=tuple(self.items[row] for row in rows))

    def digest(self) -> str:
        """A checksum of labels, subjects, and landmarks or the content of videos, in hexadecimal. Raises DataError."""
        digest = sha256()
        for one in self.items:
            digest.update(json.dumps([one.id, one.label, one.subject, one.spans]).encode())
            values = one.content
            if isinstance(values, VideoSpan):
                digest.update(values.digest().encode())
                continue
            for array in (values.points, values.times, values.sensors):
                digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()


def form(content: Landmarks | VideoSpan) -> tuple[int, ...]:
    """Points, dimensions, and channels of sensors, 0 without them; empty for a video."""
    if isinstance(content, VideoSpan):
        return ()
    sensors = content.sensors
    return (*content.points.shape[1:], 0 if sensors is None else sensors.shape[1])


def form_in_words(one: tuple[int, ...]) -> str:
    """What `form` returns, in words."""
    if not one:
        return "a video"
    points, dimensions, channels = one
    return f"{points} points in {dimensions} dimensions" + (f" and {channels} channels of sensors" if channels else "")
