"""Models whose steps are written in C, and compilers of this machine."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from every_cell import fitting
from recurra import Recurrent
from recurra.cells import Cell
from recurra.export.c import find_c_compiler
from recurra.export.c.harness import WARNING_FLAGS
from recurra.kernels.native import extension

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
needs_compiler = pytest.mark.skipif(find_c_compiler() is None, reason="needs a C compiler")


class Regression(nn.Module):
    """What a user writes: normalised inputs, an LSTM of torch, a residual connection, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.lstm = nn.LSTM(6, 6, num_layers=2)
        self.head = nn.Sequential(nn.Linear(12, 5), nn.SiLU(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        y, _ = self.lstm(x)
        return self.head(torch.cat([torch.relu(y) + x, y * 0.5 + 1.0], dim=-1))


def small(size: int = 16, inputs: int = 16, outputs: int = 16) -> nn.Module:
    """An LSTM and a linear layer."""
    return nn.Sequential(nn.LSTM(inputs, size), nn.Linear(size, outputs))


def next_symbol(vocabulary: int = 11) -> nn.Module:
    """Reads ids, writes log probabilities."""
    return nn.Sequential(nn.Embedding(vocabulary, 7), nn.GRU(7, 9), nn.Linear(9, vocabulary), nn.LogSoftmax(dim=-1))


def layer_of(cell: Cell, hidden: int, **options: object) -> Recurrent:
    """A layer with weights of which none is zero."""
    layer = Recurrent(cell, 5, fitting(cell, hidden), **options).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return layer


def compile_with(compiler: str, flags: Sequence[str], folder: Path, sources: Sequence[str], output: str) -> None:
    """Compile, and fail with what the compiler says."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, "-std=c99", *WARNING_FLAGS, *flags, *sources, "-o", output]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
