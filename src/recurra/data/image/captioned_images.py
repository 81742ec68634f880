"""Images and what people wrote of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files.problems import Problem
from recurra.data.image.pixels import digest_of
from recurra.data.text.caption_words import caption_words
from recurra.errors import DataError, ParameterError

__all__ = ["CaptionedImage", "CaptionedImages", "images_of", "split_rows"]


@dataclass(frozen=True)
class CaptionedImage:
    """An image, and its captions.

    Attributes:
        name: its name in results and messages.
        image: the file, its content, or pixels (H, W), (H, W, 3) or (H, W, 4), uint8.
        captions: as people wrote them; empty: they are not known.
        part: "train", "validation" or "test", if the data state it; else "".
        where: the file that lists it and the line, for messages.
    """

    name: str
    image: Path | bytes | np.ndarray
    captions: tuple[str, ...] = ()
    part: str = ""
    where: str = ""

    @property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """The words of each caption that has any; see `caption_words`."""
        return tuple(words for words in (tuple(caption_words(caption)) for caption in self.captions) if words)


@dataclass(frozen=True)
class CaptionedImages:
    """Images with their captions.

    Attributes:
        items: one or more.
        source: where they come from, for messages.
        problems: what is wrong with those that are set aside.
        files: the file or folder they come from; None for images of no file.

    Raises:
        DataError: there are none.
    """

    items: tuple[CaptionedImage, ...]
    source: str = "the data"
    problems: tuple[Problem, ...] = ()
    files: str | None = None

    def __post_init__(self) -> None:
        if not self.items:
            raise DataError(f"{self.source}: no images, expected at least one.")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> CaptionedImage:
        return self.items[row]

    def __iter__(self) -> Iterator[CaptionedImage]:
        return iter(self.items)

    @property
    def parts(self) -> set[str]:
        """The parts that the data state; empty: none."""
        return {item.part for item in self.items if item.part}

    def take(self, rows: Sequence[int]) -> "CaptionedImages":
        """The images in these rows."""
        return replace(self, items=tuple(self.items[row] for row in rows))

    def in_parts(self, *parts: str) -> "CaptionedImages":
        """The images of these parts; all of data that state none.

        Raises:
            DataError: the data state parts, and none of these.
        """
        if not self.parts:
            return self
        chosen = tuple(item for item in self.items if item.part in parts)
        if not chosen:
            there = ", ".join(sorted(self.parts))
            raise DataError(f"{self.source}: it has images to {there}, and none of the part {' or '.join(parts)}.")
        return replace(self, items=chosen)

    def digest(self) -> str:
        """A checksum of names, captions and parts, in hexadecimal. The content of files is not read."""
        digest = sha256()
        for item in self.items:
            digest.update(json.dumps([item.name, item.captions, item.part]).encode())
            if not isinstance(item.image, Path):
                digest.update(digest_of(item.image).encode())
        return digest.hexdigest()


def images_of(images: Sequence[Any], captions: Sequence[Any] | None = None) -> CaptionedImages:
    """Images from lists.

    Args:
        images: each a path, the content of a file, pixels (H, W), (H, W, 3) or (H, W, 4) of uint8, an image of
            Pillow, or a `CaptionedImage`.
        captions: of each a text, or several. None: they are not known, or the images have them.

    Raises:
        DataError: there is not one entry of captions for each image, or one is not a text.
        ParameterError: an image is none of these.
    """
    if captions is not None and len(captions) != len(images):
        raise DataError(f"the data: {len(images)} images and {len(captions)} entries of captions; give one for each.")
    items = []
    for position, one in enumerate(images, start=1):
        where = f"the data, image {position}"
        texts = None if captions is None else _texts(captions[position - 1], where)
        if isinstance(one, CaptionedImage):
            items.append(one if texts is None else replace(one, captions=texts))
        elif isinstance(one, str | Path):
            items.append(CaptionedImage(str(one), Path(one), texts or (), where=where))
        elif isinstance(one, bytes):
            items.append(CaptionedImage(str(position), one, texts or (), where=where))
        elif hasattr(one, "__array_interface__"):
            items.append(CaptionedImage(str(position), np.asarray(one), texts or (), where=where))
        else:
            raise ParameterError("data", "paths, pixels or images", f"{type(one).__name__} ({where})")
    return CaptionedImages(tuple(items))


def split_rows(images: CaptionedImages, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The rows to train on and those to validate with: the parts of the data, or a random fraction of the images.

    Args:
        images: what is split.
        fraction: of the images to validate with, if the data state no parts; in [0, 1).
        seed: of the random choice.

    Returns:
        Both; the second is empty if there is nothing to validate with.

    Raises:
        DataError: the data state parts, and none is to train on.
    """
    if images.parts:
        images.in_parts("train")
        rows = {part: [row for row, item in enumerate(images) if item.part == part] for part in ("train", "validation")}
        return rows["train"], rows["validation"]
    count = round(fraction * len(images))
    order = np.random.default_rng(seed).permutation(len(images))
    return np.sort(order[count:]).tolist(), np.sort(order[:count]).tolist()


def _texts(captions: Any, where: str) -> tuple[str, ...]:
    texts = (captions,) if isinstance(captions, str) else tuple(captions)
    for text in texts:
        if not isinstance(text, str):
            raise DataError(f"{where}: expected a text or a list of texts as captions, got {text!r}.")
    return texts
