"""Cells computed from their papers' equations, step by step in torch's plainest operations."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from agreement import assert_agree, gradients
from every_cell import draw_state, draw_weights, flat
from recurra import kernels
from recurra.cells import Cell
from recurra.kernels import Weights

Step = Callable[..., tuple[Tensor, ...]]


def by_gate(cell: Cell, tensor: Tensor | None) -> dict[str, Tensor]:
    """The rows of each gate, (H, ...)."""
    assert tensor is not None
    return dict(zip(cell.gates, tensor.chunk(len(cell.gates)), strict=True))


def over_time(step: Step, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A step (x_t, *state) -> state, over a sequence: the outputs and the final state."""
    outputs = []
    for x_t in x:
        state = step(x_t, *state)
        outputs.append(state[0])
    return torch.stack(outputs), state


def assert_as_written(cell: Cell, write: Callable[[Weights], Step], hidden: int = 4, **sizes: Any) -> None:
    """Fail unless outputs, final state and all gradients of a cell are those of the step that `write` makes."""
    weights = draw_weights(cell, 3, hidden, **sizes)
    state = draw_state(cell, 2, hidden, **sizes)
    x = torch.randn(5, 2, 3, dtype=torch.float64).requires_grad_()
    wanted = [x, *state, *flat(weights)]
    expected = over_time(write(weights), x, state)
    actual = kernels.run("reference", cell, x, state, weights)
    assert_agree(actual, expected)
    assert_agree(gradients(actual, wanted), gradients(expected, wanted))
