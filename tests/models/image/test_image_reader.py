import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from recurra.data.image.captioned_images import CaptionedImage, CaptionedImages, images_of
from recurra.errors import DataError
from recurra.models.image import EfficientNetLite0, FeatureReader, PixelReader, read_images

Image = pytest.importorskip("PIL.Image", reason="the extra `image` is not installed")


def write(path: Path, seed: int, size: int = 20) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
    return path


class Colours(torch.nn.Module):
    """A network of the same shapes, quick to run: what is tested is not what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(3, EfficientNetLite0.channels)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2) / 255.0, EfficientNetLite0.grid)
        return self.mix(cells.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureReader:
    network = Colours()
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda: network)
    return FeatureReader(tmp_path / "cache")


def test_cached_features_are_those_computed_and_a_changed_file_is_computed_anew(
    tmp_path: Path, reader: FeatureReader
) -> None:
    paths = [write(tmp_path / f"{k}.png", k) for k in range(3)]
    first = read_images(images_of(paths), reader).batch(range(3))
    assert first.shape == (3, 49, 1280)
    pixels = torch.from_numpy(np.stack([reader.pixels(image) for image in images_of(paths)]))
    with torch.no_grad():
        computed = reader._network(pixels).flatten(2).transpose(1, 2)
    torch.testing.assert_close(first, computed, atol=2e-3, rtol=2e-3)
    entries = len(list((tmp_path / "cache").rglob("*.float16")))
    times = [path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.float16")]
    assert torch.equal(read_images(images_of(paths), reader).batch(range(3)), first)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.float16")] == times
    write(paths[1], 7)
    again = read_images(images_of(paths), reader).batch(range(3))
    assert torch.equal(again[[0, 2]], first[[0, 2]])
    assert (again[1] - first[1]).abs().max() > 0.01
    assert len(list((tmp_path / "cache").rglob("*.float16"))) == entries + 1


def test_features_removed_from_the_cache_are_computed_again(tmp_path: Path, reader: FeatureReader) -> None:
    path = write(tmp_path / "a.png", 0)
    images = read_images(images_of([path]), reader)
    before = images.batch([0])
    for cached in (tmp_path / "cache").rglob("*.float16"):
        cached.unlink()
    assert torch.equal(images.batch([0]), before)
    for cached in (tmp_path / "cache").rglob("*.float16"):
        cached.unlink()
    write(path, 1)
    with pytest.raises(DataError, match=r"a\.png.*changed"):
        images.batch([0])


def test_broken_images_are_set_aside_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [
        CaptionedImage(f"{k}.png", write(tmp_path / f"{k}.png", k), ("A word",), where="f, line 1") for k in range(8)
    ]
    content = (tmp_path / "0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:200])
    items += [
        CaptionedImage(name, tmp_path / name, ("A word",), where=f"f, line {name}") for name in ("cut.png", "no.png")
    ]
    items.append(CaptionedImage("8.png", tmp_path / "0.png", (" .",), where="f, line 3"))
    images = CaptionedImages(tuple(items), "f")
    with caplog.at_level(logging.WARNING):
        read = read_images(images, PixelReader(16), most_unusable=0.5, captioned=True)
    assert len(read) == 8
    assert [problem.where for problem in read.problems] == ["f, line cut.png", "f, line no.png", "f, line 3"]
    assert "3 of 11 images" in caplog.text
    assert all("\n" not in str(problem) for problem in read.problems)
    assert len(read_images(images, PixelReader(16), most_unusable=0.5)) == 9
    with pytest.raises(DataError, match=r"f: 3 of 11 images.*5 %.*cut\.png"):
        read_images(images, PixelReader(16), captioned=True)
    with pytest.raises(DataError, match=r"^f, line no\.png: .*no\.png: no such file"):
        read_images(images.take([9]), PixelReader(16), most_unusable=1.0)


def test_images_that_look_alike_are_near() -> None:
    generator = np.random.default_rng(0)
    one, other = (generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    noisy = np.clip(one.astype(int) + generator.integers(-9, 10, one.shape), 0, 255).astype(np.uint8)
    found = read_images(images_of([one, other, noisy]), PixelReader(32)).descriptors
    assert found.shape == (3, 192)
    assert np.linalg.norm(found[0] - found[2]) < 0.2 * np.linalg.norm(found[0] - found[1])
