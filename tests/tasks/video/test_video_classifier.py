import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_motion import LABELS, motions
from recurra import VideoClassifier, load
from recurra.cli.main import main
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.read import read_clips
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.video import Classes, VideoReading

SMALL: dict[str, Any] = {
    "hidden_size": 8, "num_layers": 1, "max_steps": 60, "batch_size": 8, "validate_every": 30, "learning_rate": 0.02,
    "dropout": 0.1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of clips in an archive, of four subjects, with sensors."""
    folder = tmp_path_factory.mktemp("clips")
    items, labels = motions(24, sensors=True)
    points: dict[str, Any] = {f"c{k}": one.points for k, one in enumerate(items)}
    measured: dict[str, Any] = {f"c{k}": one.sensors for k, one in enumerate(items)}
    np.savez(folder / "points.npz", **points)
    np.savez(folder / "imu.npz", **measured)
    rows = [f"points.npz#c{k},{label},s{k // 2 % 4},imu.npz#c{k}" for k, label in enumerate(labels)]
    (folder / "clips.csv").write_text("\n".join(["file,label,subject,sensors", *rows]) + "\n")
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def classifier() -> VideoClassifier:
    return VideoClassifier(**SMALL).fit(*motions(40), validation=motions(16, 1), progress=False)


def test_it_sees_the_order_of_frames_which_the_baseline_does_not(classifier: VideoClassifier) -> None:
    options = {**SMALL, "speeds": False, "max_steps": 120, "dropout": 0.0, "input_dropout": 0.0}
    blind = VideoClassifier(**options).fit(*motions(40), validation=motions(16, 1), progress=False)
    evaluation = blind.evaluate(*motions(30, 2))
    assert evaluation.scores["accuracy"] >= 0.95
    assert evaluation.baselines["nearest mean"]["accuracy"] < 0.8
    assert {"confusion", "by_label"} == set(evaluation.tables)
    assert evaluation.facts["early_decision"]["1"] == evaluation.scores["accuracy"]
    assert classifier.score(*motions(30, 2)) >= 0.95


def test_predictions_have_labels_and_probabilities(classifier: VideoClassifier) -> None:
    items, labels = motions(10, 3)
    predictions = classifier.predictions(items)
    assert isinstance(predictions, Classes)
    assert classifier.predict(items).tolist() == labels
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(classifier.predict_proba(items), predictions.probabilities)
    assert sorted(classifier.classes_) == sorted(LABELS)
    # What a clip gets among others it gets alone.
    alone = np.concatenate([classifier.predict_proba([one]) for one in items])
    np.testing.assert_allclose(alone, predictions.probabilities, atol=1e-4)


def test_a_saved_run_predicts_the_same(classifier: VideoClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "run")
    again = load(tmp_path / "run")
    items, _ = motions(6, 4)
    assert isinstance(again, VideoClassifier)
    assert np.array_equal(again.predict_proba(items), classifier.predict_proba(items))


def test_commands(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    train = ["train", "video", "--data", str(table), "--out", str(run), "--subjects=s0,s1,s2", *options]
    assert main([*train, "--validation-subjects=s2"]) == 0
    shown = capsys.readouterr().out
    assert "12 clips" in shown
    assert "4 points in 3 dimensions and 3 channels of sensors" in shown
    # Verbs read everybody's clips, if not told whose: those of training are no test.
    assert main(["evaluate", str(run), "--data", str(table)]) == 0
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["items"] == 24
    assert main(["evaluate", str(run), "--data", str(table), "--subjects", "s3"]) == 0
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["items"] == 6
    assert {one.name for one in (run / "evaluation").iterdir()} >= {"confusion.csv", "confusion.png"}
    out = tmp_path / "p.csv"
    assert main(["predict", str(run), "--data", str(table), "--probabilities", "--out", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert set(rows[0]) == {"id", "label", "confidence", "p(open)", "p(close)"}
    assert rows[3]["id"] == "points.npz#c3"


def test_training_resumes_to_the_same_weights(table: Path, tmp_path: Path) -> None:
    values = {**SMALL, "max_steps": 8, "validate_every": 4, "schedule": "constant"}
    whole = VideoClassifier(**values).fit(table, folder=tmp_path / "a", progress=False)
    VideoClassifier(**{**values, "max_steps": 4}).fit(table, folder=tmp_path / "b", progress=False)
    resumed = VideoClassifier(**values).fit(table, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name
    with pytest.raises(RunError, match="other data"):
        VideoClassifier(**values).fit(*motions(20), folder=tmp_path / "b", resume=True, progress=False)


def test_early_decisions_do_not_read_what_comes_later(classifier: VideoClassifier) -> None:
    landmarks = motions(1, 5)[0][0]
    changed = Landmarks(landmarks.points.copy(), landmarks.times)
    changed.points[len(changed.points) // 2 + 1 :] += 500
    learned = classifier.fitted.learned
    own, other = (learned.encode(read_clips([one]), 0.4)[1][0] for one in (landmarks, changed))
    assert np.array_equal(own, other)


def test_the_exported_network_comes_with_what_prepares_its_input(classifier: VideoClassifier) -> None:
    network, facts = classifier.export_network()
    assert json.loads(json.dumps(facts))["features"]["points"] == 4
    assert network.input_size == classifier.fitted.learned.features.size


def test_inspection(classifier: VideoClassifier) -> None:
    items, labels = motions(4, 6)
    inspection = classifier.inspect(items, labels, row=2, name="runs/x", progress=False)
    assert inspection.words.facts["looked at"].startswith("4 of 4 clips are shown. Clip 2 (2), of 0.")
    assert "27 features of each frame" in inspection.words.facts["network"]
    losses = -np.log(classifier.predict_proba(items)[range(4), [[*classifier.classes_].index(one) for one in labels]])
    assert inspection.gradients.loss == pytest.approx(losses.sum(), rel=1e-3, abs=1e-5)
    with pytest.raises(ParameterError, match="row: expected 1 to 4"):
        classifier.inspect(*motions(4, 6), row=5, progress=False)


def test_bad_data_are_refused(classifier: VideoClassifier, table: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        VideoClassifier(**SMALL).fit(motions(4)[0], ["open"] * 4, progress=False)
    with pytest.raises(DataError, match="there is no label"):
        VideoClassifier(**SMALL).fit(motions(4)[0], progress=False)
    with pytest.raises(DataError, match="no clip has a label of training"):
        VideoClassifier(**SMALL).fit(*motions(8), validation=(motions(4)[0], ["x"] * 4), progress=False)
    with pytest.raises(
        DataError, match=r"3 channels of sensors, but the classifier was trained on 4 points in 3 dimensions\."
    ):
        classifier.predict(table)
    with pytest.raises(ParameterError, match=r"subjects of .*: s0, s1, s2, s3"):
        VideoClassifier(**SMALL, validation_subjects=("s9",)).fit(table, progress=False)
    with pytest.raises(ParameterError, match="stride"):
        VideoClassifier(filters=0, stride=2)
    with pytest.raises(DataError, match="no clips of subjects s9; there are "):
        classifier.data_for(table, None, VideoReading(subjects=("s9",)))
