"""Frames of videos, small and at even times: files that FFmpeg reads, animations, and folders of images."""

import io
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.text_file import check_file
from recurra.data.image.pixels import ENDINGS as IMAGES
from recurra.errors import DataError, MissingExtraError

__all__ = ["VIDEOS", "WHOLE", "Crop", "Frame", "check_video", "frames_at", "image_files", "read_frame", "shown_frames"]

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".avi",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".ts",
    ".wmv",
    ".flv",
    ".3gp",
    ".ogv",
    ".gif",
)
"""The endings by which a folder's videos are recognised, in lower case. What is read depends on PyAV's build."""

_WHOLE = 0.9  # of its duration by the header, less a second: where frames end at least, as sound may last longer
_EPSILON = 1e-6  # seconds

Frame = tuple[float, np.ndarray]
"""When a frame is shown, in seconds from the first, and its pixels uint8 (S, S, 3)."""

Crop = tuple[float, float, float, float]
"""Left, top, right and bottom of the part of an upright picture that is read, as fractions of its width and height."""

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by the numbers in their names."""
    images = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES and not path.name.startswith(".")]
    return sorted(
        images, key=lambda path: [int(one) if one.isdigit() else one for one in re.split(r"(\d+)", path.name)]
    )


def check_video(path: Path) -> float:
    """The duration in seconds of a video, whose first frame is decoded. Of an image sequence it is 0.

    Raises:
        DataError: it is missing, damaged, without a picture, or without a frame.
        MissingExtraError: the extra `video` is not installed.
    """
    if path.is_dir():
        next(shown_frames(path, 16, 30.0))
        return 0.0
    next(shown_frames(path, 16, 30.0))
    with _opened(path) as container:
        return _duration(container) or 0.0


def shown_frames(path: Path, size: int, frame_rate: float, start: float = 0.0, crop: Crop = WHOLE) -> Iterator[Frame]:
    """The frames of a video in turn, as soon as they are decoded; one at a time is in memory.

    A frame is turned as its metadata say (a phone held upright), cropped, and scaled into a square of S x S pixels,
    with black around it.

    Args:
        path: a file, or a folder of images.
        size: S.
        frame_rate: images a second of a folder.
        start: seconds, from the frame shown then on: the file is decoded from the key frame before.
        crop: the part of the picture that is read.

    Raises:
        DataError: the file is missing or damaged, has no picture or no frame, or ends before its header says.
        MissingExtraError: the extra `video`, or `image` for a folder, is not installed.
    """
    if path.is_dir():
        return _of_folder(path, size, frame_rate, start, crop)
    return _of_file(path, size, start, crop)


def frames_at(frames: Iterator[Frame], rate: float, end: float | None = None) -> Iterator[Frame]:
    """The frame that is shown at each time of an even grid: 0, 1 / rate, ... after the first, to before `end`.

    Where a video has fewer frames, one is shown several times; where it has more, some are not shown.
    """
    shown: np.ndarray | None = None
    first = last = 0.0
    k = 0
    for time, pixels in frames:
        if shown is None:
            first = time
        else:
            while first + k / rate < time - _EPSILON:
                if end is not None and first + k / rate >= end - _EPSILON:
                    return
                yield first + k / rate, shown
                k += 1
        shown, last = pixels, time
    if shown is not None and first + k / rate <= last + _EPSILON and (end is None or first + k / rate < end - _EPSILON):
        yield first + k / rate, shown


def _of_file(path: Path, size: int, start: float, crop: Crop) -> Iterator[Frame]:
    av, before, last = _av(), None, None
    try:
        with _opened(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            begin = 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
            if start > 0:
                container.seek(int((begin + start) / stream.time_base), stream=stream, backward=True)
            for frame in container.decode(stream):
                # A stream without stamps has its usual rate.
                step = 1 / float(stream.average_rate or 30)
                time = (0.0 if last is None else last + step) if frame.time is None else frame.time - begin
                if last is not None and time <= last:
                    continue
                last = time
                if time < start - _EPSILON:
                    before = (time, frame)
                    continue
                if before is not None and time > start + _EPSILON:
                    yield start, _scaled(before[1], size, crop)
                before = None
                yield time, _scaled(frame, size, crop)
            if last is None:
                raise DataError(f"{path}: there is no frame in it.")
            # The last frame is shown for a step.
            if before is not None and start < before[0] + 1 / float(stream.average_rate or 30):
                yield start, _scaled(before[1], size, crop)
            expected = _duration(container) or 0.0
            if last < _WHOLE * expected - 1:
                raise DataError(
                    f"{path}: it is cut off: frames end at {last:.1f} s, and its header says {expected:.1f} s. Repair "
                    "it: ffmpeg -i OLD -c copy NEW"
                )
    except av.FFmpegError as error:
        at = "" if last is None else f" after {last:.1f} s"
        raise DataError(f"{path}: damaged{at} ({_reason(error)}).") from None


def _opened(path: Path) -> Any:
    """The container of a file with a picture."""
    av = _av()
    check_file(path)
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DataError(f"{path}: not a video that FFmpeg reads, or cut off ({_reason(error)}).") from None
    if not container.streams.video:
        has_sound = bool(container.streams.audio)
        container.close()
        raise DataError(f"{path}: there is {'sound and no picture' if has_sound else 'no picture'} in it.")
    return container


def _duration(container: Any) -> float | None:
    stream = container.streams.video[0]
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _scaled(frame: Any, size: int, crop: Crop) -> np.ndarray:
    turns = round(frame.rotation / 90) % 4
    if crop != WHOLE:
        pixels = np.rot90(frame.to_ndarray(format="rgb24"), turns)
        left, top, right, bottom = _box(pixels.shape[1], pixels.shape[0], crop)
        part = np.ascontiguousarray(pixels[top:bottom, left:right])
        frame, turns = _av().VideoFrame.from_ndarray(part, format="rgb24"), 0
    width, height = frame.width, frame.height
    scale = size / max(width, height)
    inside = max(round(width * scale), 1), max(round(height * scale), 1)
    pixels = frame.reformat(width=inside[0], height=inside[1], format="rgb24", interpolation="AREA").to_ndarray()
    return _padded(np.rot90(pixels, turns), size)


def _box(width: int, height: int, crop: Crop) -> tuple[int, int, int, int]:
    """The part of a picture in pixels, at least one wide and high."""
    left, top = min(round(crop[0] * width), width - 1), min(round(crop[1] * height), height - 1)
    return left, top, max(round(crop[2] * width), left + 1), max(round(crop[3] * height), top + 1)


def _padded(pixels: np.ndarray, size: int) -> np.ndarray:
    square = np.zeros((size, size, 3), np.uint8)
    rows, columns = pixels.shape[:2]
    top, left = (size - rows) // 2, (size - columns) // 2
    square[top : top + rows, left : left + columns] = pixels
    return square


def _of_folder(folder: Path, size: int, frame_rate: float, start: float, crop: Crop) -> Iterator[Frame]:
    files = image_files(folder)
    if not files:
        raise DataError(f"{folder}: there is no image in this folder.")
    for k in range(int(start * frame_rate + _EPSILON), len(files)):
        yield k / frame_rate, read_frame(files[k], size, str(files[k]), crop)


def read_frame(content: Path | bytes, size: int, name: str, crop: Crop = WHOLE) -> np.ndarray:
    """An image as a frame of a video, upright and cropped, in a square with black around it: uint8 (S, S, 3).

    Args:
        content: of the file, or its path.
        size: S.
        name: of the image, for messages.
        crop: the part of the picture that is read.

    Raises:
        DataError: it is missing, damaged, or no image.
        MissingExtraError: the extra `image` is not installed.
    """
    try:
        pillow, ops = import_module("PIL.Image"), import_module("PIL.ImageOps")
    except ImportError:
        raise MissingExtraError("Pillow", "image", "reading images") from None
    file = io.BytesIO(content) if isinstance(content, bytes) else check_file(content)
    try:
        with pillow.open(file) as image:
            if crop == WHOLE:
                image.draft(None, (2 * size, 2 * size))
            turned = ops.exif_transpose(image).convert("RGB")
            turned = turned.crop(_box(*turned.size, crop))
            return _padded(np.array(ops.contain(turned, (size, size))), size)
    except Exception as error:  # decoders raise errors of any kind on damaged files
        raise DataError(f"{name}: no image, or damaged ({_reason(error)}).") from None


def _av() -> Any:
    try:
        return import_module("av")
    except ImportError:
        raise MissingExtraError("PyAV", "video", "reading videos") from None


def _reason(error: Exception) -> str:
    words = " ".join(str(getattr(error, "strerror", None) or error).split())
    return words[:100] or type(error).__name__
