"""Labels of every frame: what happens when in landmarks and videos, as spans with a start and an end."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_motion import motion
from made_videos import moving, write_video
from recurra import VideoClassifier, load
from recurra.cli.main import main
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.read import read_clips
from recurra.detection.label_events import Event
from recurra.errors import DataError, ParameterError
from recurra.tasks.video.segments import Spans

SMALL: dict[str, Any] = {
    "by_frame": True, "hidden_size": 12, "num_layers": 1, "max_steps": 120, "batch_size": 8, "validate_every": 60,
    "learning_rate": 0.02, "dropout": 0.0, "input_dropout": 0.0, "scale": "none", "speeds": False, "device": "cpu",
}  # fmt: skip


def recording(seed: int) -> tuple[Landmarks, list[tuple[str, float, float]]]:
    """A hand that opens, rests and closes, or the other way round, at 30 frames a second; and when."""
    labels = ("open", "close") if seed % 2 else ("close", "open")
    one, other = (motion(label, seed).points for label in labels)
    rest = np.repeat(one[-1:], 9, 0)
    points = np.concatenate([one - one[0].mean(0), rest - one[0].mean(0), other - other[0].mean(0)])
    first, begin = len(one) / 30, (len(one) + 9) / 30
    return Landmarks.of(points, None, 30.0, "made"), [(labels[0], 0.0, first), (labels[1], begin, len(points) / 30)]


def recordings(count: int, seed: int = 0) -> tuple[list[Landmarks], list[Any]]:
    made = [recording(100 * seed + k) for k in range(count)]
    return [points for points, _ in made], [spans for _, spans in made]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def classifier() -> VideoClassifier:
    return VideoClassifier(**SMALL).fit(*recordings(32), validation=recordings(4, 1), progress=False)


def test_it_says_what_happens_when(classifier: VideoClassifier, tmp_path: Path) -> None:
    test = recordings(8, 2)
    evaluation = classifier.evaluate(*test)
    for score in ("accuracy", "F1@50"):
        assert evaluation.scores[score] > evaluation.baselines["nearest mean"][score] + 0.2
    assert "16 segments" in evaluation.title
    assert "early_decision" not in evaluation.pictures
    predictions = classifier.predictions(test[0][:2])
    assert isinstance(predictions, Spans)
    assert all(isinstance(one, Event) and one.label in ("open", "close") for own in predictions.values for one in own)
    np.testing.assert_allclose(predictions.probabilities[1].sum(1), 1)
    # A recording among others has what it has alone, and so has one that was saved.
    classifier.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert isinstance(again, VideoClassifier)
    [alone] = again.predict_proba(test[0][1:2])
    np.testing.assert_allclose(alone, predictions.probabilities[1], atol=1e-4)
    with pytest.raises(ParameterError, match="probabilities"):
        classifier.predictions(test[0], probabilities=True)
    with pytest.raises(ParameterError, match="by_frame"):
        classifier.inspect(*test, progress=False)


def test_commands_read_tables_of_spans_and_columns_of_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["file,label,start,end"]
    for k in range(6):
        own, spans = recording(k)
        names = [f"{point}_{axis}" for point in "abcd" for axis in "xyz"]
        labels = read_clips([own], [spans], by_frame=True)[0].labels_at(own.times, "")
        lines = [",".join([*map(str, frame.ravel()), label]) for frame, label in zip(own.points, labels, strict=True)]
        (tmp_path / f"{k}.csv").write_text("\n".join([",".join([*names, "label"]), *lines]) + "\n")
        # Of the latter half the column of each file says the same.
        rows += [f"{k}.csv,{label},{start},{end}" for label, start, end in spans] if k < 3 else [f"{k}.csv,,,"]
    (tmp_path / "spans.csv").write_text("\n".join(rows) + "\n")
    clips = read_clips(tmp_path / "spans.csv", by_frame=True)
    assert len(clips) == 6
    for k in range(6):
        own, spans = recording(k)
        expected = read_clips([own], [spans], by_frame=True)[0].labels_at(own.times, "-")
        assert clips[k].labels_at(own.times, "-") == expected
    run, options = tmp_path / "run", [f"--{k.replace('_', '-')}={v}" for k, v in {**SMALL, "max_steps": 4}.items()]
    assert main(["train", "video", "--data", str(tmp_path / "spans.csv"), "--out", str(run), *options]) == 0
    assert "2 labels of spans: close" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--data", str(tmp_path / "spans.csv")]) == 0
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["segments"] == 12
    for name in ("p.csv", "p.json"):
        assert main(["predict", str(run), "--data", str(tmp_path / "spans.csv"), "--out", str(tmp_path / name)]) == 0
    with (tmp_path / "p.csv").open(encoding="utf-8") as file:
        assert {*next(csv.DictReader(file), {"id": 0, "start": 0, "end": 0, "label": 0, "confidence": 0})} == {
            "id", "start", "end", "label", "confidence",
        }  # fmt: skip
    assert len(json.loads((tmp_path / "p.json").read_text())["recordings"]) == 6
    assert main(["predict", str(run), "--data", str(tmp_path / "1.csv"), "--out", str(tmp_path / "p.srt")]) == 0
    capsys.readouterr()
    assert main(["predict", str(run), "--data", str(tmp_path / "1.csv"), "--out", str(tmp_path / "p.txt")]) == 2
    assert "labels every frame" in capsys.readouterr().err
    assert main(["predict", str(run), "--data", str(tmp_path / "spans.csv"), "--out", str(tmp_path / "p.srt")]) == 2
    assert ".srt of one recording" in capsys.readouterr().err
    assert main(["predict", str(run), "--data", str(tmp_path / "1.csv"), "--every", "1"]) == 2
    assert "labels every frame" in capsys.readouterr().err


def test_videos_have_spans_too(tmp_path: Path) -> None:
    rows = ["file,label,start,end"]
    for k in range(3):
        one, other = moving("right", k)[0], moving("left", 10 + k)[0]
        frames = [*one, *other]
        write_video(tmp_path / f"{k}.mp4", frames, [j / 10 for j in range(len(frames))])
        rows += [f"{k}.mp4,right,0,{len(one) / 10}", f"{k}.mp4,left,{len(one) / 10},"]
    (tmp_path / "spans.csv").write_text("\n".join(rows) + "\n")
    small = {"channels": 8, "frame_size": 16, "max_steps": 2, "clip_seconds": 0.9}
    classifier = VideoClassifier(**{**SMALL, **small}).fit(tmp_path / "spans.csv", progress=False)
    [probabilities] = classifier.predict_proba([tmp_path / "1.mp4"])
    assert probabilities.shape == (len(moving("right", 1)[0]) + len(moving("left", 11)[0]), 2)
    assert classifier.evaluate(tmp_path / "spans.csv").facts["segments"] == 6


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    own, _ = recording(0)
    with pytest.raises(ParameterError, match="filters"):
        VideoClassifier(by_frame=True, filters=8)
    with pytest.raises(DataError, match="nothing says what happens when"):
        VideoClassifier(**SMALL).fit([own], progress=False)
    for wrong, message in (
        ([("a", 0, 2), ("b", 1, 3)], "'b' from 1 s begins before 'a' ends, at 2 s"),
        (["abc", "de"], r"\(label, start, end\)"),
    ):
        with pytest.raises(DataError, match=message):
            VideoClassifier(**SMALL).fit([own], [wrong], progress=False)
    with pytest.raises(DataError, match="there is nothing to learn"):
        VideoClassifier(**SMALL).fit([own], [[("a", 0, None)]], progress=False)
    with pytest.raises(DataError, match="standard input"):
        read_clips("-")
