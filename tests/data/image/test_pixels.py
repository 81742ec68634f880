import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.data.image.content_cache import ContentCache
from recurra.data.image.pixels import content_of, digest_of, read_pixels
from recurra.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="the extra `image` is not installed")


def quarters() -> np.ndarray:
    """Red, green, blue and black, from the upper left to the lower right: (8, 8, 3)."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :4, 0] = pixels[:4, 4:, 1] = pixels[4:, :4, 2] = 255
    return pixels


def encoded(image: Any, kind: str, **keywords: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **keywords)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "keywords"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("JPEG", {"quality": 100})]
)
def test_files_of_every_kind_are_their_pixels(kind: str, keywords: dict[str, Any]) -> None:
    pixels = np.repeat(np.repeat(quarters(), 4, 0), 4, 1)
    read = read_pixels(encoded(Image.fromarray(pixels), kind, **keywords), 32, "a")
    assert read.dtype == np.uint8
    corners = (slice(4, 28, 19), slice(4, 28, 19))
    assert_allclose(read[corners].astype(int), pixels[corners], atol=12)


def test_an_orientation_turns_the_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter to the right when it is shown
    content = encoded(Image.fromarray(quarters()), "PNG", exif=exif)
    assert_allclose(read_pixels(content, 8, "a"), np.rot90(quarters(), -1))


def test_transparency_is_white_and_16_bits_are_their_upper_8() -> None:
    clear = np.concatenate([quarters(), np.zeros((8, 8, 1), np.uint8)], axis=2)
    assert (read_pixels(encoded(Image.fromarray(clear), "PNG"), 8, "a") == 255).all()
    palette = Image.fromarray(quarters()).convert("P")
    content = encoded(palette, "PNG", transparency=palette.getpixel((7, 7)))
    assert read_pixels(content, 8, "a")[7, 7].tolist() == [255, 255, 255]
    grey = np.full((8, 8), 0x8040, np.uint16)
    assert (read_pixels(encoded(Image.fromarray(grey), "PNG"), 8, "a") == 0x80).all()


def test_the_centre_square_is_read() -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = quarters()
    assert_allclose(read_pixels(wide, 8, "a"), quarters())
    assert read_pixels(np.zeros((1, 1), np.uint8), 16, "a").shape == (16, 16, 3)


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "PNG")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    cases: dict[str, bytes] = {
        "cut": whole[: len(whole) // 2], "flipped": bytes(flipped), "text": b"a photo of a dog", "head": whole[:8],
        "jpeg": encoded(Image.fromarray(quarters()), "JPEG")[:120],
    }  # fmt: skip
    for name, content in cases.items():
        with pytest.raises(DataError, match=f"^{name}: ") as error:
            read_pixels(content, 16, name)
        assert "\n" not in str(error.value)
    empty = tmp_path / "empty.png"
    empty.touch()
    for path in (empty, tmp_path / "missing.png", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            content_of(path)
    with pytest.raises(DataError, match="float64 of shape"):
        read_pixels(np.zeros((4, 4)), 16, "a")


def test_the_checksum_is_that_of_the_content(tmp_path: Path) -> None:
    one = tmp_path / "one.png"
    one.write_bytes(encoded(Image.fromarray(quarters()), "PNG"))
    before = digest_of(content_of(one))
    (tmp_path / "copy.png").write_bytes(one.read_bytes())
    assert digest_of(content_of(tmp_path / "copy.png")) == before
    one.write_bytes(encoded(Image.fromarray(quarters()[::-1]), "PNG"))
    assert digest_of(content_of(one)) != before
    assert digest_of(np.zeros((2, 3), np.uint8)) != digest_of(np.zeros((3, 2), np.uint8))


def test_a_damaged_entry_of_the_cache_counts_as_none(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path / "cache", (2, 3))
    values = np.arange(6, dtype=np.float16).reshape(2, 3)
    assert "abcd" not in cache
    assert cache.get("abcd") is None
    cache.put("abcd", values)
    stored = cache.get("abcd")
    assert stored is not None
    assert (stored == values).all()
    (path,) = (tmp_path / "cache").rglob("*.float16")
    path.write_bytes(path.read_bytes()[:-1])
    assert "abcd" not in cache
    assert cache.get("abcd") is None
