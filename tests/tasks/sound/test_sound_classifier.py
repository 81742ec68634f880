import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_sounds import tone, write_sound
from recurra import SoundClassifier, load
from recurra.cli.main import main
from recurra.data.audio.sound import Sound
from recurra.errors import DataError, ParameterError, RunError, StreamError
from recurra.tasks.sound import SoundReading
from standard_input import StandardInput

SMALL: dict[str, Any] = {
    "hidden_size": 8, "filters": 8, "bins": 20, "max_steps": 60, "batch_size": 8, "validate_every": 30,
    "learning_rate": 0.02, "dropout": 0.1, "device": "cpu",
}  # fmt: skip


def chirp(rising: bool, seed: int, rate: int = 8000) -> np.ndarray:
    """A tone whose pitch rises or falls, of any length and volume, in noise: only the order of its frames tells."""
    generator = np.random.default_rng(seed)
    seconds = generator.uniform(0.3, 0.5)
    times = np.arange(round(seconds * rate)) / rate
    low, high = generator.uniform(300, 500), generator.uniform(1500, 2500)
    begin, end = (low, high) if rising else (high, low)
    phase = 2 * np.pi * (begin * times + (end - begin) * times**2 / (2 * seconds))
    noise = 0.003 * generator.standard_normal(len(times))
    return (generator.uniform(0.05, 0.5) * np.sin(phase) + noise).astype(np.float32)


def sounds(count: int, seed: int = 0) -> tuple[list[Sound], list[str]]:
    labels = ["up" if k % 2 else "down" for k in range(count)]
    return [Sound(chirp(one == "up", 1000 * seed + k), 8000) for k, one in enumerate(labels)], labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a subfolder for each label, in several formats."""
    path = tmp_path_factory.mktemp("chirps")
    for k, (sound, label) in enumerate(zip(*sounds(40), strict=True)):
        write_sound(path / label / f"{k}.{('wav', 'flac', 'opus')[k % 3]}", sound.samples, 8000)
    return path


@pytest.fixture(scope="module")
def classifier() -> SoundClassifier:
    return SoundClassifier(**{**SMALL, "max_steps": 150}).fit(*sounds(60), validation=sounds(20, 1), progress=False)


def test_it_hears_the_order_of_frames_which_the_baseline_does_not(classifier: SoundClassifier) -> None:
    evaluation = classifier.evaluate(*sounds(40, 2))
    assert evaluation.scores["accuracy"] >= 0.95
    assert evaluation.baselines["nearest mean"]["accuracy"] < 0.8
    assert not evaluation.is_beaten
    assert {"confusion", "by_label"} == set(evaluation.tables)
    assert classifier.score(*sounds(40, 2)) == evaluation.score
    assert classifier.fitted.learned.log_mel.sample_rate == 8000


def test_predictions_have_labels_and_probabilities(classifier: SoundClassifier) -> None:
    items, labels = sounds(10, 3)
    predictions = classifier.predictions(items)
    assert classifier.predict(items).tolist() == labels
    assert predictions.probabilities.shape == (10, 2)
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(classifier.predict_proba(items), predictions.probabilities)
    assert sorted(classifier.classes_) == ["down", "up"]
    # What a recording gets among others it gets alone.
    alone = np.concatenate([classifier.predict_proba([one]) for one in items])
    np.testing.assert_allclose(alone, predictions.probabilities, atol=1e-4)


def test_a_saved_run_predicts_the_same(classifier: SoundClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "run")
    again = load(tmp_path / "run")
    items, _ = sounds(6, 4)
    assert isinstance(again, SoundClassifier)
    assert np.array_equal(again.predict_proba(items), classifier.predict_proba(items))


def test_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["train", "sound", "--data", str(folder), "--out", str(run), *options]) == 0
    assert "36 recordings" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--data", str(folder)]) == 0
    assert {one.name for one in (run / "evaluation").iterdir()} >= {"confusion.csv", "confusion.png", "evaluation.json"}
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["items"] == 40
    assert main(["predict", str(run), "--data", str(folder), "--probabilities", "--out", str(tmp_path / "p.csv")]) == 0
    with (tmp_path / "p.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert set(rows[0]) == {"id", "label", "confidence", "p(down)", "p(up)"}
    capsys.readouterr()
    # One file, and the same samples from standard input.
    recording = sorted((folder / "up").glob("*.wav"))[0]
    assert main(["predict", str(run), "--data", str(recording)]) == 0
    shown = capsys.readouterr().out
    assert "* " in shown
    monkeypatch.setattr("sys.stdin", StandardInput(recording.read_bytes()))
    assert main(["predict", str(run), "--data", "-"]) == 0
    assert capsys.readouterr().out == shown


def test_training_resumes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    values = {**SMALL, "max_steps": 12, "validate_every": 6, "schedule": "constant"}
    whole = SoundClassifier(**values).fit(folder, folder=tmp_path / "a", progress=False)
    SoundClassifier(**{**values, "max_steps": 6}).fit(folder, folder=tmp_path / "b", progress=False)
    resumed = SoundClassifier(**values).fit(folder, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name
    with pytest.raises(RunError, match="other data"):
        SoundClassifier(**values).fit(*sounds(20), folder=tmp_path / "b", resume=True, progress=False)


def test_a_stream_answers_at_each_window_as_the_whole_does() -> None:
    options = {**SMALL, "bidirectional": False, "filters": 0, "pooling": ("last", "mean", "max")}
    classifier = SoundClassifier(**options).fit(*sounds(20), progress=False)
    samples = sounds(1, 5)[0][0].samples
    stream, log_mel = classifier.open_stream(), classifier.fitted.learned.log_mel
    state = stream.new_state()
    answer: Any = None
    for frame in range(log_mel.frames(len(samples))):
        window = samples[frame * log_mel.shift :][: log_mel.window]
        answer = stream.step([window.tolist()], [state])[0]
    expected = classifier.predictions([Sound(samples, 8000)])
    assert answer["label"] == expected[0].labels[0]
    np.testing.assert_allclose(
        [answer["probabilities"][name] for name in classifier.classes_], expected.probabilities[0], atol=1e-4
    )
    for item in ([0.0], "text", [None] * log_mel.window, [float("nan")] * log_mel.window):
        with pytest.raises(DataError, match="item: "):
            stream.step([item], [stream.new_state()])


def test_the_exported_network_comes_with_what_prepares_its_input(classifier: SoundClassifier, tmp_path: Path) -> None:
    written = classifier.export(to="torch").write(tmp_path / "exported")
    assert written
    network, facts = classifier.export_network()
    assert json.loads(json.dumps(facts))["log_mel"]["sample_rate"] is not None
    assert facts["labels"] == [*classifier.classes_]
    assert network.input_size == 20


def test_what_cannot_stream_says_why(classifier: SoundClassifier) -> None:
    with pytest.raises(StreamError, match=r"filters=0|bidirectional"):
        classifier.open_stream()


def test_inspection(classifier: SoundClassifier) -> None:
    items, labels = sounds(4, 6)
    inspection = classifier.inspect(items, labels, row=2, name="runs/x", progress=False)
    assert inspection.attribution is not None
    probability = classifier.predictions(items)[1].confidence
    assert inspection.attribution.output[0] == pytest.approx(np.log(probability / (1 - probability)), rel=1e-3)
    assert inspection.words.facts["looked at"].startswith("4 of 4 recordings are shown. Recording 2 (2), of 0.")
    assert "20 bands of the mel scale" in inspection.words.facts["network"]
    losses = -np.log(classifier.predict_proba(items)[range(4), [[*classifier.classes_].index(one) for one in labels]])
    assert inspection.gradients.loss == pytest.approx(losses.sum(), rel=1e-3, abs=1e-5)
    assert "of the one predicted" in classifier.inspect(items, progress=False).words.loss
    with pytest.raises(ParameterError, match="row: expected 1 to 4"):
        classifier.inspect(*sounds(4, 6), row=5, progress=False)


def test_recordings_that_cannot_be_used_are_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    rows = [f"{file},{file.parent.name}" for file in sorted(folder.rglob("*.wav"))]
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    table = tmp_path / "train.csv"
    table.write_text("\n".join(["file,label", *rows, "broken.wav,up"]) + "\n")
    reading = SoundReading(most_unusable=0.2, problems=str(tmp_path / "problems.tsv"))
    fitted = SoundClassifier(**{**SMALL, "max_steps": 2}).fit(table, reading=reading, progress=False)
    assert "broken.wav" in (tmp_path / "problems.tsv").read_text(encoding="utf-8")
    with pytest.raises(DataError, match=r"broken\.wav: not a recording"):
        SoundClassifier(**SMALL).fit(table, progress=False)
    # A prediction is asked for each recording, and none is left out.
    with pytest.raises(DataError, match=r"broken\.wav: not a recording"):
        fitted.predict(table)


def test_bad_data_are_refused(classifier: SoundClassifier, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        SoundClassifier(**SMALL).fit(sounds(4)[0], ["up"] * 4, progress=False)
    with pytest.raises(DataError, match="there is no text"):
        SoundClassifier(**SMALL).fit(sounds(4)[0], progress=False)
    with pytest.raises(DataError, match="no recording has a label of training"):
        SoundClassifier(**SMALL).fit(*sounds(8), validation=(sounds(4)[0], ["x"] * 4), progress=False)
    with pytest.raises(ParameterError, match="stride"):
        SoundClassifier(filters=0, stride=2)
    with pytest.raises(DataError, match="too short"):
        classifier.predict([Sound(tone(0.01, 8000), 8000)])
    # Silence is a sound too.
    assert len(classifier.predict([Sound(np.zeros(8000, np.float32), 8000)])) == 1
