"""The classifier of clips as a stream of frames, and its sessions: frame by frame as the whole."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_motion import motions
from made_videos import write_videos
from recurra import VideoClassifier
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.video_files import frames_at, shown_frames
from recurra.errors import DataError, StreamError
from recurra.tasks.video.live import Moment, Watched

SMALL: dict[str, Any] = {
    "hidden_size": 6, "num_layers": 1, "max_steps": 2, "batch_size": 4, "validation_fraction": 0.0, "device": "cpu",
    "bidirectional": False, "scale": "so_far",
}  # fmt: skip


def evenly(sensors: bool = False) -> list[Landmarks]:
    """Recordings of 10 frames a second, on whose grid a stream's frames are."""
    items, _ = motions(4, 7, sensors)
    own = [None if one.sensors is None else one.sensors[: len(one.points)] for one in items]
    return [Landmarks.of(one.points, None, 10.0, "made", two) for one, two in zip(items, own, strict=True)]


@pytest.mark.parametrize(
    ("options", "sensors"),
    [
        ({"pooling": ("last", "mean", "max")}, True),
        ({"centre": "clip", "members": 2}, False),
        ({"by_frame": True}, False),
    ],
)
def test_landmarks_frame_by_frame_are_the_whole(options: dict[str, Any], sensors: bool) -> None:
    items = evenly(sensors)
    labels: Any = [[("a", 0, 0.5)], [("b", 0, 1)]] * 2 if "by_frame" in options else ["a", "b"] * 2
    classifier = VideoClassifier(**SMALL, **options).fit(items, labels, progress=False)
    stream, [_, other, *_] = classifier.open_stream(), items
    names = list(classifier.classes_)
    state, results = stream.new_state(), []
    for k, points in enumerate(other.points):
        item: Any = points.tolist()
        if other.sensors is not None:
            item = {"points": item, "sensors": [other.sensors[k].tolist()]}
        # A session is stored and read again between any two frames.
        state = stream.read_state(state.to_bytes())
        [result] = stream.step([item], [state])
        results.append([result["probabilities"][name] for name in names])
    whole = classifier.predict_proba([other])[0]
    np.testing.assert_allclose(results if "by_frame" in options else results[-1], whole, atol=2e-4)
    assert stream.step([stream.example], [stream.new_state()])[0]["label"] in names
    # Sessions that step together do not disturb each other.
    both = [stream.new_state(), stream.new_state()]
    stream.step([stream.example, stream.example], both)
    np.testing.assert_allclose(both[0].values, both[1].values, atol=1e-6)
    for wrong in ("x", [[1.0]], None, {"points": 1, "sensors": 2}):
        with pytest.raises(DataError):
            stream.step([wrong], [stream.new_state()])
    if "by_frame" not in options:
        watched = classifier.predictions([other], every=0.2)
        assert isinstance(watched, Watched)
        assert len([one for one in watched.run() if isinstance(one, Moment)]) == len(other.points) // 2


@pytest.mark.parametrize("options", [{}, {"differences": True, "map_hidden_size": 4}])
def test_images_frame_by_frame_are_the_whole(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    folder = write_videos(tmp_path / "clips", 4)
    classifier = VideoClassifier(**SMALL, **options, channels=8, frame_size=16).fit(folder, progress=False)
    stream, path = classifier.open_stream(), folder / "left" / "1.mp4"
    state = stream.new_state()
    result: Any = None
    for _, pixels in frames_at(shown_frames(path, 16, 30.0), 10.0):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        [result] = stream.step([base64.b64encode(file.getvalue()).decode()], [state])
    whole = classifier.predict_proba([path])[0]
    np.testing.assert_allclose([result["probabilities"][name] for name in classifier.classes_], whole, atol=2e-4)
    assert stream.step([stream.example], [state])[0]["label"] in ("left", "right")
    for wrong in (1, "no base64!", base64.b64encode(b"no image").decode()):
        with pytest.raises(DataError):
            stream.step([wrong], [state])


def test_what_cannot_stream_says_what_to_train() -> None:
    classifier = VideoClassifier(**{**SMALL, "bidirectional": True}).fit(*motions(4), progress=False)
    with pytest.raises(StreamError, match="--no-bidirectional"):
        classifier.open_stream()
    with pytest.raises(StreamError, match="look_ahead"):
        classifier.open_stream(look_ahead=3)
    whole = VideoClassifier(**{**SMALL, "scale": "clip"}).fit(*motions(4), progress=False)
    with pytest.raises(StreamError, match="--scale so_far"):
        whole.open_stream()
