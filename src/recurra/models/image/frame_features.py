"""Frames of videos as a pretrained network reads them, cached by the content of the video."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, Self

import numpy as np
import torch

from recurra.data.video.frame_cache import VideoCache, VideoSpan, crop_name, frames_of
from recurra.data.video.video_files import WHOLE, Crop
from recurra.files import cache_folder
from recurra.models.image.efficientnet_lite import EfficientNetLite0
from recurra.progress import Progress

__all__ = ["FrameFeatures", "FrameMaps"]

_TOGETHER = 16  # frames that are read at once
_MANY = 20  # videos, from which on progress is shown


@dataclass(frozen=True)
class _Pretrained(ABC):
    """What EfficientNet-Lite0 makes of each frame, cached on disk in 16 bits.

    Attributes:
        rate: frames a second.
        size: S, pixels of a side of the frames, 224.
        crop: the part of the picture that is read.
    """

    rate: float
    crop: Crop = field(default=WHOLE, kw_only=True)
    size: ClassVar[int] = EfficientNetLite0.size

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the values of a frame."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """The name of the values in the cache."""

    @abstractmethod
    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The values (T, ...) float16 of frames uint8 (T, S, S, 3). Raises MissingExtraError."""

    @abstractmethod
    def summaries(self, values: np.ndarray) -> np.ndarray:
        """What a simple rule reads of the values (T, ...) of frames: (T, F)."""

    def read(self, videos: Sequence[VideoSpan], processes: int = 0) -> list[np.ndarray]:
        """The values of the frames of videos, each (T, ...) float16 and mapped from disk.

        Args:
            videos: to read.
            processes: not used: frames are decoded as the network reads them.

        Raises:
            DataError: a video is damaged.
            MissingExtraError: the extra `pretrained` is not installed, and values are not cached.
            RunError: the cache cannot be written.
        """
        name = f"{self.folder}-{self.rate:g}{crop_name(self.crop)}"
        cache = VideoCache(cache_folder("features") / name, self.shape, "float16")
        read = []
        with Progress(len(videos), task="reading videos", show=None if len(videos) >= _MANY else False) as progress:
            for video in videos:
                read.append(cache.values(video, lambda video=video: self._computed(video)))
                progress.update({}, 1)
        return read

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**values, "crop": tuple(values.get("crop", WHOLE))})

    @cached_property
    def _network(self) -> EfficientNetLite0:
        return EfficientNetLite0.pretrained()

    def _computed(self, video: VideoSpan) -> Iterator[np.ndarray]:
        frames = (pixels for _, pixels in frames_of(video, self.rate, self.size, self.crop))
        while some := list(islice(frames, _TOGETHER)):
            yield self.of(np.stack(some))


@dataclass(frozen=True)
class FrameFeatures(_Pretrained):
    """The mean features of a frozen EfficientNet-Lite0 over each frame (1,280)."""

    @property
    def shape(self) -> tuple[int]:
        return (EfficientNetLite0.channels,)

    @property
    def folder(self) -> str:
        return "efficientnet-lite0"

    @torch.inference_mode()
    def of(self, pixels: np.ndarray) -> np.ndarray:
        return self._network(torch.from_numpy(pixels)).mean((2, 3)).numpy().astype(np.float16)

    def summaries(self, values: np.ndarray) -> np.ndarray:
        return values


@dataclass(frozen=True)
class FrameMaps(_Pretrained):
    """The maps (C, G, G) of each frame that the last blocks of EfficientNet-Lite0 read, which are fine-tuned.

    Attributes:
        blocks: how many.
    """

    blocks: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return EfficientNetLite0.maps_shape(self.blocks)

    @property
    def folder(self) -> str:
        return f"efficientnet-lite0-before-{self.blocks}"

    @torch.inference_mode()
    def of(self, pixels: np.ndarray) -> np.ndarray:
        return self._network.beginning(torch.from_numpy(pixels), self.blocks).numpy().astype(np.float16)

    def summaries(self, values: np.ndarray) -> np.ndarray:
        """The mean of each map (T, C)."""
        return values.mean((2, 3), dtype=np.float32)
