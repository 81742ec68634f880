"""What a step of training spends outside model, loss and optimiser, at (B,T,I,H) = (32,100,256,256).

`Trainer` trains an LSTM, a GRU and an Elman network with a readout at every step, by its default settings: clipping by
norm, averaged weights, the log, gradient health every tenth step, checkpoints. The calls of the model, the loss, its
backward pass and the optimiser's step are timed within; the rest of the loop's time, set-up excluded, is outside.
Batches are made beforehand: reading data is not the loop's.
"""

import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchmarks._command import run_alone
from benchmarks._report import Report
from recurra import cells
from recurra.cells import Cell
from recurra.layers import Recurrent
from recurra.training import Batch, Trainer, TrainingSettings

B, T, I, H = 32, 100, 256, 256  # noqa: E741
STEPS, WARM = 60, 10
CELLS = {"LSTM": cells.LSTM(), "GRU": cells.GRU(), "Elman": cells.Elman()}


class ManyToMany(nn.Module):
    """Reads (B, T, I), answers (B, T, 8)."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, I, H, batch_first=True)
        self.readout = nn.Linear(H, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.recurrent(x)
        return self.readout(output), state


class Clock:
    """Sums of seconds by part."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._started = 0.0

    def start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def stop(self, part: str) -> None:
        self.seconds[part] += time.perf_counter() - self._started

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted."""

        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds[part] += time.perf_counter() - began
            return result

        return call


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def shares(cell: Cell, folder: Path) -> tuple[float, dict[str, float]]:
    """Milliseconds of a step, and the share of each part and of what is outside them, in percent."""
    torch.manual_seed(0)
    module, clock = ManyToMany(cell), Clock()
    x, y = torch.randn(B, T, I), torch.randn(B, T, 8)
    began = 0.0

    def batches(step: int) -> Batch:
        nonlocal began
        if step == WARM + 1:
            clock.seconds.clear()
            began = time.perf_counter()
        return Batch(x, y, B * T)

    module.forward = clock.timed("model", module.forward)
    before = register_optimizer_step_pre_hook(clock.start)
    after = register_optimizer_step_post_hook(lambda *_: clock.stop("optimiser"))
    backward = Tensor.backward
    Tensor.backward = clock.timed("backward", backward)  # type: ignore[method-assign]
    try:
        settings = TrainingSettings(max_steps=STEPS + WARM, validate_every=STEPS)
        Trainer(module, clock.timed("loss", F.mse_loss), batches, settings, folder=folder, progress=False).fit()
        whole = time.perf_counter() - began
    finally:
        before.remove()
        after.remove()
        Tensor.backward = backward  # type: ignore[method-assign]
    parts = {name: 100 * seconds / whole for name, seconds in clock.seconds.items()}
    return 1000 * whole / STEPS, parts | {"outside": 100 - sum(parts.values())}


def measure(options: Namespace, report: Report) -> None:
    parts = ("model", "loss", "backward", "optimiser", "outside")
    table = report.table(
        f"Share of a training step in percent, at (B,T,I,H) = ({B},{T},{I},{H}), {STEPS} steps, median of 3 runs",
        {"cell": "6s", "ms a step": "9.1f", **dict.fromkeys(parts, "9.2f")},
    )
    for name, cell in CELLS.items():
        with TemporaryDirectory() as folder:
            runs = [shares(cell, Path(folder) / str(number)) for number in range(3)]
        table.add(name, median(ms for ms, _ in runs), *(median(found[part] for _, found in runs) for part in parts))


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
