"""Numbers too small for full precision: zero within the engine, and as they were for everybody else."""

import pytest
import torch
from torch import Tensor

import recurra
from recurra import cells
from recurra.kernels.native.extension import is_installed

SMALLEST = torch.finfo(torch.float32).tiny


def vanishing(cell: cells.Cell, steps: int) -> tuple[recurra.Recurrent, Tensor]:
    """A layer in which a gradient shrinks to a tenth from step to step, and an input that keeps its state small."""
    layer = recurra.Recurrent(cell, 4, 4, backend="native")
    for name, parameter in layer.named_parameters():
        torch.nn.init.zeros_(parameter)
        if name.startswith("weight_ih"):
            torch.nn.init.eye_(parameter[-4:].detach())
        if name.startswith("weight_hh"):
            parameter.detach()[:] = 0.1 if parameter.shape[1] == 1 else 0.1 * torch.eye(4)
    return layer, torch.full((steps, 2, 4), 1e-3, requires_grad=True)


@pytest.mark.skipif(not is_installed(), reason="the C++ extension is not installed")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cell", [cells.Elman(), cells.IndRNN()], ids=str)
def test_a_gradient_that_vanishes_ends_at_zero(cell: cells.Cell, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer, x = vanishing(cell, 60)
        output, _ = layer(x)
        output[-1].sum().backward()
    finally:
        torch.set_num_threads(before)
    assert x.grad is not None
    sizes = x.grad.abs()
    assert sizes[-1].min() > 0.9
    assert (sizes[25:] > 0).all()
    assert not ((sizes > 0) & (sizes < SMALLEST)).any()
    assert (sizes[:15] == 0).all()


@pytest.mark.skipif(not is_installed(), reason="the C++ extension is not installed")
def test_the_caller_s_arithmetic_is_left_as_it_was() -> None:
    layer, x = vanishing(cells.Elman(), 60)
    layer(x)[0].sum().backward()
    small = torch.tensor([SMALLEST]) / 2
    assert small.item() > 0
