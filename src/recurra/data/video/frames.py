"""Frames of clips as a network reads them, and as training varies them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from recurra.data.batches.buckets import collate
from recurra.data.video.augmentation_options import FrameAugmentation
from recurra.data.video.frame_cache import FrameCache, VideoSpan
from recurra.data.video.video_files import WHOLE, Crop

__all__ = ["EncodedFrames", "FrameSteps", "Frames", "frames_of_part", "thumbnails", "varied"]

_THUMBNAIL = 6  # cells of a side


@dataclass(frozen=True)
class Frames:
    """How videos become frames.

    Attributes:
        rate: frames a second.
        size: S, pixels of a side.
        crop: the part of the picture that is read.
    """

    rate: float
    size: int
    crop: Crop = WHOLE

    def read(self, videos: Sequence[VideoSpan], processes: int = 0) -> list[np.ndarray]:
        """The frames of videos, each (T, S, S, 3) and mapped from disk; see `FrameCache`.

        Raises:
            DataError: a video is damaged.
            RunError: the cache cannot be written.
        """
        cache = FrameCache(self.rate, self.size, crop=self.crop)
        cache.prepare(videos, processes)
        return [cache.frames(one) for one in videos]

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Frames (T, S, S, 3) as they are read: the pixels themselves."""
        return pixels

    def summaries(self, values: np.ndarray) -> np.ndarray:
        """What a simple rule reads of frames (T, S, S, 3): see `thumbnails`."""
        return thumbnails(values)

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"rate": self.rate, "size": self.size, "crop": list(self.crop)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Frames":
        """The inverse of `to_json`."""
        return cls(**{**values, "crop": tuple(values.get("crop", WHOLE))})


@dataclass(frozen=True)
class FrameSteps:
    """A batch of clips.

    Attributes:
        frames: uint8 (B, T, S, S, 3), or maps of them float16 (B, T, C, G, G).
        lengths: true lengths (B,), int64 on the CPU.
    """

    frames: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, clips: Sequence[np.ndarray]) -> "FrameSteps":
        """The batch of clips, each (T, S, S, 3) or (T, C, G, G)."""
        return cls(*collate([torch.from_numpy(np.array(one)) for one in clips]))

    def to(self, device: torch.device) -> "FrameSteps":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return FrameSteps(self.frames.to(device), self.lengths)


class EncodedFrames:
    """Clips laid out for batches; frames stay on disk until a batch has them.

    Args:
        clips: each (T, S, S, 3) or (T, C, G, G), at least one.
    """

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self._clips = clips
        self.lengths = np.array([len(one) for one in clips], dtype=np.int64)

    def batch(self, indices: np.ndarray) -> FrameSteps:
        """The batch of some clips."""
        return FrameSteps.of([self._clips[index] for index in indices])


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """The brightness of 6 x 6 parts of each frame (T, 36), 0 to 1: what a simple rule reads."""
    edges = np.linspace(0, frames.shape[1], _THUMBNAIL + 1).round().astype(int)
    cells = [
        frames[:, top:bottom, left:right].mean((1, 2, 3))
        for top, bottom in pairwise(edges)
        for left, right in pairwise(edges)
    ]
    return np.stack(cells, 1) / 255


def frames_of_part(count: int, steps: int, stretch: float, generator: np.random.Generator) -> np.ndarray:
    """Indices of the frames (T,) of a part of a clip, slower or faster.

    Args:
        count: frames of the clip.
        steps: frames at most, of a part that is sampled; 0: the whole clip.
        stretch: how much longer it is to take.
        generator: the part is sampled from.
    """
    stretched = max(round((count - 1) * stretch) + 1, 1)
    index = np.minimum(np.rint(np.arange(stretched) / stretch).astype(int), count - 1)
    if steps and stretched > steps:
        first = int(generator.integers(stretched - steps + 1))
        index = index[first : first + steps]
    return index


def varied(frames: np.ndarray, options: FrameAugmentation, generator: np.random.Generator) -> np.ndarray:
    """Frames (T, S, S, 3) a little aside, larger or smaller, and brighter or darker.

    Args:
        frames: (T, S, S, 3).
        options: how they are varied.
        generator: the variation is sampled from.
    """
    factor = 1 + generator.uniform(-options.brightness, options.brightness)
    most = np.log1p(options.zoom)
    height, width = np.exp(generator.uniform(-most, most) + generator.uniform(-most / 2, most / 2, 2))
    down, right = 2 * generator.uniform(-options.shift, options.shift, 2)
    pixels = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).to(torch.float32)
    if options.zoom or options.shift:
        # Where each new pixel was: from -1 to 1 over the width and over the height.
        theta = torch.tensor([[[1 / width, 0, -right / width], [0, 1 / height, -down / height]]], dtype=torch.float32)
        grid = affine_grid(theta, [1, *pixels.shape[1:]], align_corners=False)
        pixels = grid_sample(pixels, grid.expand(len(pixels), -1, -1, -1), align_corners=False)
    return (pixels * factor).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
