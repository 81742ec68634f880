"""Several processes train as one does: the same losses, one writer, one decision where one is needed."""

import math
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from several import together
from small_task import FILES, ManyToOne, assert_same, rows, weights
from test_truncation import ManyToMany, N
from torch import Tensor, nn

from recurra.training import (
    Batch,
    Mean,
    Trainer,
    TrainingInterruptedError,
    TrainingSettings,
    Truncation,
    evaluate,
    load_last,
    processes,
)

QUICK: dict[str, Any] = {"max_steps": 12, "validate_every": 4, "learning_rate": 0.02}


def observed_mean(output: Tensor, target: Tensor) -> Tensor:
    """The squared error over what is not NaN."""
    seen = ~target.isnan()
    return ((output - target.nan_to_num()) ** 2 * seen).sum() / seen.sum().clamp(min=1)


def part(step: int, spoil: int = 0) -> Batch:
    """This process's sequences of a step's nine; some targets are missing, so that parts differ in weight."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(9, 6, 2, generator=generator)
    y = x[..., :1].mean(1).masked_fill(torch.rand(9, 1, generator=generator) < 0.4, math.nan)
    mine = torch.from_numpy(processes().partition.of(np.arange(9)))
    if step == spoil and processes().rank == processes().count - 1:
        x = x * math.inf
    return Batch(x[mine], y[mine], float((~y[mine].isnan()).sum()))


def validate(module: nn.Module) -> Mean:
    return evaluate(module, observed_mean, [part(1000), part(1001)])


def train(folder: Path, stop_at: int = 0, resume: bool = False, spoil: int = 0, **options: Any) -> None:
    """Train `ManyToOne`; the last process alone is interrupted."""

    def batches(step: int) -> Batch:
        if step == stop_at and processes().rank == processes().count - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return part(step, spoil)

    settings = TrainingSettings(**QUICK | options)
    trainer = Trainer(ManyToOne(dropout=0.0), observed_mean, batches, settings, validate, folder)
    try:
        trainer.fit(resume)
    except TrainingInterruptedError as stopped:
        print(f"stopped at {stopped.step}")


def train_stream(folder: Path, stop_at: int = 0, resume: bool = False, spoil: int = 0) -> None:
    """Train on a stream of four lanes, carrying the state; one batch is spoiled for the last process."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(4, N, 2, generator=generator, dtype=torch.float64)
    y = x.cumsum(1)[..., :1]
    lanes = torch.from_numpy(processes().partition.of(np.arange(4)))

    def batches(number: int) -> Batch:
        if number == stop_at and processes().rank == 0:
            os.kill(os.getpid(), signal.SIGINT)
        first = (number - 1) * 4 % N
        resets = torch.zeros(len(lanes), 4, dtype=torch.bool)
        resets[:, 0] = first == 0
        resets[lanes == 3, 2] = True
        at = slice(first, first + 4)
        bad = number == spoil and processes().rank == processes().count - 1
        return Batch(x[lanes, at] * (math.nan if bad else 1), y[lanes, at], len(lanes) * 4, resets)

    settings = TrainingSettings(**QUICK)
    trainer = Trainer(
        ManyToMany(), nn.functional.mse_loss, batches, settings, folder=folder, truncation=Truncation(8, 4)
    )
    try:
        trainer.fit(resume)
    except TrainingInterruptedError as stopped:
        print(f"stopped at {stopped.step}")


def losses(folder: Path, column: str = "loss") -> list[float]:
    return [float(row[column]) for row in rows(folder) if row[column]]


@pytest.mark.parametrize("options", [{}, {"accumulation": 3}])
def test_two_processes_have_the_losses_of_one(options: dict[str, Any], tmp_path: Path) -> None:
    train(tmp_path / "one", **options)
    assert together(2, train_with, tmp_path, tmp_path / "two", options) == [0, 0]
    for column in ("loss", "validation_loss", "grad_norm"):
        assert losses(tmp_path / "two", column) == pytest.approx(losses(tmp_path / "one", column), rel=1e-5)
    for name, tensor in weights(tmp_path / "two").items():
        torch.testing.assert_close(tensor, weights(tmp_path / "one")[name], rtol=1e-4, atol=1e-5)
    checkpoints = {f"checkpoint-{step}.safetensors" for step in (8, 12)}
    assert {file.name for file in (tmp_path / "two").iterdir()} == {*FILES, *checkpoints}


def train_with(folder: Path, options: dict[str, Any]) -> None:
    train(folder, **options)


def test_the_lanes_of_a_stream_are_divided(tmp_path: Path) -> None:
    train_stream(tmp_path / "one")
    assert together(2, train_stream, tmp_path, tmp_path / "two") == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def test_processes_stop_together_and_go_on_to_the_same_end(tmp_path: Path) -> None:
    assert together(2, train_stream, tmp_path, tmp_path / "straight") == [0, 0]
    assert together(2, train_stream, tmp_path, tmp_path / "run", 6) == [0, 0]
    assert [(tmp_path / f"output-{rank}").read_text() for rank in (0, 1)] == ["stopped at 6\n"] * 2
    assert together(2, train_stream, tmp_path, tmp_path / "run", 0, True) == [0, 0]
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "straight"))
    assert (tmp_path / "run" / "log.csv").read_bytes() == (tmp_path / "straight" / "log.csv").read_bytes()


def test_dropout_differs_between_processes_and_resumes(tmp_path: Path) -> None:
    assert together(2, train_dropping, tmp_path, tmp_path / "straight") == [0, 0]
    assert together(2, train_dropping, tmp_path, tmp_path / "run", 6) == [0, 0]
    states = [load_last(tmp_path / "run").group(f"generator.{rank}")["torch"] for rank in (0, 1)]
    assert not torch.equal(*states)
    assert together(2, train_dropping, tmp_path, tmp_path / "run", 0, True) == [0, 0]
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "straight"))


def train_dropping(folder: Path, stop_at: int = 0, resume: bool = False) -> None:
    settings = TrainingSettings(**QUICK)

    def batches(step: int) -> Batch:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return part(step)

    with suppress(TrainingInterruptedError):
        Trainer(ManyToOne(dropout=0.5), observed_mean, batches, settings, validate, folder).fit(resume)


def test_what_one_process_cannot_use_all_skip(tmp_path: Path) -> None:
    assert together(2, train, tmp_path, tmp_path / "two", 0, False, 5) == [0, 0]
    assert rows(tmp_path / "two")[-1]["skipped"] == "1"
    assert "step 5 (batch 5) is skipped" in (tmp_path / "output-0").read_text()
    assert (tmp_path / "output-1").read_text() == ""


def test_the_number_of_processes_may_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each lane continues from its own state, in whichever process: the losses are those without a change."""
    train_stream(tmp_path / "straight")
    folder = tmp_path / "run"
    assert together(2, train_stream, tmp_path, folder, 4) == [0, 0]
    train_stream(folder, 8, True)
    assert "from step 5 on the number of processes is 1 in place of 2" in caplog.text
    assert together(2, train_stream, tmp_path, folder, 0, True) == [0, 0]
    assert "from step 9 on the number of processes is 2 in place of 1" in (tmp_path / "output-0").read_text()
    assert (tmp_path / "output-1").read_text() == ""
    assert losses(folder) == pytest.approx(losses(tmp_path / "straight"), rel=1e-6)
    for name, tensor in weights(folder).items():
        torch.testing.assert_close(tensor, weights(tmp_path / "straight")[name], rtol=1e-6, atol=1e-7)


def train_where_the_first_has_all(folder: Path) -> None:
    """Every batch is the first process's; the others have sequences without a target."""

    def batches(step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(4, 6, 2, generator=generator)
        y = x[..., :1].mean(1)
        return Batch(x, y, 4.0) if processes().is_first else Batch(x[:1], y[:1] * math.nan, 0.0)

    Trainer(ManyToOne(dropout=0.0), nn.functional.mse_loss, batches, TrainingSettings(**QUICK), folder=folder).fit()


def test_a_process_may_have_nothing_to_learn_from(tmp_path: Path) -> None:
    train_where_the_first_has_all(tmp_path / "one")
    assert together(2, train_where_the_first_has_all, tmp_path, tmp_path / "two") == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def test_a_state_that_one_process_loses_all_lose(tmp_path: Path) -> None:
    for folder, stop_at in ((tmp_path / "straight", 0), (tmp_path / "run", 6)):
        assert together(2, train_stream, tmp_path, folder, stop_at, False, 5) == [0, 0]
        assert "step 5 (batch 5) is skipped" in (tmp_path / "output-0").read_text()
    assert together(2, train_stream, tmp_path, tmp_path / "run", 0, True) == [0, 0]
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "straight"))
