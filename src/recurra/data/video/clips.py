"""Labelled clips: recordings, or spans of them, of which each has one label."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.landmarks import Landmarks
from recurra.errors import DataError

__all__ = ["Clip", "Clips", "form_in_words"]


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        id: its name in results.
        content: what it shows: landmarks, or a video.
        label: what happens in it. None: it is not known.
        subject: who is in it. None: it is not known.
        where: the table and its line, or the file, for messages.
    """

    id: str
    content: Landmarks | VideoSpan
    label: str | None = None
    subject: str | None = None
    where: str = ""


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

    def take(self, rows: Sequence[int]) -> "Clips":
        """The clips in these rows."""
        return replace(self, items=tuple(self.items[row] for row in rows))

    def digest(self) -> str:
        """A checksum of labels, subjects, and landmarks or the content of videos, in hexadecimal. Raises DataError."""
        digest = sha256()
        for one in self.items:
            digest.update(json.dumps([one.id, one.label, one.subject]).encode())
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
