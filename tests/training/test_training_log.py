"""The log: a row a line, rows after the step resumed from dropped, TensorBoard where asked for."""

import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from small_task import make_trainer, rows, signal_at
from test_checkpoint import file_size_limit
from torch import Tensor

from recurra.errors import MissingExtraError, RunError
from recurra.training import TrainingInterruptedError, TrainingLog, read_log

HEADER = "step,loss,validation_loss,learning_rate,grad_norm,clipped,skipped"


def write(path: Path, steps: tuple[int, ...], resume_step: int = 0) -> None:
    log = TrainingLog(path.parent, resume_step)
    for step in steps:
        log.write("log", step, loss=step / 3, validation_loss=None, learning_rate=1e-3, clipped=0.5)
        log.write("time", step, seconds=0.5)
        log.sync()
    log.close()


def test_a_row_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    write(path, (1, 10))
    assert path.read_text().splitlines() == [HEADER, "1,0.333333,,0.001,,0.5,", "10,3.33333,,0.001,,0.5,"]
    assert [row["step"] for row in read_log(path)] == ["1", "10"]
    assert read_log(path)[1]["validation_loss"] == ""


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path)
    assert read_log(tmp_path / "log.csv") == []
    log.write("log", 1, loss=2.0)
    assert [row["loss"] for row in read_log(tmp_path / "log.csv")] == ["2"]
    log.close()


def test_no_log_has_no_rows(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.csv") == []
    (tmp_path / "log.csv").touch()
    assert read_log(tmp_path / "log.csv") == []


def test_resuming_drops_the_rows_after_that_step(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    write(path, (1, 10, 20, 30))
    write(path, (30, 40), resume_step=20)
    assert [row["step"] for row in read_log(path)] == ["1", "10", "20", "30", "40"]
    assert path.read_text().count(HEADER) == 1


def test_starting_anew_drops_every_row(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", (1, 10))
    write(tmp_path / "log.csv", (1,))
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == ["1"]


def test_a_last_line_cut_anywhere_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    write(path, (1, 10, 20))
    text = path.read_text()
    last = len(text.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_text(text[:-cut])
        assert [row["step"] for row in read_log(path)] == ["1", "10"], text[:-cut]
        write(path, (20,), resume_step=10)
        assert path.read_text() == text


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path)
    log.write("log", 1, loss=1.0)
    size = (tmp_path / "log.csv").stat().st_size
    with file_size_limit(size + 3), pytest.raises(RunError, match=r"log\.csv: cannot be written \(File too large\)"):
        log.write("log", 2, loss=1.0)
    with file_size_limit(size + 3):
        log.close()
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == ["1"]


def test_training_logs_every_tenth_step_and_every_validation(tmp_path: Path) -> None:
    make_trainer(tmp_path, settings={"max_steps": 25, "validate_every": 8, "schedule": "LinearLR"}).fit()
    logged = rows(tmp_path)
    assert [int(row["step"]) for row in logged] == [1, 8, 10, 16, 20, 24, 25]
    assert [int(row["step"]) for row in logged if row["validation_loss"]] == [8, 16, 24, 25]
    assert all(float(row["loss"]) > 0 and float(row["grad_norm"]) > 0 for row in logged)
    # The rate is the one that the step was made with: it falls in a line from 0.01 to a hundredth of it.
    rates = [0.01 * (1 - 0.99 * (int(row["step"]) - 1) / 25) for row in logged]
    assert [float(row["learning_rate"]) for row in logged] == pytest.approx(rates, rel=1e-4)


def events(folder: Path) -> dict[str, list[int]]:
    """The steps of each figure."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {name: [event.step for event in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_training_logs_the_health_of_every_parameter(tmp_path: Path) -> None:
    make_trainer(tmp_path, settings={"health_every": 5}).fit()
    found = read_log(tmp_path / "health.csv")
    assert [int(row["step"]) for row in found if row["parameter"] == "head.weight"] == [1, 5, 10, 15, 20]
    assert {row["layer"] for row in found} == {"encoder layer 1", "head"}
    # The squares of the parameters' norms add up to that of the whole gradient.
    norms = [float(row["grad_norm"]) for row in found if row["step"] == "10"]
    (whole,) = (float(row["grad_norm"]) for row in rows(tmp_path) if row["step"] == "10")
    assert math.hypot(*norms) == pytest.approx(whole, rel=1e-4)


def test_training_logs_the_share_of_clipped_steps(tmp_path: Path) -> None:
    settings = {"max_steps": 25, "validate_every": 100, "max_grad_norm": 1e-3}
    for factor, fraction in ((0.0, 0.0), (100.0, 1.0)):
        folder = tmp_path / f"{factor}"
        make_trainer(folder, settings=settings, loss=lambda a, b, k=factor: spoilt(a, b, k)).fit()
        assert {float(row["clipped"]) for row in rows(folder)} == {fraction}


def spoilt(output: Tensor, target: Tensor, factor: float) -> Tensor:
    return factor * (output - target).square().mean()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path, tensorboard=True, batches=signal_at(11)).fit()
    make_trainer(tmp_path, tensorboard=True).fit(resume=True)
    steps = [int(row["step"]) for row in rows(tmp_path)]
    found = events(tmp_path / "tensorboard")
    shown = {name for name in found if "/" not in name}
    assert shown == {"clipped", "grad_norm", "learning_rate", "loss", "seconds", "skipped", "validation_loss"}
    assert found["loss"] == steps
    assert found["grad_norm/head.weight"] == found["update_ratio/encoder.weight_hh_l0"] == [1, 10, 20]
    assert found["validation_loss"] == [4, 8, 12, 16, 20]


def test_tensorboard_is_only_written_where_asked_for(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_missing_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: Any = None
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", gone)
    with pytest.raises(MissingExtraError) as error:
        make_trainer(tmp_path, tensorboard=True).fit()
    assert re.search(r"--tensorboard.* needs tensorboard: pip install 'recurra\[tensorboard\]'", str(error.value))
