import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra import load
from recurra.cli.main import main
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST
from recurra.errors import DataError, ParameterError
from recurra.tasks.music import MusicModel, MusicReading
from recurra.tasks.music.results import frame_averages

SMALL: dict[str, Any] = {
    "hidden_size": 16, "nade_size": 8, "max_steps": 60, "batch_size": 4, "truncation_length": 16, "device": "cpu",
    "validate_every": 30, "learning_rate": 0.03, "dropout": 0.0,
}  # fmt: skip


def chords(count: int, seed: int = 0) -> list[np.ndarray]:
    """Thirds, one after the other: both notes or none, so that they depend on each other."""
    generator = np.random.default_rng(seed)
    rolls = [np.zeros((int(generator.integers(8, 20)), 88), np.uint8) for _ in range(count)]
    for roll in rolls:
        for step in range(0, len(roll) - 1, 2):
            lower = 40 + int(generator.integers(0, 5))
            roll[step : step + 2, [lower, lower + 4]] = 1
    return rolls


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music") / "run"
    MusicModel(**SMALL).fit(chords(20), folder=folder, progress=False)
    return folder


def test_evaluate_beside_baselines(run: Path, tmp_path: Path) -> None:
    model = load(run)
    found = model.evaluate(chords(8, 1), samples=2)
    assert list(found.methods) == [
        "model", "note frequencies", "last frame", "last frame and bar", "last bar", "n-gram of frames",
    ]  # fmt: skip
    assert found.scores["nats/frame"] < found.baselines["note frequencies"]["nats/frame"]
    character = found.tables["character"]
    assert [row[0] for row in character.rows] == ["these pieces", "sampled", "training"]
    assert character.rows[0][1] == pytest.approx(2, abs=0.3)
    assert {path.name for path in found.write(tmp_path)} == {
        "evaluation.json", "character.csv", "pitch_classes.csv", "intervals.csv", "repetition.csv",
    }  # fmt: skip
    histogram = found.tables["intervals"]
    assert np.array(histogram.rows)[:, 1:].sum(0).tolist() == pytest.approx([1, 1, 1])
    error = dict(zip(character.columns, zip(*character.rows, strict=True), strict=True))["similarity error"]
    assert error[0] == 0 < max(error[1:])
    assert "2 of these pieces repeat others" in " ".join(model.evaluate(3 * chords(1, 1), samples=0).warnings)
    assert "also in the training data" in " ".join(model.evaluate(chords(20)[:1], samples=0).warnings)


def test_averages_by_hand() -> None:
    averages = frame_averages([np.array([9.0, 1.0, 2.0]), np.array([5.0, 3.0])])
    assert averages == {
        "nats/frame": pytest.approx((1 + 2 + 3) / 3),
        "with first": pytest.approx((9 + 1 + 2 + 5 + 3) / 5),
        "by piece": pytest.approx((4 + 4) / 2),
    }
    assert frame_averages([np.array([4.0])])["nats/frame"] == 0


def test_surprise_is_the_sum_over_frames_whatever_is_read_together(run: Path) -> None:
    model, rolls = MusicModel.load(run), chords(5, 2)
    together = model.predict(rolls)
    for roll, nats in zip(rolls, together, strict=True):
        alone = model.predict([roll])[0]
        assert len(alone) == len(roll)
        assert_allclose(alone, nats, rtol=1e-4)
    scores = model.evaluate(rolls, samples=0).scores
    assert_allclose(scores["with first"], np.concatenate(together).mean(), rtol=1e-5)
    rows = model.predictions(rolls[:1]).table().rows
    assert len(rows) == len(rolls[0])
    assert rows[0][2] == " ".join(_name(note) for note in np.flatnonzero(rolls[0][0]).tolist())


def _name(note: int) -> str:
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    return f"{names[(note + LOWEST) % 12]}{(note + LOWEST) // 12 - 1}"


def test_a_resumed_run_is_the_run(run: Path, tmp_path: Path) -> None:
    MusicModel(**{**SMALL, "max_steps": 8, "schedule": "constant"}).fit(
        chords(20), folder=tmp_path / "a", progress=False
    )
    whole = MusicModel(**{**SMALL, "max_steps": 16, "schedule": "constant"})
    whole.fit(chords(20), folder=tmp_path / "a", resume=True, progress=False)
    straight = MusicModel(**{**SMALL, "max_steps": 16, "schedule": "constant"}).fit(chords(20), progress=False)
    for one, other in zip(whole.predict(chords(3)), straight.predict(chords(3)), strict=True):
        assert np.array_equal(one, other)
    again = load(run)
    assert len(again.fitted.learned.pieces) == 18
    assert again.fitted.learned.grid == Grid()


def test_files_that_were_set_aside_are_listed_in_the_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number, roll in enumerate(chords(3)):
        np.savez(tmp_path / "data" / f"{number}.npz", roll)
    (tmp_path / "data" / "broken.npz").write_bytes(b"hello")
    (tmp_path / "data" / "set.abc").write_text("X:1\nK:C\nA\n\nX:2\nK:C\n(1A\n")
    model = MusicModel(**{**SMALL, "max_steps": 1, "validation_fraction": 0})
    model.fit(tmp_path / "data", reading=MusicReading(most_unusable=0.2), folder=tmp_path / "run", progress=False)
    first, *lines = (tmp_path / "run" / "problems.tsv").read_text().splitlines()
    assert first.split("\t") == ["use", "where", "file", "reason"]
    rows = [line.split("\t")[:3] for line in lines]
    assert rows == [
        ["left out", "", str(tmp_path / "data" / "broken.npz")],
        ["left out", f"{tmp_path / 'data' / 'set.abc'}, line 5", ""],
    ]


def test_stretched_pieces_are_read_beside_the_others() -> None:
    frames = {}
    for stretch in (0.0, 1.0):
        model = MusicModel(**{**SMALL, "max_steps": 1, "time_stretch": stretch}).fit(chords(10), progress=False)
        training = model.split(model.read(chords(10), None, None, False))[0]
        objective = model.objective(model.fitted, training, None)
        assert objective.steps_per_epoch is not None
        frames[stretch] = sum(objective.batches(step + 1).weight for step in range(objective.steps_per_epoch))
        assert [piece.length for piece in model.fitted.learned.pieces] == [one.length for one in training.part("train")]
    assert frames[1.0] == pytest.approx(3.5 * frames[0.0], abs=5)


def test_independent_notes_know_less(run: Path) -> None:
    model = MusicModel(**{**SMALL, "output": "independent"}).fit(chords(20), progress=False)
    held = chords(8, 1)
    both = load(run).evaluate(held, samples=0).score, model.evaluate(held, samples=0).score
    assert both[0] > both[1]


def test_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "held.npz", a=chords(2, 3)[0], b=chords(2, 3)[1])
    assert main(["evaluate", str(run), "--data", str(tmp_path / "held.npz"), "--samples", "0"]) == 0
    assert "nats/frame" in capsys.readouterr().out
    saved = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert saved["pieces"] == 2
    assert main(["predict", str(run), "--data", str(tmp_path / "held.npz")]) == 0
    assert (run / "predictions" / "held.csv").read_text().startswith("piece,frame,notes,expected,surprise\n")
    assert main(["inspect", str(run), "--data", str(tmp_path / "held.npz"), "--out", str(tmp_path / "page")]) == 0


def test_what_does_not_fit_is_refused_before_any_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra.tasks.music.results.read_frames", None)
    monkeypatch.setattr("recurra.tasks.music.generation.sample_frames", None)
    data = tmp_path / "two.npz"
    np.savez(data, first=chords(2, 3)[0], second=chords(2, 3)[1])
    assert main(["predict", str(run), "--data", str(data), "--out", str(tmp_path / "a.html")]) == 2
    assert "out: expected a file ending in .csv for 2 pieces" in capsys.readouterr().err
    for name in ("primer", "melody"):
        assert main(["generate", str(run), f"--{name}", str(data), "--out", str(tmp_path / "a.mid")]) == 2
        assert "it has 2 pieces (two first, two second), expected a file with one" in capsys.readouterr().err
    assert main(["predict", str(run), "--data", "-"]) == 2
    assert "standard input: music is read from a file that ends in .mid" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["two.npz"]


def test_mistakes(run: Path, tmp_path: Path) -> None:
    model = load(run)
    with pytest.raises(ParameterError, match="row"):
        model.view(chords(2), row=3)
    with pytest.raises(DataError, match="at least 3"):
        model.view([np.eye(2, 88, dtype=np.uint8)])
    np.savez(tmp_path / "parted.npz", train=chords(1)[0])
    with pytest.raises(DataError, match="--part test"):
        model.evaluate(tmp_path / "parted.npz")
    piece = Piece.from_roll("one", chords(1)[0], Grid())
    assert model.predict([piece])[0].shape == (piece.length,)
