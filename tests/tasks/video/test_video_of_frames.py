import base64
import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from made_videos import LABELS, moving, write_video, write_videos
from recurra import VideoClassifier, load
from recurra.cli.main import main
from recurra.data.video.frames import Frames
from recurra.data.video.video_files import frames_at, shown_frames
from recurra.errors import DataError, ExportError, ParameterError
from recurra.models.image import EfficientNetLite0
from recurra.tasks.video.learned import VideoLearned

SMALL: dict[str, Any] = {
    "hidden_size": 8, "num_layers": 1, "channels": 8, "frame_size": 16, "max_steps": 60, "batch_size": 8,
    "validate_every": 30, "learning_rate": 0.01, "dropout": 0.0, "input_dropout": 0.0, "shift": 0.0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos"), 24)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.slow
def test_it_sees_which_way_things_go(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run, options = tmp_path / "run", [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["train", "video", "--data", str(folder), "--out", str(run), *options]) == 0
    assert "videos" in capsys.readouterr().out
    test = write_videos(tmp_path / "test", 12, 1)
    assert main(["evaluate", str(run), "--data", str(test)]) == 0
    classifier = load(run)
    assert isinstance(classifier, VideoClassifier)
    evaluation = classifier.evaluate(test)
    assert evaluation.scores["accuracy"] >= 0.9
    assert evaluation.baselines["nearest mean"]["accuracy"] <= evaluation.scores["accuracy"]
    capsys.readouterr()
    assert main(["predict", str(run), "--data", str(test / "left" / "1.mp4")]) == 0
    assert "* left" in capsys.readouterr().out.replace("  ", " ")
    # Python's list of paths, and a clip among others as alone.
    paths = sorted(test.rglob("*.mp4"))[:3]
    together = classifier.predict_proba(paths)
    np.testing.assert_allclose(np.concatenate([classifier.predict_proba([one]) for one in paths]), together, atol=1e-4)
    with pytest.raises(ExportError, match="reads frames of videos"):
        classifier.export_network()
    inspection = classifier.inspect(test, row=2, progress=False)
    assert "16 features of each frame, 10 frames a second" in inspection.words.facts["network"]
    np.savez(tmp_path / "points.npz", points=np.zeros((3, 2, 2)))
    with pytest.raises(DataError, match="2 points in 2 dimensions, but the classifier was trained on a video"):
        classifier.predict(tmp_path / "points.npz")


def test_channels_that_do_not_fit_are_refused_before_videos_are_decoded() -> None:
    with pytest.raises(ParameterError, match="channels: expected a multiple of 16"):
        VideoClassifier(channels=40, frame_size=128)


@pytest.mark.parametrize("crop", [(0.0, 0.0, 1.0), (0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0)])
def test_parts_that_are_none_of_a_picture_are_refused(crop: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="crop: expected left, top, right, bottom from 0 to 1"):
        VideoClassifier(crop=crop)


def test_a_run_keeps_the_part_of_the_picture(folder: Path, tmp_path: Path) -> None:
    values = {**SMALL, "max_steps": 2, "crop": (0.1, 0.2, 0.9, 1.0)}
    VideoClassifier(**values).fit(folder, folder=tmp_path / "run", progress=False)
    loaded = VideoClassifier.load(tmp_path / "run")
    features = loaded.fitted.learned.features
    assert features == Frames(10.0, 16, (0.1, 0.2, 0.9, 1.0))
    labels = loaded.predict(folder)
    assert len(labels) == len(list(folder.rglob("*.mp4")))


def test_training_resumes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    options = {"differences": True, "map_hidden_size": 4, "clip_seconds": 0.5, "shift": 0.1}
    values = {
        **SMALL,
        **options,
        "max_steps": 4,
        "validate_every": 2,
        "schedule": "constant",
        "pooling": ("attention",),
    }
    whole = VideoClassifier(**values).fit(folder, folder=tmp_path / "a", progress=False)
    VideoClassifier(**{**values, "max_steps": 2}).fit(folder, folder=tmp_path / "b", progress=False)
    resumed = VideoClassifier(**values).fit(folder, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name


def test_a_table_of_spans(tmp_path: Path) -> None:
    one, other = moving("right", 1), moving("left", 2)
    frames = [*one[0], *other[0]]
    write_video(tmp_path / "long.mp4", frames, [k / 10 for k in range(len(frames))])
    cut = len(one[0]) / 10
    table = tmp_path / "clips.csv"
    table.write_text(f"file,label,start,end\nlong.mp4,right,0,{cut}\nlong.mp4,left,{cut},\n")
    options = {**SMALL, "max_steps": 1, "validation_fraction": 0.0}
    classifier = VideoClassifier(**options).fit(table, progress=False)
    learned = classifier.fitted.learned
    assert isinstance(learned, VideoLearned)
    encoded, _ = learned.encode(classifier.data_for(table))
    assert encoded.lengths.tolist() == [len(one[0]), len(other[0])]
    assert [label in LABELS for label in classifier.predict(table)] == [True, True]


def test_features_of_a_frozen_network_are_cached_by_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().eval().requires_grad_(False)
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda: network)
    few = [folder / "left" / "1.mp4", folder / "right" / "0.mp4"]
    options = {**SMALL, "features": "pretrained", "rate": 2.0, "max_steps": 2, "validation_fraction": 0.0}
    classifier = VideoClassifier(**options, bidirectional=False).fit(few, ["left", "right"], progress=False)
    assert classifier.export_network()[0].input_size == 1280
    # Cached features are those computed: the network is not asked again.
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda: pytest.fail("computed again"))
    whole = classifier.predict_proba(few[:1])[0]
    monkeypatch.undo()
    np.testing.assert_allclose(streamed(classifier, few[0]), whole, atol=1e-2)


def test_the_last_blocks_of_a_pretrained_network_are_fine_tuned(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ParameterError, match="fine_tuned_blocks: expected 0 without features=pretrained"):
        VideoClassifier(fine_tuned_blocks=1)
    torch.manual_seed(0)
    network = EfficientNetLite0().eval().requires_grad_(False)
    frozen = copy.deepcopy(network.state_dict())
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda: copy.deepcopy(network))
    few, labels = [folder / "left" / "1.mp4", folder / "right" / "0.mp4"], ["left", "right"]
    options = {**SMALL, "features": "pretrained", "fine_tuned_blocks": 1, "rate": 2.0, "validation_fraction": 0.0}
    options |= {"bidirectional": False, "schedule": "constant", "max_steps": 2}
    classifier = VideoClassifier(**options).fit(few, labels, folder=tmp_path / "run", progress=False)
    tuned = classifier.fitted.network.state_dict()
    changes = {
        name.removeprefix("reader.ending."): (value - frozen[of]).abs().max()
        for name, value in tuned.items()
        if name.startswith("reader.ending.")
        for of in [name.removeprefix("reader.ending.").replace("blocks.0", "blocks.15")]
    }
    assert len(changes) == 24
    # Two steps of Adam change a weight by at most twice its rate, a fiftieth of the others'; statistics stay.
    assert all(
        (0 < change < 2.1 * 0.01 / 50) == ("running" not in name)
        for name, change in changes.items()
        if "num" not in name
    )
    whole = classifier.predict_proba(few[:1])[0]
    loaded = load(tmp_path / "run")
    assert isinstance(loaded, VideoClassifier)
    np.testing.assert_allclose(loaded.predict_proba(few[:1])[0], whole, atol=1e-6)
    np.testing.assert_allclose(streamed(loaded, few[0]), whole, atol=1e-2)


def streamed(classifier: VideoClassifier, video: Path) -> list[float]:
    """The probabilities after the last frame of a stream."""
    stream, result = classifier.open_stream(), {}
    state = stream.new_state()
    for _, pixels in frames_at(shown_frames(video, 224, 30.0), 2.0):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        [result] = stream.step([base64.b64encode(file.getvalue()).decode()], [state])
    return [result["probabilities"][name] for name in classifier.classes_]
