"""The scan: any linear recurrence, and affine cells as the reference has them."""

from typing import Any

import pytest
import torch
from against_reference import assert_results_agree, draw
from diagonal_cells import AffineBlocks, TwoAverages, WithoutMemory
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, vmap

import covering
from agreement import assert_agree, gradients
from every_cell import CELLS
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.codegen import dependence
from recurra.errors import BackendError
from recurra.kernels.scan import linear
from recurra.kernels.scan.linear import linear_scan

OWN = [cell for cell in CELLS if dependence(cell).kind == "diagonal" and dependence(cell).affine]
AFFINE = [*OWN, AffineBlocks(), TwoAverages(), WithoutMemory()]


def draw_recurrence(parts: int, steps: int, *rest: int) -> tuple[Tensor, Tensor, Tensor]:
    a = 0.8 * torch.randn(parts, parts, steps, *rest, dtype=torch.float64)
    b = torch.randn(parts, steps, *rest, dtype=torch.float64)
    return a.requires_grad_(), b.requires_grad_(), torch.randn(parts, *rest, dtype=torch.float64).requires_grad_()


def loop(a: Tensor, b: Tensor, state: Tensor) -> Tensor:
    states = []
    for t in range(b.shape[1]):
        state = torch.einsum("ij...,j...->i...", a[:, :, t], state) + b[:, t]
        states.append(state)
    return torch.stack(states, 1)


@settings(max_examples=12)
@given(parts=st.integers(1, 3), steps=st.integers(1, 90), rest=st.lists(st.integers(1, 3), max_size=2))
def test_it_is_the_loop(parts: int, steps: int, rest: list[int]) -> None:
    arguments = draw_recurrence(parts, steps, *rest)
    actual, expected = linear_scan(*arguments), loop(*arguments)
    assert_agree(actual / expected.abs().amax(), expected / expected.abs().amax())
    found, true = gradients(actual, arguments), gradients(expected, arguments)
    size = max(gradient.abs().max() for gradient in true)
    assert_agree([gradient / size for gradient in found], [gradient / size for gradient in true])


@pytest.mark.parametrize("alone", [False, True])
def test_derivatives_of_a_linear_recurrence(alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_SIDE_BY_SIDE", 0 if alone else 2**13)
    arguments = draw_recurrence(2, 19, 2)
    assert gradcheck(linear_scan, arguments, fast_mode=True)
    assert gradgradcheck(linear_scan, arguments, fast_mode=True)


def test_a_state_that_is_forgotten_gives_no_nan() -> None:
    """Products of matrices over many steps underflow, and so do gradients."""
    a = torch.full((1, 1, 500, 1), 1e-3).requires_grad_()
    states = linear_scan(a, torch.ones(1, 500, 1), torch.full((1, 1), 1e30))
    (gradient,) = torch.autograd.grad(states.sum(), a)
    assert states.isfinite().all()
    assert gradient.isfinite().all()


@covering.parametrize(
    {
        "cell": AFFINE,
        "lengths": [None, (40, 1, 0, 33)],
        "reverse": [False, True],
        "masks": ["", "zoneout+recurrent", "expected"],
        "steps": [3, 40],
    }
)
def test_affine_cells_are_as_the_reference_has_them(
    cell: Cell, lengths: Any, reverse: bool, masks: str, steps: int
) -> None:
    lengths = None if lengths is None else torch.tensor(lengths).clamp(max=steps)
    case = draw(cell, steps, 4, 3, 5, lengths, reverse, masks=masks)
    assert_results_agree(case, case.run("scan"), case.run("reference"))


def test_a_stack_with_resets_lengths_and_a_state() -> None:
    layer = Recurrent(cells.RGLRU(), 3, 4, 2, bidirectional=True, zoneout=0.1, dtype=torch.float64).eval()
    x = torch.randn(30, 3, 3, dtype=torch.float64).requires_grad_()
    hx = torch.randn(4, 3, 4, dtype=torch.float64).requires_grad_()
    resets = torch.rand(30, 3) < 0.1
    results = []
    for backend in ("scan", "reference"):
        layer.backend = backend
        result = layer(x, hx, lengths=[30, 0, 17], resets=resets)
        results.append((result, gradients(result, [x, hx, *layer.parameters()])))
    assert_agree(results[0], results[1])


def test_gradients_of_each_sample_by_vmap() -> None:
    layer = Recurrent(cells.MinGRU(), 3, 4, backend="scan", dtype=torch.float64)
    x = torch.randn(3, 20, 2, 3, dtype=torch.float64)
    each = vmap(grad(lambda one: layer(one)[0].square().sum()))(x)
    x.requires_grad_()
    torch.stack([layer(one)[0].square().sum() for one in x]).sum().backward()
    assert_agree(each, x.grad)


def test_where_there_is_no_native_kernel_auto_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    scan = linear._scan
    monkeypatch.setattr(linear, "_scan", lambda a, b, initial: lengths.append(b.shape[1]) or scan(a, b, initial))
    layer = Recurrent(cells.MinGRU(), 3, 4, dtype=torch.bfloat16)
    x = torch.randn(20, 2, 3, dtype=torch.bfloat16)
    output = layer(x)[0]
    assert 20 in lengths
    layer.backend = "reference"
    torch.testing.assert_close(output, layer(x)[0], rtol=0.05, atol=0.05)


def test_a_cell_that_is_not_affine_is_refused_before_it_runs() -> None:
    with pytest.raises(BackendError, match=r"'scan' cannot serve: SRU\(\) is not affine in its state"):
        Recurrent(cells.SRU(), 3, 4, backend="scan")(torch.randn(5, 2, 3))
