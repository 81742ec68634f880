"""What a step of training spends beyond model, loss and optimiser, at (B,T,I,H) = (32,100,256,256).

`Trainer` trains a network with a readout at every step, by its default settings: clipping by norm, averaged weights,
the log, gradient health every tenth step, checkpoints. Between its steps, in turn, a bare loop makes the same step of
a network of its own: zero_grad, model, loss, backward, the optimiser's step. The share is what the Trainer takes
longer, of its time. Batches are made beforehand: reading data is not the loop's.
"""

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._command import run_alone
from benchmarks._report import Report
from recurra import cells
from recurra.cells import Cell
from recurra.layers import Recurrent
from recurra.training import Batch, Trainer, TrainingSettings, make_optimizer

BATCH, STEPS, INPUTS, HIDDEN = 32, 100, 256, 256
UPDATES, WARM = 300, 20
CELLS = {"LSTM": cells.LSTM(), "GRU": cells.GRU(), "Elman": cells.Elman()}


class ManyToMany(nn.Module):
    """Reads (B, T, I), answers (B, T, 8)."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, INPUTS, HIDDEN, batch_first=True)
        self.readout = nn.Linear(HIDDEN, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.recurrent(x)
        return self.readout(output), state


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def milliseconds(cell: Cell, folder: Path) -> tuple[float, float]:
    """Of a step of the Trainer, and of one of the bare loop between its steps; means over all."""
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, STEPS, INPUTS), torch.randn(BATCH, STEPS, 8)
    settings = TrainingSettings(max_steps=WARM + UPDATES + 1, validate_every=UPDATES)
    alone = ManyToMany(cell)
    optimizer = make_optimizer(settings, alone)
    bare, began, whole = 0.0, 0.0, 0.0

    def step_alone() -> None:
        optimizer.zero_grad(set_to_none=True)
        output, _ = alone(x)
        F.mse_loss(output, y).backward()
        optimizer.step()

    def batches(number: int) -> Batch:
        nonlocal bare, began, whole
        before = time.perf_counter()
        if number > WARM + UPDATES:
            whole = before - began
            return Batch(x, y, BATCH * STEPS)
        step_alone()
        bare += time.perf_counter() - before
        if number == WARM:
            bare, began = 0.0, time.perf_counter()
        return Batch(x, y, BATCH * STEPS)

    Trainer(ManyToMany(cell), F.mse_loss, batches, settings, folder=folder, progress=False).fit()
    return 1000 * (whole - bare) / UPDATES, 1000 * bare / UPDATES


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"Time of a training step, at (B,T,I,H) = ({BATCH},{STEPS},{INPUTS},{HIDDEN}), mean of {UPDATES} steps",
        {"cell": "6s", "Trainer, ms": "9.2f", "bare loop, ms": "9.2f", "beyond, %": "9.2f"},
    )
    for name, cell in CELLS.items():
        with TemporaryDirectory() as folder:
            ours, bare = milliseconds(cell, Path(folder) / "run")
        table.add(name, ours, bare, 100 * (ours - bare) / ours)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
