"""Frames of videos as features of a frozen pretrained network, cached by the content of the video."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch

from recurra.data.video.frame_cache import VideoCache, VideoSpan, frames_of
from recurra.files import cache_folder
from recurra.models.image.efficientnet_lite import EfficientNetLite0
from recurra.progress import Progress

__all__ = ["FrameFeatures"]

_TOGETHER = 16  # frames that are read at once
_MANY = 20  # videos, from which on progress is shown


@dataclass(frozen=True)
class FrameFeatures:
    """The mean features of EfficientNet-Lite0 over each frame (1,280), frozen; cached on disk in 16 bits.

    Attributes:
        rate: frames a second.
        size: S, pixels of a side of the frames, 224.
        channels: features of a frame, 1,280.
    """

    rate: float
    size: ClassVar[int] = EfficientNetLite0.size
    channels: ClassVar[int] = EfficientNetLite0.channels

    def read(self, videos: Sequence[VideoSpan]) -> list[np.ndarray]:
        """The features of the frames of videos, each (T, 1280) float16 and mapped from disk.

        Raises:
            DataError: a video is damaged.
            MissingExtraError: the extra `pretrained` is not installed, and features are not cached.
            RunError: the cache cannot be written.
        """
        cache = VideoCache(cache_folder("features") / f"efficientnet-lite0-{self.rate:g}", (self.channels,), "float16")
        read = []
        with Progress(len(videos), task="reading videos", show=None if len(videos) >= _MANY else False) as progress:
            for video in videos:
                read.append(cache.values(video, lambda video=video: self._computed(video)))
                progress.update({}, 1)
        return read

    @torch.inference_mode()
    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The features (T, 1280) float16 of frames uint8 (T, S, S, 3). Raises MissingExtraError."""
        return self._network(torch.from_numpy(pixels)).mean((2, 3)).numpy().astype(np.float16)

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"rate": self.rate}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "FrameFeatures":
        """The inverse of `to_json`."""
        return cls(**values)

    @cached_property
    def _network(self) -> EfficientNetLite0:
        return EfficientNetLite0.pretrained()

    def _computed(self, video: VideoSpan) -> Iterator[np.ndarray]:
        frames = (pixels for _, pixels in frames_of(video, self.rate, self.size))
        while some := list(islice(frames, _TOGETHER)):
            yield self.of(np.stack(some))
