"""Layers within torch.autocast: what a bfloat16 layer before them gives is read, and gradients flow back to it."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurra
from agreement import tensors
from every_cell import CELLS, KINDS, kinds, serving
from recurra import Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import ShapeError

# The native kernel asked for by name refuses to run under autocast.
SERVED = [(cell, backend) for cell in CELLS for backend in ("auto", *serving(cell)) if backend != "native"]


def assert_close(actual: Any, expected: Any) -> None:
    for a, b in zip(tensors(actual), tensors(expected), strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=0.1, atol=0.1)


def slopes(result: Any, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    loss = torch.stack([part.float().square().mean() for part in tensors(result)]).sum()
    return torch.autograd.grad(loss, parameters)


@pytest.mark.parametrize(("cell", "backend"), kinds(SERVED), ids=str)
def test_a_layer_after_a_linear_one(cell: Cell, backend: str) -> None:
    before, layer = nn.Linear(3, 4), Recurrent(cell, 4, 4, bidirectional=True, backend=backend)
    x, state = torch.randn(5, 2, 3), tuple(0.3 * torch.randn(2, 2, 4) for _ in cell.state)
    wanted = [*before.parameters(), *layer.parameters()]

    def run() -> Any:
        final = layer(before(x), state)[1]
        return layer(before(x), final, lengths=[5, 2])

    expected = run()
    with torch.autocast("cpu", torch.bfloat16):
        assert before(x).dtype == torch.bfloat16
        actual = run()
    assert_close(actual, expected)
    found = slopes(actual, wanted)
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in found)
    assert_close(found, slopes(expected, wanted))


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_steps_after_a_linear_one(cell: Cell) -> None:
    before, step = nn.Linear(3, 4), RecurrentCell(cell, 4, 4)
    x, wanted = torch.randn(2, 3), [*before.parameters(), *step.parameters()]
    expected = step(before(x), step(before(x)))
    with torch.autocast("cpu", torch.bfloat16):
        actual = step(before(x), step(before(x)))
    assert_close(actual, expected)
    assert_close(slopes(actual, wanted), slopes(expected, wanted))


def test_boundaries_and_dropout_under_autocast() -> None:
    before = nn.Linear(3, 4)
    layer = Recurrent(cells.LSTM(), 4, 8, 2, dropout=0.1, variational=True, weight_dropout=0.1, recurrent_dropout=0.1)
    resets = torch.tensor([[False, True], [True, False], [False, False]])
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(before(torch.randn(3, 2, 3)), resets=resets)
    assert all(gradient.isfinite().all() for gradient in slopes(result, [*before.parameters(), *layer.parameters()]))


@pytest.mark.parametrize("dtype", [torch.long, torch.bool])
def test_what_is_no_floating_point_is_refused_under_autocast_too(dtype: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for layer in (recurra.GRU(3, 4), recurra.GRUCell(3, 4)):
            with pytest.raises(ShapeError, match=r"^input: expected a floating-point dtype, got torch\."):
                layer(torch.ones(2, 3, dtype=dtype))


def test_outside_autocast_another_dtype_is_refused() -> None:
    for layer in (recurra.GRU(3, 4), recurra.GRUCell(3, 4)):
        with pytest.raises(ShapeError, match=r"^input: expected the parameters' dtype torch\.float32, got torch\.bf"):
            layer(torch.ones(2, 3, dtype=torch.bfloat16))
