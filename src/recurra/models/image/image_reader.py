"""Images as a network reads them: pixels in memory, or a pretrained network's features, cached by content."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.files.problems import Problem, log_problems, refuse_unusable
from recurra.data.image.captioned_images import CaptionedImage, CaptionedImages
from recurra.data.image.content_cache import ContentCache
from recurra.data.image.pixels import ENDINGS, content_of, digest_of, read_pixels
from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.sampled_frames import sampled_frames
from recurra.data.video.video_files import VIDEOS
from recurra.errors import DataError
from recurra.files import cache_folder
from recurra.models.image.efficientnet_lite import EfficientNetLite0
from recurra.progress import Progress

__all__ = ["FeatureReader", "ImageReader", "PixelReader", "ReadImages", "read_images"]

_log = logging.getLogger("recurra.image")
_TOGETHER = 16  # images that are decoded and read at once
_MANY = 500  # images, from which on progress is shown
_THUMBNAIL = 8  # pixels of a side, of the descriptor of a small image


class ImageReader(ABC):
    """What a network reads of an image, or of some frames of a video.

    A video is a file whose name ends as one of `VIDEOS`, a GIF if there are several frames, or a folder of images. An
    image that does not move is each of its frames.

    Attributes:
        size: pixels of a side that an image is scaled to.
        frames: F, at even times of a video.
    """

    size: int
    frames: int

    @abstractmethod
    def entries(self, images: Sequence[CaptionedImage]) -> list[Any]:
        """Of each image what `batch` needs, or the DataError that says why it cannot be read."""

    @abstractmethod
    def batch(self, images: Sequence[CaptionedImage], entries: Sequence[Any]) -> Tensor:
        """What the network reads of images, with a row an image."""

    @abstractmethod
    def descriptors(self, batch: Tensor) -> Tensor:
        """A vector of each image of a batch (B, D): near for images that look alike, by Euclidean distance."""

    def pixels(self, image: CaptionedImage) -> np.ndarray:
        """An image as it is read: uint8 (S, S, 3), or (F, S, S, 3) with several frames. Raises DataError."""
        if self.is_video(image):
            read = sampled_frames(Path(str(image.image)), self.frames, self.size)
        else:
            read = np.stack([read_pixels(content_of(image.image), self.size, str(image.name))] * self.frames)
        return read if self.frames > 1 else read[0]

    def is_video(self, image: CaptionedImage) -> bool:
        """Whether it is read as a video."""
        path = image.image
        if not isinstance(path, Path):
            return False
        ending = path.suffix.lower()
        # Of an animation that is read as one frame it is the first.
        return (ending in VIDEOS and (ending not in ENDINGS or self.frames > 1)) or path.is_dir()


class PixelReader(ImageReader):
    """Pixels, uint8, for a network that is trained with the rest; they stay in memory.

    They are (B, S, S, 3), or (B, F, S, S, 3) with several frames.

    Args:
        size: S.
        frames: F, of a video.
    """

    def __init__(self, size: int, frames: int = 1) -> None:
        self.size, self.frames = size, frames

    def entries(self, images: Sequence[CaptionedImage]) -> list[Any]:
        return _in_threads(self._entry, images)

    def batch(self, images: Sequence[CaptionedImage], entries: Sequence[Any]) -> Tensor:
        return torch.from_numpy(np.stack(entries))

    def descriptors(self, batch: Tensor) -> Tensor:
        """The image, or the mean of its frames, as 8 x 8 pixels, 0 to 1."""
        pixels = batch.float() / 255
        pixels = pixels if batch.dim() == 4 else pixels.mean(1)
        return F.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2), _THUMBNAIL).flatten(1)

    def _entry(self, image: CaptionedImage) -> "np.ndarray | DataError":
        try:
            return self.pixels(image)
        except DataError as error:
            return error


class FeatureReader(ImageReader):
    """The grid of a frozen pretrained network's features (B, F * 49, 1280), cached on disk by the content of the file.

    They are cached in 16 bits, 125 kilobytes an image or frame.

    Args:
        folder: of the cache. None: in `RECURRA_CACHE`, or else in the user's cache folder.
        device: that the network computes on.
        frames: F, of a video.

    Raises:
        MissingExtraError: the extra `pretrained` is not installed.
        RunError: there is no folder for the cache.
    """

    size = EfficientNetLite0.size

    def __init__(self, folder: str | Path | None = None, device: str | torch.device = "cpu", frames: int = 1) -> None:
        self.frames = frames
        cells, channels = EfficientNetLite0.grid**2, EfficientNetLite0.channels
        base = cache_folder("features") if folder is None else Path(folder)
        self._device = torch.device(device)
        self.cache = ContentCache(base / "efficientnet-lite0", (cells, channels))
        self.cells, self.channels = cells, channels
        # Loaded here, so that a missing package is named before any image is read.
        self._network = EfficientNetLite0.pretrained().to(self._device)

    def entries(self, images: Sequence[CaptionedImage]) -> list[Any]:
        read = _in_threads(self._digests_and_pixels, images)
        missing = {}
        for one in read:
            if not isinstance(one, DataError):
                missing |= {key: pixels for key, pixels in zip(*one, strict=False) if key not in self.cache}
        pending = list(missing.items())
        for start in range(0, len(pending), _TOGETHER):
            some = pending[start : start + _TOGETHER]
            with torch.inference_mode():
                grids = self._network(torch.from_numpy(np.stack([pixels for _, pixels in some])).to(self._device))
            for (key, _), grid in zip(some, grids.flatten(2).transpose(1, 2).cpu().numpy(), strict=True):
                self.cache.put(key, grid)
        return [one if isinstance(one, DataError) else one[0] for one in read]

    def batch(self, images: Sequence[CaptionedImage], entries: Sequence[Any]) -> Tensor:
        rows = []
        for image, keys in zip(images, entries, strict=True):
            grids = [self.cache.get(key) for key in keys]
            if any(grid is None for grid in grids):
                grids = self._again(image, keys)
            rows.append(grids[0] if self.frames == 1 else np.concatenate([grid for grid in grids if grid is not None]))
        return torch.from_numpy(np.stack(rows)).float()

    def descriptors(self, batch: Tensor) -> Tensor:
        """The mean of the features over the grid, of length 1: the distance orders as the cosine does."""
        return F.normalize(batch.mean(1), dim=1)

    def _digests_and_pixels(self, image: CaptionedImage) -> "tuple[tuple[str, ...], Sequence[np.ndarray]] | DataError":
        """The checksum of each frame, and the pixels of each if one is not cached; else none."""
        try:
            if self.is_video(image):
                digest = VideoSpan(Path(str(image.image)), 0.0).digest()
                keys = [f"{digest} {index} of {self.frames}" for index in range(self.frames)]
                digests = tuple(sha256(key.encode()).hexdigest() for key in keys)
            else:
                digests = (digest_of(content_of(image.image)),) * self.frames
            if all(digest in self.cache for digest in digests):
                return digests, ()
            pixels = self.pixels(image)
            return digests, list(pixels) if self.frames > 1 else [pixels]
        except DataError as error:
            return error

    def _again(self, image: CaptionedImage, digests: tuple[str, ...]) -> list[np.ndarray | None]:
        """Features that were removed from the cache since. Raises DataError: the image was changed or removed too."""
        (entry,) = self.entries([image])
        if isinstance(entry, DataError):
            raise entry
        grids = [self.cache.get(digest) for digest in digests]
        if entry != digests or any(grid is None for grid in grids):
            raise DataError(f"{image.name}: the image was changed while it was in use. Start again.")
        return grids


@dataclass(frozen=True)
class ReadImages:
    """Images that can be used, and what a network reads of each.

    Attributes:
        images: with their captions.
        entries: of each what `reader.batch` needs.
        reader: see `ImageReader`.
    """

    images: CaptionedImages
    entries: tuple[Any, ...]
    reader: ImageReader

    def __len__(self) -> int:
        return len(self.images)

    @property
    def source(self) -> str:
        return self.images.source

    @property
    def files(self) -> str | None:
        return self.images.files

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with images that are set aside."""
        return self.images.problems

    def digest(self) -> str:
        return self.images.digest()

    def take(self, rows: Sequence[int]) -> "ReadImages":
        """The images in these rows."""
        return replace(self, images=self.images.take(rows), entries=tuple(self.entries[row] for row in rows))

    def in_parts(self, *parts: str) -> "ReadImages":
        """The images of these parts; all of data that state none. Raises DataError: there are none."""
        self.images.in_parts(*parts)
        rows = [row for row, image in enumerate(self.images) if not image.part or image.part in parts]
        return self if len(rows) == len(self) else self.take(rows)

    def batch(self, rows: Sequence[int]) -> Tensor:
        """What the network reads of the images in these rows."""
        return self.reader.batch([self.images[row] for row in rows], [self.entries[row] for row in rows])

    def batches(self, size: int = 64) -> Iterator[Tensor]:
        """The same of all images, in batches."""
        return (self.batch(range(start, min(start + size, len(self)))) for start in range(0, len(self), size))

    @cached_property
    def words(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """The words of the captions of each image; see `CaptionedImage.words`."""
        return tuple(image.words for image in self.images)

    @cached_property
    def descriptors(self) -> np.ndarray:
        """A vector of each image (N, D), see `ImageReader.descriptors`."""
        return torch.cat([self.reader.descriptors(batch) for batch in self.batches()]).numpy()


def read_images(
    images: CaptionedImages,
    reader: ImageReader,
    most_unusable: float = 0.05,
    captioned: bool = False,
) -> ReadImages:
    """Read every image; what cannot be used is named in one line each, set aside and counted.

    Progress is shown of 500 images or more.

    Args:
        images: what is read.
        reader: what the network reads of an image.
        most_unusable: the fraction of images that may be unusable.
        captioned: whether an image without a caption that has a word cannot be used.

    Raises:
        DataError: no image can be used, or more than `most_unusable` of them cannot. The message names the first.
        MissingExtraError: the extra `image` is not installed.
    """
    entries: list[Any] = []
    with Progress(len(images), task="reading images", show=None if len(images) >= _MANY else False) as progress:
        for start in range(0, len(images), _TOGETHER):
            chunk = images.items[start : start + _TOGETHER]
            entries += reader.entries(chunk)
            progress.update({}, len(chunk))
    problems: dict[int, Problem] = {}
    for row, image in enumerate(images):
        reason = _reason(image, entries[row], captioned)
        if reason:
            name = str(image.image) if isinstance(image.image, Path) else image.name
            problems[row] = Problem(image.where, name, reason)
    good = [row for row in range(len(images)) if row not in problems]
    unusable = len(images) - len(good)
    if not good or unusable > most_unusable * len(images):
        refuse_unusable(images.source, "images", len(images), unusable, problems.values(), most_unusable)
    log_problems(_log, images.source, "images", len(images), unusable, problems.values())
    usable = replace(images.take(good), problems=tuple(problems.values()))
    return ReadImages(usable, tuple(entries[row] for row in good), reader)


def _reason(image: CaptionedImage, entry: Any, captioned: bool) -> str:
    """Why an image cannot be used; empty if it can."""
    if isinstance(entry, DataError):
        return str(entry).removeprefix(f"{image.name}: ")
    if captioned and not image.words:
        return "no caption with a word." if image.captions else "no caption."
    return ""


def _in_threads(read: Any, images: Sequence[CaptionedImage]) -> list[Any]:
    """Of each image what `read` returns; decoders run beside each other."""
    if len(images) == 1:
        return [read(images[0])]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        return list(pool.map(read, images))
