import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import wall
from PIL import Image

from made_videos import write_video
from recurra.data.image.captioned_images import images_of
from recurra.models.image import EfficientNetLite0, FeatureReader, PixelReader
from recurra.tasks.caption import Captioner
from recurra.tasks.caption.captioning import attention

pytest.importorskip("av", reason="the extra `video` is not installed")
pytest.importorskip("sacrebleu", reason="the extra `caption` is not installed")

OPTIONS: dict[str, Any] = {
    "features": "trained", "image_size": 16, "feature_size": 8, "hidden_size": 16, "embedding_size": 8, "min_count": 1,
    "attention_size": 8, "batch_size": 4, "dropout": 0.0, "image_shift": 1, "max_steps": 3, "frames": 2,
}  # fmt: skip


def write_clip(path: Path, before: str, after: str) -> Path:
    """A wall of a colour for a second, and then of another."""
    frames = [wall(before, "small")] * 10 + [wall(after, "small")] * 10
    return write_video(path, frames, [k / 10 for k in range(20)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, and an image."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "a.mp4", "red", "blue")
    write_clip(folder / "b.mp4", "blue", "red")
    Image.fromarray(wall("green", "small")).save(folder / "c.png")
    rows = [
        {"video": "a.mp4", "captions": ["red, then blue"]},
        {"video": "b.mp4", "captions": ["blue, then red"]},
        {"image": "c.png", "captions": ["green"]},
    ]
    path = folder / "captions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_videos_and_images_are_captioned_and_the_frames_are_shown(data: Path, tmp_path: Path) -> None:
    captioner = Captioner(**OPTIONS, validation_fraction=0.0).fit(data, progress=False)
    assert captioner.evaluate(data).facts["images"] == 3
    images = captioner._for_verb(str(data), None, True)
    assert images.batch([0, 1, 2]).shape == (3, 2, 16, 16, 3)
    weights = attention(captioner.fitted, images, 0, images.words[0][0])
    assert weights.shape == (4, 8, 16)
    np.testing.assert_allclose(weights.sum((1, 2)), 1, rtol=1e-5)
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    captions = captioner.predictions(str(data.parent), attention=str(picture), page=str(page))
    assert len(captions.values) == 3
    assert picture.stat().st_size > 0
    assert page.read_text().count('data-rows="8" data-columns="16"') == 3


def test_the_order_of_frames_is_that_of_the_video(data: Path) -> None:
    images = images_of([data.parent / name for name in ("a.mp4", "b.mp4", "c.png")])
    reader = PixelReader(16, 2)
    first, second, still = reader.entries(images.items)
    assert first.shape == (2, 16, 16, 3)
    assert [int(frame[0, 0].argmax()) for frame in first] == [0, 2]
    assert [int(frame[0, 0].argmax()) for frame in second] == [2, 0]
    assert np.array_equal(still[0], still[1])
    assert PixelReader(16).entries(images.items)[0].shape == (16, 16, 3)


def test_features_of_frames_are_cached_by_the_content_of_the_video(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Red(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            red = pixels.float().mean((1, 2))[:, 0].view(-1, 1, 1, 1) / 255
            return red.expand(-1, EfficientNetLite0.channels, EfficientNetLite0.grid, EfficientNetLite0.grid)

    monkeypatch.setattr(EfficientNetLite0, "pretrained", Red)
    video = tmp_path / "a.mp4"
    video.write_bytes((data.parent / "a.mp4").read_bytes())
    images, reader = images_of([video]), FeatureReader(tmp_path / "cache", frames=2)
    features = reader.batch(images.items, reader.entries(images.items))
    assert features.shape == (1, 98, 1280)
    assert features[0, :49].min() > features[0, 49:].max()
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.float16")}
    assert len(cached) == 2
    assert torch.equal(reader.batch(images.items, reader.entries(images.items)), features)
    assert all(path.stat().st_mtime_ns == time for path, time in cached.items())
    video.write_bytes((data.parent / "b.mp4").read_bytes())
    turned = reader.batch(images.items, reader.entries(images.items))
    assert torch.allclose(turned[0, :49], features[0, 49:], atol=0.02)
