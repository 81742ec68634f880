"""Small frames of videos, decoded once: cached on disk by the content of the file."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from recurra.data.video.video_files import frames_at, image_files, shown_frames
from recurra.errors import DataError
from recurra.files import cache_folder, prepare_folder, write_atomically

__all__ = ["FrameCache", "VideoSpan"]

_FEW = 16  # videos that are decoded in this process: others take a second to start


@dataclass(frozen=True)
class VideoSpan:
    """A video, or a span of it.

    Attributes:
        path: a file, or a folder of images.
        seconds: how long it is, by its header.
        frame_rate: images a second of a folder.
        start: seconds, from the first frame.
        end: seconds. None: the end of the video.
    """

    path: Path
    seconds: float
    frame_rate: float = 30.0
    start: float = 0.0
    end: float | None = None

    def between(self, start: float | None, end: float | None) -> "VideoSpan":
        """The span from `start` to before `end`, in seconds."""
        first = 0.0 if start is None else start
        last = self.seconds if end is None else min(end, self.seconds or end)
        return replace(self, start=first, end=end, seconds=max(last - first, 0.0))

    def beginning(self, fraction: float) -> "VideoSpan":
        """The first `fraction` of the time."""
        return self if fraction >= 1 else replace(self, end=self.start + fraction * self.seconds)

    def digest(self) -> str:
        """A checksum of the content, and of the span. Raises DataError: a file cannot be read."""
        digest = sha256(f"{self.start} {self.end} {self.frame_rate if self.path.is_dir() else ''}".encode())
        try:
            for file in image_files(self.path) if self.path.is_dir() else [self.path]:
                with file.open("rb") as content:
                    while block := content.read(1 << 20):
                        digest.update(block)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error}).") from None
        return digest.hexdigest()


class FrameCache:
    """The frames of videos at even times, uint8 (T, S, S, 3), read from disk as they are needed.

    A video whose content changed has another checksum, and is decoded anew. A damaged entry counts as none. Frames go
    to disk as they are decoded, so that memory does not grow with the length of a video.

    Args:
        rate: frames a second.
        size: S.
        folder: of the cache. None: in `RECURRA_CACHE`, or else in the user's cache folder.

    Raises:
        RunError: there is no folder for the cache.
    """

    def __init__(self, rate: float, size: int, folder: Path | None = None) -> None:
        self.rate, self.size = rate, size
        self.folder = (cache_folder("frames") if folder is None else folder) / f"{rate:g}-{size}"

    def frames(self, span: VideoSpan) -> np.ndarray:
        """The frames of a video (T, S, S, 3), mapped from disk. Raises DataError, RunError."""
        path = self._path(span.digest())
        if not self._is_whole(path):
            prepare_folder(path.parent)
            write_atomically(path, lambda aside: self._decode(span, aside))
        return np.memmap(path, np.uint8, "r").reshape(-1, self.size, self.size, 3)

    def prepare(self, spans: Sequence[VideoSpan], processes: int = 0) -> int:
        """Decode what is not cached, in several processes; returns how many videos were.

        Args:
            spans: the videos.
            processes: how many. 0: as many as the machine has cores, and none for a few videos.

        Raises:
            DataError: a video is damaged; what was decoded before stays cached.
        """
        missing = [span for span in spans if not self._is_whole(self._path(span.digest()))]
        count = min(processes or (os.cpu_count() or 1), len(missing))
        if count < 2 or (not processes and len(missing) < _FEW):
            for span in missing:
                self.frames(span)
            return len(missing)
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            for _ in pool.map(self._prepare_one, missing, chunksize=4):
                pass
        return len(missing)

    def _prepare_one(self, span: VideoSpan) -> None:
        self.frames(span)

    def _decode(self, span: VideoSpan, aside: Path) -> None:
        shown = shown_frames(span.path, self.size, span.frame_rate, span.start)
        with aside.open("wb") as file:
            for _, pixels in frames_at(shown, self.rate, span.end):
                file.write(pixels.tobytes())
            if not file.tell():
                until = "the end" if span.end is None else f"{span.end:g} s"
                raise DataError(f"{span.path}: no frame from {span.start:g} s to {until}.")

    def _is_whole(self, path: Path) -> bool:
        size = path.stat().st_size if path.is_file() else 0
        return size > 0 and size % (self.size * self.size * 3) == 0

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest[2:]}.uint8"
