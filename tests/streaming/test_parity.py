"""What a layer computes for a sequence, a stepper computes step by step, for every cell."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import covering
import recurra
from every_cell import CELLS, EVERY_CELL, fitting, traits
from recurra import Recurrent
from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.kernels.native import extension
from recurra.streaming import Stepper

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


def layer_of(cell: Cell, hidden: int, **options: Any) -> Recurrent:
    layer = Recurrent(cell, 5, fitting(cell, hidden), **options).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return layer


def can_project(cell: Cell) -> bool:
    try:
        Recurrent(cell, 5, fitting(cell, 17), proj_size=3)
    except ParameterError:
        return False
    return True


def assert_near(steps: np.ndarray, sequence: torch.Tensor, truth: torch.Tensor) -> None:
    """Near the truth, in float64, as the layer's own float32 kernel is: sums in another order round otherwise."""
    expected = truth.detach().numpy()
    assert steps.shape == expected.shape
    error = np.abs(sequence.detach().numpy() - expected).max(initial=0)
    assert np.abs(steps - expected).max() <= 3 * error + 1e-6 * max(1.0, np.abs(expected).max())


def truth_of(layer: Recurrent, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Output and final state of the readable reference in float64."""
    exact = copy.deepcopy(layer).double()
    exact.backend = "reference"
    return exact(x.double())


@covering.parametrize(
    {
        "cell": CELLS,
        "hidden": [1, 16, 17, 33],
        "num_layers": [1, 2],
        "bias": [True, False],
        "zoneout": [0.0, 0.25],
        "batch": [1, 3, 50],
    },
    traits={"cell": traits},
)
def test_a_sequence_is_its_steps(
    cell: Cell, hidden: int, num_layers: int, bias: bool, zoneout: float, batch: int
) -> None:
    layer = layer_of(cell, hidden, num_layers=num_layers, bias=bias, zoneout=zoneout)
    x = torch.randn(7, batch, 5)
    stepper = Stepper(layer)
    state = stepper.new_state(batch)
    steps = np.stack([stepper(one.numpy(), state)[0] for one in x])
    output, final = layer(x)
    truth, exact = truth_of(layer, x)
    assert_near(steps, output, truth)
    parts = [one if isinstance(one, tuple) else (one,) for one in (final, exact)]
    for part, whole, true in zip(cell.state, *parts, strict=True):
        for k in range(num_layers):
            assert_near(state.parts[f"{part}_l{k}"], whole[k], true[k])


@pytest.mark.parametrize("cell", EVERY_CELL, ids=str)
def test_every_cell(cell: Cell) -> None:
    layer = layer_of(cell, 19)
    x = torch.randn(9, 2, 5)
    chunk, _ = Stepper(layer)(x.numpy())
    assert_near(chunk, layer(x)[0], truth_of(layer, x)[0])


@pytest.mark.parametrize("cell", [cell for cell in CELLS if can_project(cell)], ids=str)
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_projections(cell: Cell, zoneout: float) -> None:
    layer = layer_of(cell, 17, proj_size=3, num_layers=2, zoneout=zoneout)
    x = torch.randn(6, 2, 5)
    assert_near(Stepper(layer)(x.numpy())[0], layer(x)[0], truth_of(layer, x)[0])


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=8), batch=st.integers(1, 4), seed=st.integers(0, 99))
def test_chunks_of_any_size_give_the_bits_of_steps(cuts: list[int], batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    stepper = Stepper(recurra.GRU(5, 9, 2))
    x = np.random.default_rng(seed).standard_normal((sum(cuts), batch, 5)).astype(np.float32)
    one_by_one, in_chunks = stepper.new_state(batch), stepper.new_state(batch)
    steps = np.stack([stepper(step, one_by_one)[0] for step in x])
    chunks = np.concatenate([stepper(chunk, in_chunks)[0] for chunk in np.split(x, np.cumsum(cuts)[:-1])])
    assert np.array_equal(steps, chunks)
    assert one_by_one == in_chunks


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_of_a_large_batch_are_as_alone(threads: int) -> None:
    layer = recurra.LSTM(5, 20)
    x = torch.randn(4, 131, 5)
    together, _ = Stepper(layer, threads=threads)(x.numpy())
    alone = [Stepper(layer)(x[:, row : row + 1].numpy())[0] for row in (0, 47, 48, 96, 130)]
    assert np.abs(together[:, [0, 47, 48, 96, 130]] - np.concatenate(alone, axis=1)).max() < 1e-6


@pytest.mark.parametrize(("weights", "tolerance"), [("bfloat16", 4e-3), ("int8", 2e-2)])
@pytest.mark.parametrize("hidden", [1, 16, 31, 70])
@pytest.mark.parametrize("features", [1, 5, 64])
def test_small_weights_are_near(weights: str, tolerance: float, hidden: int, features: int) -> None:
    layer, x = recurra.LSTM(features, hidden, 2), torch.randn(12, 3, features)
    exact, small = Stepper(layer), Stepper(layer, weights)
    assert np.abs(exact(x.numpy())[0] - small(x.numpy())[0]).max() < tolerance
    if hidden > 16 and features > 4:
        assert small.weight_bytes < (0.6 if weights == "bfloat16" else 0.4) * exact.weight_bytes


@pytest.mark.parametrize(("weights", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2), ("int8", 1e-1)])
@pytest.mark.parametrize(("hidden", "features"), [(16, 16), (40, 70), (64, 33)])
@pytest.mark.parametrize("rows", [1, 7, 50])
def test_blocks_of_zeros_are_skipped(weights: str, tolerance: float, hidden: int, features: int, rows: int) -> None:
    layer = recurra.LSTM(features, hidden)
    dense = Stepper(layer, weights)
    with torch.no_grad():
        for weight in map(layer.get_parameter, ("weight_ih_l0", "weight_hh_l0")):
            for block in range(0, weight.shape[0], 16):
                # All blocks of a column, two of three rows, and nothing of the last.
                weight[block : block + 16, 16:32] = 0
                if block // 16 % 3 and block < weight.shape[0] - 16:
                    weight[block : block + 16] = 0
    sparse, x = Stepper(layer, weights), torch.randn(5, rows, features)
    assert sparse.weight_bytes < 0.65 * dense.weight_bytes
    with torch.no_grad():
        assert np.abs(sparse(x.numpy())[0] - layer(x)[0].numpy()).max() < tolerance
    # Without any weight, the bias is left.
    linear = torch.nn.Linear(features, hidden)
    torch.nn.init.zeros_(linear.weight)
    assert np.abs(Stepper(linear, weights)(x.numpy())[0] - linear.bias.detach().numpy()).max() < 1e-6


def test_bfloat16_weights_are_rounded_to_the_nearest() -> None:
    linear = torch.nn.Linear(6, 20)
    rounded = torch.nn.Linear(6, 20)
    rounded.weight = torch.nn.Parameter(linear.weight.detach().bfloat16().float())
    rounded.bias = linear.bias
    x = torch.randn(1, 6).bfloat16().float()  # some processors round the values too
    assert np.abs(Stepper(linear, "bfloat16")(x.numpy())[0] - rounded(x).detach().numpy()).max() < 1e-6


def test_int8_is_exact_for_whole_numbers() -> None:
    linear = torch.nn.Linear(11, 37)
    with torch.no_grad():
        linear.weight.copy_(torch.randint(-127, 128, (37, 11)))
        linear.weight[:, 0] = 127  # the largest of each row, so that the scale is 1
    x = torch.randint(-127, 128, (1, 11)).float()
    x[0, 3] = -127
    assert torch.equal(torch.from_numpy(Stepper(linear, "int8")(x.numpy())[0]), linear(x))


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_what_is_not_finite_is_not_hidden(weights: str) -> None:
    stepper = Stepper(torch.nn.Linear(20, 3), weights)
    for value in (np.nan, np.inf):
        x = np.zeros((2, 20), np.float32)
        x[0, 7] = value
        y, _ = stepper(x)
        assert not np.isfinite(y[0]).any()
        assert np.isfinite(y[1]).all()
