"""The picture of a training shows the losses of its log."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from recurra.training.log import TrainingLog
from recurra.training.picture import draw_training


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Training losses of four steps, and validation losses of two of them."""
    log = TrainingLog(tmp_path)
    for step, loss, validation in ((1, 4.0, None), (2, 3.0, 3.5), (3, 2.5, None), (4, 2.0, 3.25)):
        log.write("log", step, loss=loss, validation_loss=validation)
    log.close()
    return tmp_path / "log.csv"


def points(line: object) -> list[list[float]]:
    return np.asarray(line.get_xydata()).tolist()  # type: ignore[attr-defined]


def test_both_losses_by_step_on_one_axis(log: Path, tmp_path: Path, drawn: list[Figure]) -> None:
    draw_training(log, tmp_path / "training.png", loss="nats a word", validation="unseen")
    (ax,) = drawn[0].axes
    training, validation = ax.lines
    assert points(training) == [[1, 4.0], [2, 3.0], [3, 2.5], [4, 2.0]]
    assert points(validation) == [[2, 3.5], [4, 3.25]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "unseen"]  # type: ignore[union-attr]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "nats a word")


def test_validation_that_measures_something_else_has_an_axis_of_its_own(
    log: Path, tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_training(log, tmp_path / "training.png", loss="nats", validation="errors (%)", twin=True)
    left, right = drawn[0].axes
    assert points(left.lines[0])[-1] == [4, 2.0]
    assert points(right.lines[0])[-1] == [4, 3.25]
    assert left.get_ylabel() == "training, nats"
    assert right.get_ylabel() == "errors (%)"
    assert left.get_ylim()[0] == right.get_ylim()[0] == 0


def test_a_single_validation_has_a_marker(tmp_path: Path, drawn: list[Figure]) -> None:
    log = TrainingLog(tmp_path)
    log.write("log", 1, loss=2.0)
    log.write("log", 2, loss=1.5, validation_loss=1.75)
    log.close()
    draw_training(tmp_path / "log.csv", tmp_path / "training.png")
    training, validation = drawn[0].axes[0].lines
    assert (training.get_marker(), validation.get_marker()) == ("None", "o")
    assert points(validation) == [[2, 1.75]]


@pytest.mark.parametrize("twin", [False, True])
def test_a_training_without_validation(twin: bool, tmp_path: Path, drawn: list[Figure]) -> None:
    log = TrainingLog(tmp_path)
    log.write("log", 1, loss=2.0)
    log.close()
    draw_training(tmp_path / "log.csv", tmp_path / "training.png", twin=twin)
    (ax,) = drawn[0].axes
    assert [points(line) for line in ax.lines] == [[[1, 2.0]]]
