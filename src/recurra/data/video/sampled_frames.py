"""A few frames of a video, spread over its time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recurra.data.video.video_files import check_video, image_files, shown_frames
from recurra.errors import DataError

__all__ = ["sampled_frames"]

_IMAGES_A_SECOND = 1.0  # of a folder, where only the order counts


def sampled_frames(path: Path, count: int, size: int) -> np.ndarray:
    """The frames that are shown in the middle of `count` equal parts of a video: uint8 (F, S, S, 3).

    A file is decoded from the key frame before each of these times, so that a long video costs little more than a short
    one; if its header does not say how long it is, it is decoded once more to see. A video of fewer frames shows some
    of them several times.

    Args:
        path: a file, or a folder of images; see `shown_frames`.
        count: F.
        size: S.

    Raises:
        DataError: the video is missing or damaged, or has no picture or no frame.
        MissingExtraError: the extra `video`, or `image` for a folder, is not installed.
    """
    if path.is_dir():
        seconds = len(image_files(path)) / _IMAGES_A_SECOND
    else:
        seconds = check_video(path) or max(time for time, _ in _frames(path, 16, 0.0))
    # The header may say more than there is; a frame in the middle of a part is shown before its end.
    times = [(index + 0.5) * seconds / count for index in range(count)]
    frames: list[np.ndarray] = []
    for time in times:
        _, pixels = next(_frames(path, size, time), (time, None))
        if pixels is None:
            if not frames:
                raise DataError(f"{path}: no frame at {time:.1f} s, and its header says {seconds:.1f} s.")
            pixels = frames[-1]
        frames.append(pixels)
    return np.stack(frames)


def _frames(path: Path, size: int, start: float) -> Iterator[tuple[float, np.ndarray]]:
    return shown_frames(path, size, _IMAGES_A_SECOND, start)
