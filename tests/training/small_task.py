"""A small many-to-one task for the tests of training: the mean of a sequence, by an LSTM."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import recurra
from recurra.training import Batch, Trainer, TrainingSettings, load_checkpoint, load_last, read_log

FILES = ("best.safetensors", "health.csv", "log.csv", "skipped.csv", "time.csv", "training.json")
QUICK: dict[str, Any] = {"max_steps": 20, "validate_every": 4, "learning_rate": 0.01}


class ManyToOne(nn.Module):
    """Reads (B, T, 2), answers (B, 1)."""

    def __init__(self, seed: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = recurra.LSTM(2, 5, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.encoder(x)
        return self.head(self.dropout(output[:, -1])), state


def batches(step: int) -> Batch:
    """The batch of a step, the same at every call."""
    x = torch.randn(8, 6, 2, generator=torch.Generator().manual_seed(step))
    return Batch(x, x[..., :1].mean(1))


def validate(module: nn.Module) -> float:
    """The loss on a batch that training does not see."""
    batch = batches(10_000)
    output, _ = module(batch.inputs)
    return F.mse_loss(output, batch.target).item()


def make_trainer(
    folder: Path | None = None,
    *,
    module: nn.Module | None = None,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Trainer:
    """A trainer of the task; `settings` are beside those of `QUICK`, `changes` are arguments of `Trainer`."""
    arguments: dict[str, Any] = {"loss": F.mse_loss, "batches": batches, "validate": validate} | changes
    return Trainer(
        ManyToOne() if module is None else module,
        settings=TrainingSettings(**QUICK | (settings or {})),
        folder=folder,
        **arguments,
    )


def signal_at(step: int, number: int = signal.SIGINT, times: int = 1) -> Callable[[int], Batch]:
    """The batches of the task; when that of `step` is asked for, this process is sent a signal."""

    def interrupted(at: int) -> Batch:
        if at == step:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return batches(at)

    return interrupted


def weights(folder: Path, which: str = "best", group: str = "model") -> dict[str, Tensor]:
    """The tensors of the best or the last checkpoint."""
    return (load_checkpoint(folder / "best.safetensors") if which == "best" else load_last(folder)).group(group)


def last_file(folder: Path) -> Path:
    """The last checkpoint."""
    return max(folder.glob("checkpoint-*.safetensors"), key=lambda path: int(path.stem.split("-")[1]))


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of the log."""
    return read_log(folder / "log.csv")


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Bit for bit the same tensors."""
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype, name
        assert torch.equal(actual[name], tensor), name


def differ(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether any tensor differs."""
    return any(not torch.equal(one[name], other[name]) for name in one)
