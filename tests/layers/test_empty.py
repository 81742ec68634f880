"""Batches without a sequence and sequences without a step: results of the right shape, and gradients of zeros."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurra
from agreement import tensors
from every_cell import CELLS, MIXING
from recurra.errors import BackendError

KINDS = (
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("GRU", {"bias": False, "num_layers": 2}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
)


def gradients_of(module: nn.Module, result: Any, *inputs: Tensor) -> list[Tensor | None]:
    module.zero_grad()
    torch.stack([tensor.sum() for tensor in tensors(result)]).sum().backward()
    return [tensor.grad for tensor in (*module.parameters(), *inputs)]


def assert_zeros(found: list[Tensor | None]) -> None:
    assert found
    for gradient in found:
        assert gradient is not None
        assert not gradient.any()


@pytest.mark.parametrize("backend", MIXING)
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_an_empty_batch_gives_torch_s_gradients(kind: str, options: dict[str, Any], backend: str) -> None:
    ours, theirs = getattr(recurra, kind)(5, 6, backend=backend, **options), getattr(nn, kind)(5, 6, **options)
    results = []
    for module in (theirs, ours):
        x = torch.zeros(3, 0, 5, requires_grad=True)
        result = module(x)
        found = gradients_of(module, result, x)
        results.append([[tensor.shape for tensor in tensors(result)], [g is not None and g.shape for g in found]])
        assert_zeros(found)
    assert results[0] == results[1]


@pytest.mark.parametrize("backend", MIXING)
@pytest.mark.parametrize("recompute", [False, True])
def test_lengths_of_zero_only(backend: str, recompute: bool) -> None:
    layer = recurra.GRU(5, 6, 2, backend=backend, bidirectional=True, recompute=recompute)
    x = torch.full((4, 3, 5), torch.nan, requires_grad=True)  # padding is never read
    output, h = layer(x, lengths=[0, 0, 0])
    assert not output.any()
    assert not h.any()
    assert_zeros(gradients_of(layer, (output, h), x))


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (3, 0), (0, 0)])
def test_every_cell(cell: recurra.cells.Cell, steps: int, batch: int) -> None:
    for backend, recompute in product(("auto", "reference"), (False, True)):
        layer = recurra.Recurrent(cell, 5, 6, 2, bidirectional=True, backend=backend, recompute=recompute, zoneout=0.5)
        x = torch.randn(steps, batch, 5, requires_grad=True)
        output, final = layer(x)
        assert output.shape == (steps, batch, layer.output_size)
        assert_zeros(gradients_of(layer, (output, final), x))


def test_no_step_gives_the_state_and_its_gradient() -> None:
    for backend in MIXING:
        layer, h = recurra.GRU(5, 6, backend=backend), torch.randn(1, 2, 6, requires_grad=True)
        _, final = layer(torch.randn(0, 2, 5), h)
        torch.testing.assert_close(final, h)
        final.sum().backward()
        torch.testing.assert_close(h.grad, torch.ones(1, 2, 6))


@pytest.mark.parametrize("backend", MIXING)
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_single_steps(kind: str, backend: str) -> None:
    cell, x = getattr(recurra, kind)(5, 6, backend=backend), torch.zeros(0, 5, requires_grad=True)
    result = cell(x)
    assert all(part.shape == (0, 6) for part in tensors(result))
    assert_zeros(gradients_of(cell, result, x))


def test_second_derivatives_and_transforms() -> None:
    layer, x = recurra.GRU(5, 6), torch.zeros(3, 0, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x, allow_unused=True, materialize_grads=True)
    assert second.shape == x.shape
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    of_each = torch.func.vmap(
        torch.func.grad(lambda w, x: torch.func.functional_call(layer, w, (x,))[0].sum()), in_dims=(None, 0)
    )
    found = of_each(weights, torch.zeros(4, 0, 2, 5))
    assert all(gradient.shape == (4, *weights[name].shape) for name, gradient in found.items())


def test_a_backend_that_cannot_serve_is_refused_without_a_step_too() -> None:
    layer = recurra.Recurrent(recurra.cells.MGU(), 5, 6, backend="aten")
    with pytest.raises(BackendError):
        layer(torch.zeros(0, 2, 5))
