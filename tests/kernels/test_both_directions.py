"""Both directions of a layer at the same time give what they give one after the other."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import recurra
from agreement import tensors
from every_cell import KINDS
from recurra import cells
from recurra.kernels import Weights
from recurra.kernels.native import extension, launches

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")


@contextmanager
def together() -> Iterator[list[Any]]:
    """Within it both directions of sequences of any size run at the same time; the pairs of launches."""
    threads, launch_both, pairs = torch.get_num_threads(), launches.launch_both, []

    def counted(*both: Any) -> None:
        pairs.append(both)
        launch_both(*both)

    torch.set_num_threads(2)
    try:
        with (
            patch.object(launches, "_OPERATIONS_OF_A_THREAD", 2.0),
            patch.object(launches, "launch_both", counted),
        ):
            yield pairs
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def pairs() -> Iterator[list[Any]]:
    with together() as run:
        yield run


def apart(layer: Any) -> Any:
    """A copy of a layer whose directions run one after the other, as those of the reference do."""
    other = copy.deepcopy(layer)
    other.backend = "reference"
    return other


def results(layer: Any, x: Tensor, lengths: Tensor | None) -> list[Tensor]:
    """The outputs and the final state, and the gradients of a function of them, of the input and all parameters."""
    x = x.clone().requires_grad_()
    output, final = layer(x, lengths=lengths)
    weights = torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)
    loss = (output * weights).sum() + sum(part.square().sum() for part in tensors(final))
    parameters = list(layer.parameters())
    return [output, *tensors(final), *torch.autograd.grad(loss, [x, *parameters], materialize_grads=True)]


@pytest.mark.parametrize("cell", KINDS, ids=str)
@given(
    steps=st.integers(2, 12),
    rows=st.lists(st.integers(0, 12), min_size=2, max_size=16),
    ragged=st.booleans(),
    layers=st.integers(1, 2),
)
@settings(max_examples=4)
def test_every_cell(cell: cells.Cell, steps: int, rows: list[int], ragged: bool, layers: int) -> None:
    hidden = 5 * cell.heads
    layer = recurra.Recurrent(cell, 3, hidden, num_layers=layers, bidirectional=True, dtype=torch.float64)
    x = torch.randn(steps, len(rows), 3, dtype=torch.float64)
    lengths = torch.tensor(rows).clamp(max=steps) if ragged else None
    with together() as pairs:
        actual = results(layer, x, lengths)
    assert len(pairs) == (0 if cell.recurrence == "none" else 2 * layers)
    torch.testing.assert_close(actual, results(apart(layer), x, lengths), rtol=1e-9, atol=1e-10)


def test_both_passes_run_at_the_same_time(pairs: list[Any]) -> None:
    layer = recurra.GRU(3, 6, num_layers=2, bidirectional=True)
    x = torch.randn(5, 4, 3)
    with torch.no_grad():
        output, final = layer(x)
    assert len(pairs) == 2
    torch.testing.assert_close((output, final), apart(layer)(x), rtol=1e-5, atol=1e-6)
    results(layer, x, torch.tensor([5, 2, 0, 3]))
    assert len(pairs) == 2 + 4
    assert all(first.call.reverse == 0 and second.call.reverse == 1 for first, second in pairs)


def test_only_one_direction_has_a_gradient(pairs: list[Any]) -> None:
    layer = recurra.LSTM(3, 6, bidirectional=True)
    other, x = apart(layer), torch.randn(5, 4, 3)
    for each in (layer, other):
        each(x)[0][..., :6].square().sum().backward()
    assert len(pairs) == 2
    for own, expected in zip(layer.parameters(), other.parameters(), strict=True):
        actual = torch.zeros_like(own) if own.grad is None else own.grad
        torch.testing.assert_close(actual, expected.grad, rtol=1e-4, atol=1e-6)


def test_the_final_state_alone_has_a_gradient(pairs: list[Any]) -> None:
    layer = recurra.LSTM(3, 6, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    (actual,) = torch.autograd.grad(layer(x)[1][1].square().sum(), x)
    assert len(pairs) == 2
    (expected,) = torch.autograd.grad(apart(layer)(x)[1][1].square().sum(), x)
    torch.testing.assert_close(actual, expected)


def test_second_derivatives(pairs: list[Any]) -> None:
    layer = recurra.GRU(2, 3, bidirectional=True, dtype=torch.float64)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], x)
    assert pairs


def test_a_graph_that_is_kept(pairs: list[Any]) -> None:
    layer = recurra.GRU(3, 6, bidirectional=True)
    loss = layer(torch.randn(5, 4, 3))[0].square().sum()
    first = torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, list(layer.parameters())), first)
    assert len(pairs) == 3


@pytest.mark.parametrize(
    ("threads", "steps", "batch", "hidden", "at_once"),
    [
        (1, 50, 4, 64, False),
        (2, 50, 1, 64, False),
        (2, 50, 4, 64, True),
        (2, 50, 17, 64, False),
        (2, 1, 8, 64, False),
        (2, 2, 2, 16, False),
        (2, 50, 2, 128, True),
        (2, 50, 2, 256, False),
        (2, 50, 4, 256, True),
        (4, 50, 4, 64, False),
        (4, 8, 2, 64, True),
    ],
)
def test_when(threads: int, steps: int, batch: int, hidden: int, at_once: bool) -> None:
    before = torch.get_num_threads()
    weights = Weights(torch.zeros(4 * hidden, 3), torch.zeros(4 * hidden, hidden))
    torch.set_num_threads(threads)
    try:
        assert launches.directions_run_together(torch.zeros(steps, batch, 3), weights) == at_once
    finally:
        torch.set_num_threads(before)
