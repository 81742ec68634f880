"""A run killed again and again ends as one that nothing disturbed: the same weights and log, bit for bit."""

import random
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from several import context
from small_task import assert_same, weights
from test_truncation import ManyToMany, N
from torch import nn
from torch.nn import functional as F

from recurra.errors import RunError
from recurra.training import Batch, Mean, Trainer, TrainingSettings, Truncation, evaluate, load_last

KILLS, STEPS = 50, 1000


def live(folder: Path, begun: Event | None = None) -> None:
    """Train a stream to its end, from the last checkpoint where there is one."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, N, 2, generator=generator, dtype=torch.float64)
    y = x.cumsum(1)[..., :1]

    asked = iter(range(1_000_000))

    def batches(number: int) -> Batch:
        if next(asked) == 6 and begun is not None:
            begun.set()
        at = slice((number - 1) * 2 % N, (number - 1) * 2 % N + 2)
        return Batch(x[:, at], y[:, at], 4)

    def validate(module: nn.Module) -> Mean:
        return evaluate(module, F.mse_loss, [batches(1), batches(2)], carry=True)

    settings = TrainingSettings(
        max_steps=STEPS, learning_rate=0.02, validate_every=37, accumulation=2, clipping="percentile", health_every=7
    )
    trainer = Trainer(
        ManyToMany(dropout=0.3),
        F.mse_loss,
        batches,
        settings,
        validate,
        folder,
        truncation=Truncation(4, 2),
        checkpoint_seconds=0.005,
    )
    trainer.fit(resume=has_checkpoint(folder))


def has_checkpoint(folder: Path) -> bool:
    try:
        load_last(folder)
    except RunError:
        return False
    return True


@pytest.mark.slow
def test_killed_at_fifty_random_moments(tmp_path: Path) -> None:
    straight, folder = tmp_path / "straight", tmp_path / "run"
    live(straight)
    chance = random.Random(11)
    killed, reached = 0, set()
    while killed < KILLS:
        begun = context.Event()
        process = context.Process(target=live, args=(folder, begun))
        process.start()
        # Some die while they read what the one before left, the others after some steps.
        if chance.random() < 0.9:
            assert begun.wait(60)
        time.sleep(chance.uniform(0, 0.04))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"ended by itself after {killed} kills"
        killed += 1
        if has_checkpoint(folder):
            reached.add(load_last(folder).values["step"])
    assert len(reached) > KILLS / 4
    assert max(reached) < STEPS
    live(folder)
    assert_same(weights(folder), weights(straight))
    assert_same(weights(folder, "last"), weights(straight, "last"))
    for table in ("log", "health", "skipped"):
        assert (folder / f"{table}.csv").read_bytes() == (straight / f"{table}.csv").read_bytes(), table
    assert {file.name for file in folder.iterdir()} == {file.name for file in straight.iterdir()}
