import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_drawings import drawings, turning, write_npz
from made_handwriting import handwriting, text_of
from recurra import DrawingModel, load
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError, RunError

SMALL: dict[str, Any] = {
    "hidden_size": 16, "mixtures": 3, "max_steps": 60, "batch_size": 16, "validate_every": 30, "learning_rate": 0.04,
    "stretch": 0.0, "merging": 0.0, "averaging": 0.0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(**{**SMALL, "max_steps": 120}).fit(*drawings(80), validation=drawings(20, 1), progress=False)


def test_it_predicts_what_has_memory_better_than_the_baseline(model: DrawingModel) -> None:
    evaluation = model.evaluate(*drawings(30, 2))
    scores, baseline = evaluation.scores, evaluation.baselines["mixture without memory"]
    assert scores["nats/point"] < baseline["nats/point"] - 0.3
    assert scores["nats/point"] == pytest.approx(scores["offset"] + scores["pen"])
    assert set(evaluation.tables) == {"by_class"}
    assert model.score(*drawings(30, 2)) == -scores["nats/point"]
    # One that turns the other way than its class says is surprising.
    surprise = model.predict([turning("left", 7)] * 2, ["left", "right"])
    assert surprise[0] < surprise[1] - 0.3


def test_the_published_loss_counts_padding_in_its_divisor_alone(model: DrawingModel) -> None:
    items, labels = drawings(9, 3)
    evaluation = model.evaluate(items, labels)
    table = model.predictions(items, labels).table()
    nats = np.array([[row[3], row[4], row[5]] for row in table.rows])
    longest = model.fitted.learned.longest
    assert longest == max(len(one) for one in drawings(80)[0])
    assert evaluation.scores["L_R"] == pytest.approx(nats[:, :2].sum() / (9 * longest))
    assert evaluation.scores["nats/point"] == pytest.approx(nats.sum() / sum(map(len, items)))


def test_a_saved_run_predicts_the_same(model: DrawingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    items = drawings(6, 4)
    assert isinstance(again, DrawingModel)
    assert np.array_equal(again.predict(*items), model.predict(*items))
    assert again.evaluate(*items).to_dict() == model.evaluate(*items).to_dict()


def test_classes_that_training_did_not_have_are_named(model: DrawingModel) -> None:
    with pytest.raises(DataError, match="class 'up'"):
        model.predict([turning("left", 0)], ["up"])
    with pytest.raises(DataError, match="class 'up'"):
        DrawingModel(**SMALL).fit(*drawings(8), validation=([turning("left", 0)], ["up"]))


def test_data_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="nothing varies"):
        DrawingModel(**SMALL).fit([np.array([[1, 1, 1]])] * 5)
    with pytest.raises(DataError, match="drawing 2"):
        DrawingModel(**SMALL).fit([turning("left", 0), np.zeros((3, 2))])
    with pytest.raises(DataError, match="no drawings"):
        DrawingModel(**SMALL).fit([])
    with pytest.raises(ParameterError, match="data"):
        DrawingModel(**SMALL).fit(5)
    with pytest.raises(ParameterError, match="y"):
        DrawingModel(**SMALL).fit([turning("left", 0)], ["left", "right"])
    with pytest.raises(ParameterError, match="y"):
        DrawingModel(**SMALL).fit("a.npz", ["left"])


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    data, run = str(write_npz(tmp_path / "left.npz")), tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**SMALL, "max_steps": 20}.items()]
    assert main(["train", "draw", "--data", data, "--out", str(run), "--max-points", "9", *options]) == 0
    assert "24 drawings" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--data", data]) == 0
    assert "test: 8 drawings" in capsys.readouterr().out
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["drawings"] == 8
    assert main(["evaluate", str(run), "--data", data, "--part", "validation"]) == 0
    assert "validation: 6 drawings" in capsys.readouterr().out
    assert main(["predict", str(run), "--data", data, "--out", str(tmp_path / "p.csv")]) == 0
    with (tmp_path / "p.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 38
    assert set(rows[0]) >= {"drawing", "label", "points", "nats_per_point"}
    with caplog.at_level(logging.WARNING):
        assert main(["evaluate", str(run), "--data", data, "--max-points", "6"]) == 0


def test_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "left.npz")
    values = {**SMALL, "max_steps": 8, "validate_every": 4, "schedule": "constant"}
    whole = DrawingModel(**values).fit(data, folder=tmp_path / "a", progress=False)
    DrawingModel(**{**values, "max_steps": 4}).fit(data, folder=tmp_path / "b", progress=False)
    resumed = DrawingModel(**values).fit(None, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name
    with pytest.raises(RunError, match="other data"):
        DrawingModel(**values).fit(*drawings(8), folder=tmp_path / "b", resume=True, progress=False)


@pytest.mark.slow
def test_the_page_that_shows_the_network_inside(model: DrawingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "run")
    table = tmp_path / "a.csv"
    assert main(["generate", str(tmp_path / "run"), "--label", "left", "--count", "4", "--out", str(table)]) == 0
    assert main(["inspect", str(tmp_path / "run"), "--data", str(table), "--row", "2"]) == 0
    assert list((tmp_path / "run" / "inspection").iterdir())


def test_a_stack_of_blocks(tmp_path: Path) -> None:
    options = {**SMALL, "max_steps": 2, "validate_every": 2, "architecture": ("rglru", "attention:4")}
    model = DrawingModel(**options).fit(*drawings(16), validation=drawings(4, 1), progress=False)
    model.save(tmp_path / "run")
    items = drawings(3, 4)
    assert np.array_equal(load(tmp_path / "run").predict(*items), model.predict(*items))
    with pytest.raises(ParameterError, match="latent_size: expected 0 with an architecture"):
        DrawingModel(**options, latent_size=4)
    texts = [(handwriting(text_of(seed), seed), text_of(seed)) for seed in range(4)]
    with pytest.raises(ParameterError, match="window: expected 0 with an architecture"):
        DrawingModel(**options).fit(texts, progress=False)
