"""Images as arrays of pixels, by Pillow."""

import io
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from recurra.errors import DataError, MissingExtraError

__all__ = ["ENDINGS", "content_of", "digest_of", "read_pixels"]

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")
"""The endings by which a folder's images are recognised, in lower case. Which Pillow reads depends on its build."""

_OPAQUE = 255


def content_of(image: Path | bytes | np.ndarray) -> bytes | np.ndarray:
    """The bytes of a file, or what is not a path itself. Raises DataError: the file is missing or cannot be read."""
    if not isinstance(image, Path):
        return image
    try:
        content = image.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{image}: no such file.") from None
    except (OSError, ValueError) as error:  # ValueError: the name has a character that no file has
        raise DataError(f"{image}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if not content:
        raise DataError(f"{image}: the file is empty.")
    return content


def digest_of(content: bytes | np.ndarray) -> str:
    """A checksum of the content of an image, in hexadecimal."""
    if isinstance(content, bytes):
        return sha256(content).hexdigest()
    return sha256(f"{content.shape} {content.dtype}".encode() + content.tobytes()).hexdigest()


def read_pixels(content: bytes | np.ndarray, size: int, name: str) -> np.ndarray:
    """The centre square of an image, scaled to S x S pixels, in red, green and blue: uint8 (S, S, 3).

    The image is turned as its EXIF orientation says. What is transparent becomes white. Of an animation the first frame
    is read, and of 16 bits a channel the upper 8.

    Args:
        content: of a file, see `content_of`; or pixels (H, W), (H, W, 3) or (H, W, 4), uint8.
        size: S.
        name: of the image, for messages.

    Raises:
        DataError: it is damaged, too large, or of a kind that Pillow does not read.
        MissingExtraError: the extra `image` is not installed.
    """
    pillow = _pillow("PIL.Image")
    ops = _pillow("PIL.ImageOps")
    try:
        if isinstance(content, bytes):
            image = pillow.open(io.BytesIO(content))
            # A JPEG is decoded at a fraction of its size where that is still twice what is needed.
            image.draft(None, (2 * size, 2 * size))
            image.load()
        else:
            image = pillow.fromarray(_checked(content, name))
        image = _in_color(ops.exif_transpose(image), pillow)
        fitted = ops.fit(image, (size, size), method=pillow.Resampling.BICUBIC)
        return np.array(fitted, dtype=np.uint8)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # decoders raise errors of any kind on damaged files
        known = type(error).__name__ != "UnidentifiedImageError"
        reason = f"damaged or too large: {error}" if known else "no image of a kind that Pillow reads"
        raise DataError(f"{name}: {' '.join(reason.split())}.") from None


def _in_color(image: Any, pillow: Any) -> Any:
    """The image in red, green and blue, over white."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        return pillow.fromarray((np.clip(values, 0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", image.size, (_OPAQUE,) * 4), image).convert("RGB")
    return image.convert("RGB")


def _checked(pixels: np.ndarray, name: str) -> np.ndarray:
    shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not shaped or not pixels.size:
        got = f"{pixels.dtype} of shape {pixels.shape}"
        raise DataError(f"{name}: expected pixels (H, W), (H, W, 3) or (H, W, 4) of uint8, 0 to 255, got {got}.")
    return pixels


def _pillow(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError("Pillow", "image", "reading images") from None
