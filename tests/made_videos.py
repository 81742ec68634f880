"""Made videos: a bright square that goes right or left, so that only the order of frames tells one from the other."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

LABELS = ("right", "left")


def write_video(
    path: Path, frames: Sequence[np.ndarray], times: Sequence[float], codec: str = "libx264", turn: int = 0
) -> Path:
    """A video of frames (H, W, 3) shown at some times in seconds.

    Args:
        path: of the file; of MP4 if it is turned.
        frames: its pictures.
        times: when each is shown.
        codec: of the pictures.
        turn: degrees clockwise by which players turn them, as a phone that is held upright writes: 0, 90, 180 or 270.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        if codec == "libx264":
            stream.options = {"crf": "10", "g": "8"}
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if turn:
        # The track's header (ISO/IEC 14496-12, 8.3.2) has a matrix of 16.16 numbers 40 bytes after its name.
        content = bytearray(path.read_bytes())
        begin = content.index(b"tkhd") + 4 + 40
        cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
        content[begin : begin + 20] = struct.pack(">5i", *(one << 16 for one in (cosine, sine, 0, -sine, cosine)))
        path.write_bytes(content)
    return path


def grey(values: Sequence[int], height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A frame of one brightness for each value."""
    return [np.full((height, width, 3), value, np.uint8) for value in values]


def moving(label: str, seed: int) -> tuple[list[np.ndarray], list[float]]:
    """Frames (48, 64, 3) and their times."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(8, 12))
    places = np.linspace(2, 46, count).round().astype(int)
    places = places if label == "right" else places[::-1]
    top = int(generator.integers(8, 24))
    frames = []
    for place in places:
        pixels = generator.integers(0, 40, (48, 64, 3)).astype(np.uint8)
        pixels[top : top + 14, place : place + 14] = 230
        frames.append(pixels)
    return frames, [k / 10 for k in range(count)]


def write_videos(folder: Path, count: int, seed: int = 0) -> Path:
    """A folder with a subfolder of videos for each label."""
    for k in range(count):
        label = LABELS[k % 2]
        write_video(folder / label / f"{k}.mp4", *moving(label, 1000 * seed + k))
    return folder
