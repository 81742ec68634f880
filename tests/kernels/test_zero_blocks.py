"""Inference with weights that have blocks of zeros is that of the reference, on the path that skips them."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

import covering
import recurra
from recurra.cells import GRU, LSTM, Cell, Elman, PeepholeLSTM
from recurra.kernels.native import extension, forward
from recurra.kernels.native.steps import run_steps
from recurra.kernels.native.zero_blocks import BLOCK, has_zero_blocks
from recurra.layers import Recurrent
from recurra.training import BlockPruning, TrainingSettings


def sparse_layer(cell: Cell, sparsity: float = 0.8, hidden_size: int = 150, **options: Any) -> Recurrent:
    torch.manual_seed(1)
    layer = Recurrent(cell, 70, hidden_size, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.2, 0.2)
    settings = TrainingSettings(max_steps=1, sparsity=sparsity, pruning_begin=0.0, pruning_end=1.0)
    BlockPruning(layer, settings).prune(1)
    return layer


def outputs(layer: Recurrent, x: Tensor, hx: Any = None, backend: str = "auto") -> list[Tensor]:
    layer.backend = backend
    output, state = layer(x, hx)
    return [output, *(state if isinstance(state, tuple) else [state])]


@covering.parametrize(
    {
        "cell": [LSTM(), GRU(), Elman(), PeepholeLSTM()],
        "bias": [True, False],
        "bidirectional": [True, False],
        "batch": [1, 33],
        "threads": [1, 2],
    },
    strength=2,
)
def test_the_results_are_those_of_the_reference(
    cell: Cell, bias: bool, bidirectional: bool, batch: int, threads: int
) -> None:
    hidden_size = 150 if len(cell.gates) > 2 else 272
    layer = sparse_layer(cell, hidden_size=hidden_size, bias=bias, bidirectional=bidirectional)
    x = torch.randn(70, batch, 70)
    state = [torch.randn(2 if bidirectional else 1, batch, layer.hidden_size) for _ in cell.state]
    hx = tuple(state) if len(state) > 1 else state[0]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad(), patch.object(forward, "run_steps", wraps=run_steps) as skips:
            results = outputs(layer, x, hx)
            expected = outputs(layer, x, hx, "reference")
    finally:
        torch.set_num_threads(before)
    assert skips.call_count == 1 + bidirectional
    for one, other in zip(results, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_large_batches_leave_the_kernel_for_dense_weights() -> None:
    layer = sparse_layer(LSTM(), hidden_size=256)
    x = torch.randn(5, 32, 70)
    with torch.no_grad(), patch.object(forward, "run_steps", wraps=run_steps) as skips:
        results, expected = outputs(layer, x), outputs(layer, x, backend="reference")
        assert skips.call_count == 1
        for one, other in zip(results, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("what", ["dense", "gradient", "double", "few"])
def test_other_calls_run_as_before(what: str) -> None:
    layer = sparse_layer(LSTM(), 0.2 if what == "dense" else 0.8)
    if what == "double":
        layer.double()
    x = torch.randn(2 if what == "few" else 8, 20, 70, dtype=torch.float64 if what == "double" else torch.float32)
    with torch.set_grad_enabled(what == "gradient"), patch.object(forward, "run_steps") as skips:
        layer(x)
    assert not skips.called


@pytest.mark.parametrize("bidirectional", [False, True])
def test_ragged_batches_skip_blocks_too(bidirectional: bool) -> None:
    layer = sparse_layer(LSTM(), bidirectional=bidirectional)
    x, lengths = torch.randn(12, 20, 70), torch.arange(20) % 13
    hx = tuple(torch.randn(1 + bidirectional, 20, 150) for _ in range(2))
    with torch.no_grad(), patch.object(forward, "run_steps", wraps=run_steps) as skips:
        layer.backend = "auto"
        found = layer(x, hx, lengths)
        assert skips.call_count == 1 + bidirectional
        layer.backend = "reference"
        expected = layer(x, hx, lengths)
    for one, other in zip([found[0], *found[1]], [expected[0], *expected[1]], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_changed_weights_are_seen() -> None:
    layer = sparse_layer(LSTM())
    x = torch.randn(10, 10, 70)
    with torch.no_grad():
        before = outputs(layer, x)[0]
        layer.get_parameter("weight_hh_l0").mul_(0.5)
        after, expected = outputs(layer, x)[0], outputs(layer, x, backend="reference")[0]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4)


def test_the_engine_has_blocks_of_the_same_size() -> None:
    """Two values on either side of a corner are in two blocks of that size alone."""
    weight = np.zeros((2 * BLOCK, 3 * BLOCK), np.float32)
    weight[BLOCK - 1, BLOCK - 1] = weight[BLOCK, BLOCK] = 1.0
    assert extension.loaded().block_density(weight, 1.0) == pytest.approx(2 / 6)


def test_blocks_are_counted_in_both_weights() -> None:
    layer = recurra.LSTM(256, 128)
    weight_ih, weight_hh = (layer.get_parameter(name) for name in ("weight_ih_l0", "weight_hh_l0"))
    weights = layer.weights_of(0, False)
    assert not has_zero_blocks(weights)
    with torch.no_grad():
        weight_hh.zero_()
    assert not has_zero_blocks(layer.weights_of(0, False))
    with torch.no_grad():
        weight_ih[:, :128] = 0
    assert has_zero_blocks(layer.weights_of(0, False))
    with torch.no_grad():
        # One value in each block makes it dense.
        weight_hh[::16, ::16] = 1.0
    assert not has_zero_blocks(layer.weights_of(0, False))
