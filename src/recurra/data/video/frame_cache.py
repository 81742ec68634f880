"""Small frames of videos, decoded once: cached on disk by the content of the file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from recurra.data.video.video_files import WHOLE, Crop, Frame, frames_at, image_files, shown_frames
from recurra.errors import DataError
from recurra.files import cache_folder, prepare_folder, write_atomically

__all__ = ["FrameCache", "VideoCache", "VideoSpan", "crop_name", "frames_of"]

_FEW = 16  # videos that are decoded in this process: others take a second to start


@lru_cache(maxsize=1 << 16)
def _content(file: Path, *about: int) -> bytes:
    """A checksum of a file's content. A recording of many spans is read once, until what the system says of it changes.

    Raises:
        OSError: it cannot be read.
    """
    digest = sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.digest()


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
                about = file.stat()
                digest.update(_content(file, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error}).") from None
        return digest.hexdigest()


class VideoCache:
    """What is computed of the frames of videos, arrays (T, ...), mapped from disk as they are needed.

    A video whose content changed has another checksum, and is computed anew. A damaged entry counts as none. Values go
    to disk as they are computed, so that memory does not grow with the length of a video.

    Args:
        folder: of the files; it is made when the first is written. What values depend on beside the video, such as the
            frames a second, has to be part of its name.
        shape: of the values of a frame.
        dtype: of the values.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.folder, self._shape, self._dtype = folder, shape, np.dtype(dtype)

    def __contains__(self, span: VideoSpan) -> bool:
        return self._is_whole(self._path(span))

    def values(self, span: VideoSpan, compute: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
        """The values of a video's frames (T, ...).

        Args:
            span: the video.
            compute: the values in turn, of any number of frames each; called if they are not cached.

        Raises:
            DataError: there is no frame, or what `compute` raises.
            RunError: the folder cannot be written.
        """
        path = self._path(span)
        if not self._is_whole(path):
            prepare_folder(path.parent)
            write_atomically(path, lambda aside: self._write(span, aside, compute()))
        return np.memmap(path, self._dtype, "r").reshape(-1, *self._shape)

    def _write(self, span: VideoSpan, aside: Path, computed: Iterable[np.ndarray]) -> None:
        with aside.open("wb") as file:
            for values in computed:
                file.write(np.ascontiguousarray(values, self._dtype).tobytes())
            if not file.tell():
                until = "the end" if span.end is None else f"{span.end:g} s"
                raise DataError(f"{span.path}: no frame from {span.start:g} s to {until}.")

    def _is_whole(self, path: Path) -> bool:
        size = path.stat().st_size if path.is_file() else 0
        return size > 0 and size % (int(np.prod(self._shape)) * self._dtype.itemsize) == 0

    def _path(self, span: VideoSpan) -> Path:
        digest = span.digest()
        return self.folder / digest[:2] / f"{digest[2:]}.{self._dtype}"


class FrameCache:
    """The frames of videos at even times, uint8 (T, S, S, 3); see `VideoCache`.

    Args:
        rate: frames a second.
        size: S.
        folder: of the cache. None: in `RECURRA_CACHE`, or else in the user's cache folder.
        crop: the part of the picture that is read.

    Raises:
        RunError: there is no folder for the cache.
    """

    def __init__(self, rate: float, size: int, folder: Path | None = None, crop: Crop = WHOLE) -> None:
        self.rate, self.size, self.crop = rate, size, crop
        self.folder = (cache_folder("frames") if folder is None else folder) / f"{rate:g}-{size}{crop_name(crop)}"
        self._cache = VideoCache(self.folder, (size, size, 3), "uint8")

    def frames(self, span: VideoSpan) -> np.ndarray:
        """The frames of a video (T, S, S, 3), mapped from disk. Raises DataError, RunError."""
        return self._cache.values(
            span, lambda: (pixels for _, pixels in frames_of(span, self.rate, self.size, self.crop))
        )

    def prepare(self, spans: Sequence[VideoSpan], processes: int = 0) -> int:
        """Decode what is not cached, in several processes; returns how many videos were.

        Args:
            spans: the videos.
            processes: how many. 0: as many as the machine has cores, and none for a few videos.

        Raises:
            DataError: a video is damaged; what was decoded before stays cached.
        """
        missing = [span for span in spans if span not in self._cache]
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


def crop_name(crop: Crop) -> str:
    """A part of the name of a cache's folder; nothing for the whole picture."""
    return "" if crop == WHOLE else "-crop-" + "-".join(f"{one:g}" for one in crop)


def frames_of(span: VideoSpan, rate: float, size: int, crop: Crop = WHOLE) -> Iterator[Frame]:
    """The frames of a video at even times, `rate` a second; see `shown_frames`. Raises DataError, MissingExtraError."""
    return frames_at(shown_frames(span.path, size, span.frame_rate, span.start, crop), rate, span.end)
