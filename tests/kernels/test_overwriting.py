"""Gradients may take the place of what was kept only where no backward pass comes after."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import recurra
from every_cell import KINDS
from recurra.kernels.native import backward, extension

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")


def gradients(layer: recurra.Recurrent, x: Tensor, **options: Any) -> tuple[Tensor, ...]:
    return torch.autograd.grad(layer(x)[0].square().sum(), [x, *layer.parameters()], **options)


def make(cell: Any) -> tuple[recurra.Recurrent, Tensor]:
    layer = recurra.Recurrent(cell, 3, 4 * cell.heads, num_layers=2, backend="native", dtype=torch.float64)
    return layer, torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_a_graph_that_is_kept_gives_the_same_again(cell: Any) -> None:
    layer, x = make(cell)
    leaves = [x, *layer.parameters()]
    loss = layer(x)[0].square().sum()
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    second = torch.autograd.grad(loss, leaves, retain_graph=True)
    with_graph = torch.autograd.grad(loss, leaves, create_graph=True)
    last = torch.autograd.grad(loss, leaves)
    for others in (second, with_graph, last, gradients(layer, x)):
        torch.testing.assert_close(others, first, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", [recurra.cells.MinGRU(), recurra.cells.Elman()], ids=str)
def test_the_place_is_taken_and_the_inputs_and_outputs_are_not(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    find = backward._overwritten

    def seen(*arguments: Any) -> Tensor | None:
        taken.append(find(*arguments))
        return taken[-1]

    monkeypatch.setattr(backward, "_overwritten", seen)
    layer, x = make(cell)
    output, _ = layer(x)
    before = x.detach().clone(), output.detach().clone()
    output.square().sum().backward()
    assert len(taken) == 2
    assert all(place is not None for place in taken)
    assert torch.equal(x, before[0])
    assert torch.equal(output, before[1])


@pytest.mark.parametrize("cell", [recurra.cells.MinGRU(), recurra.cells.Elman()], ids=str)
def test_under_checkpointing_hooks_and_batches_of_gradients(cell: Any) -> None:
    layer, x = make(cell)
    leaves = [x, *layer.parameters()]
    expected = gradients(layer, x)
    loss = checkpoint(lambda: layer(x)[0].square().sum(), use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), expected, rtol=1e-12, atol=1e-12)
    with torch.autograd.graph.save_on_cpu():
        loss = layer(x)[0].square().sum()
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), expected, rtol=1e-12, atol=1e-12)
    output = layer(x)[0]
    several = torch.autograd.grad(output, leaves, torch.stack([2 * output.detach()] * 3), is_grads_batched=True)
    for gradient, like in zip(several, expected, strict=True):
        torch.testing.assert_close(gradient, like.expand_as(gradient), rtol=1e-12, atol=1e-12)
