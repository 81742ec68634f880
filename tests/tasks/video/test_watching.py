"""A video watched as it runs: frame by frame as the whole, and events with hysteresis."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_videos import moving, write_video, write_videos
from recurra import VideoClassifier
from recurra.cli.main import main
from recurra.data.video.video_files import frames_at, shown_frames
from recurra.detection.label_events import Event
from recurra.errors import StreamError
from recurra.tasks.video.live import Moment, Watched, Watcher

SMALL: dict[str, Any] = {
    "hidden_size": 8, "num_layers": 1, "channels": 8, "frame_size": 16, "max_steps": 2, "batch_size": 4,
    "validation_fraction": 0.0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("watched"), 8)


def pixels_of(path: Path) -> list[np.ndarray]:
    return [pixels for _, pixels in frames_at(shown_frames(path, 16, 30.0), 10.0)]


@pytest.mark.parametrize("options", [{"pooling": ("last", "mean", "max")}, {"differences": True, "map_hidden_size": 4}])
def test_frame_by_frame_is_the_whole(folder: Path, options: dict[str, Any]) -> None:
    classifier = VideoClassifier(**SMALL, **options, bidirectional=False).fit(folder, progress=False)
    path = folder / "left" / "1.mp4"
    whole = classifier.predict_proba([path])[0]
    for window in (0.0, 60.0):
        watcher = Watcher(classifier.fitted, window)
        for pixels in pixels_of(path):
            watcher.read(pixels)
        np.testing.assert_allclose(watcher.probabilities(), whole, atol=2e-4, err_msg=str(window))
    short = Watcher(classifier.fitted, 0.3)
    for pixels in pixels_of(path):
        short.read(pixels)
    assert not np.allclose(short.probabilities(), whole, atol=1e-6)


def test_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run, options = tmp_path / "run", [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["train", "video", "--data", str(folder), "--out", str(run), *options]) == 0
    frames = [*moving("right", 1)[0], *moving("left", 2)[0], *moving("right", 3)[0]]
    video = write_video(tmp_path / "camera.mp4", frames, [k / 10 for k in range(len(frames))])
    capsys.readouterr()
    watch = ["predict", str(run), "--data", str(video), "--every", "0.5", "--begin", "0.51", "--end", "0.5"]
    assert main(watch) == 0
    lines = capsys.readouterr().out.splitlines()
    decisions = [line for line in lines if "%" in line]
    assert len(decisions) == int(len(frames) / 10 / 0.5)
    assert "0.40 s" in decisions[0]
    for name in ("seen.json", "seen.srt", "seen.csv"):
        assert main([*watch, "--out", str(tmp_path / name)]) == 0
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert len(seen["moments"]) == len(decisions)
    assert set(seen["moments"][0]) == {"seconds", "label", "confidence"}
    [recording] = seen["recordings"]
    events = recording["events"]
    assert len(events) == len(lines) - len(decisions) >= 1
    assert events[0]["label"] in (tmp_path / "seen.srt").read_text()
    assert "-->" in (tmp_path / "seen.srt").read_text()
    assert (tmp_path / "seen.csv").read_text().startswith("id,start,end,label,confidence\n")
    assert main(["predict", str(run), "--data", str(video), "--out", str(tmp_path / "label.srt")]) == 2
    assert "without --every" in capsys.readouterr().err
    assert main([*watch, "--out", str(tmp_path / "seen.txt")]) == 2
    assert "with --every" in capsys.readouterr().err
    assert main(["predict", str(run), "--data", str(folder), "--every", "0.5"]) == 2
    shown = capsys.readouterr().err
    assert "one recording to watch" in shown
    classifier = VideoClassifier.load(run)
    watched = classifier.predictions(video, every=0.5, begin=0.51, end=0.5)
    assert isinstance(watched, Watched)
    assert all(isinstance(one, Moment | Event) for one in watched.run())
    assert [vars(one) for one in watched.values] == events
    # Without an event the file is empty, and a line says so.
    assert main([*watch[:-4], "--begin", "1", "--out", str(tmp_path / "none.srt")]) == 0
    assert "There is no event" in capsys.readouterr().err
    assert not (tmp_path / "none.srt").read_text()
    with pytest.raises(StreamError):
        classifier.predictions(video, every=0.5, window=0.0)
