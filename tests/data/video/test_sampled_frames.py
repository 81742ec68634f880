from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_videos import grey, write_video
from recurra.data.video.sampled_frames import sampled_frames
from recurra.errors import DataError


def centre(frames: np.ndarray) -> list[int]:
    return [int(one[len(one) // 2, len(one) // 2].mean()) for one in frames]


def test_frames_are_shown_in_the_middle_of_equal_parts(tmp_path: Path) -> None:
    values = [40] * 10 + [120] * 10 + [200] * 10
    path = write_video(tmp_path / "a.mp4", grey(values), [k / 10 for k in range(30)])
    frames = sampled_frames(path, 3, 32)
    assert frames.shape == (3, 32, 32, 3)
    assert centre(frames) == pytest.approx([40, 120, 200], abs=6)
    # The middle one alone, and more frames than there are.
    assert centre(sampled_frames(path, 1, 32)) == pytest.approx([120], abs=6)
    assert centre(sampled_frames(path, 40, 16))[::39] == pytest.approx([40, 200], abs=6)


def test_folders_go_by_the_order_of_their_images(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, value in enumerate([10, 50, 90, 130]):
        Image.fromarray(grey([value], 8, 8)[0]).save(folder / f"{index}.png")
    assert centre(sampled_frames(folder, 2, 8)) == [50, 130]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no image"):
        sampled_frames(tmp_path / "none", 2, 8)
    with pytest.raises(DataError, match="no such file"):
        sampled_frames(tmp_path / "missing.mp4", 2, 8)
