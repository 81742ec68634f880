"""The linear recurrence in Triton's interpreter: equal to the scan of torch operations in states and gradients."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from against_reference import assert_results_agree, draw
from diagonal_cells import AffineBlocks, DiagonalGRU, DiagonalLSTM, TwoAverages
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, vmap

import covering
from agreement import assert_agree, gradients
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.codegen import write_triton_scan
from recurra.kernels.scan import linear
from recurra.kernels.scan.linear import adjoint, linear_scan
from recurra.kernels.triton import scan

CHUNK, TILE = 4, 2


@pytest.fixture(autouse=True, scope="module")
def interpreted_in_small_chunks() -> Iterator[None]:
    """Chunks of 4 steps and tiles of 2 units, which the interpreter takes number by number."""
    pytest.importorskip("triton", reason="triton is not installed: pip install 'recurra[triton]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        patch.setattr(scan, "_CHUNK", {1: CHUNK, 2: CHUNK})
        patch.setattr(scan, "_CHUNK_OF_MORE_PARTS", CHUNK)
        patch.setattr(scan, "_TILE", TILE)
        yield


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each recurrence that Triton solves, whether it is one backward in time."""
    calls: list[bool] = []

    def spied(a: Tensor, b: Tensor, initial: Tensor, adjoint: bool = False) -> Tensor:
        calls.append(adjoint)
        return scan.fused_scan(a, b, initial, adjoint)

    monkeypatch.setattr(linear, "fused_scan", spied)
    return calls


def draw_recurrence(
    parts: int, steps: int, *rest: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    a = 0.8 * torch.randn(parts, parts, steps, *rest, dtype=dtype)
    b, initial = torch.randn(parts, steps, *rest, dtype=dtype), torch.randn(parts, *rest, dtype=dtype)
    return a.requires_grad_(), b.requires_grad_(), initial.requires_grad_()


def assert_is_the_scan(arguments: tuple[Tensor, Tensor, Tensor]) -> None:
    """States and gradients, relative to the largest of each, are those of torch operations."""
    both = [[states, *gradients(states, arguments)] for states in (linear_scan(*arguments, f) for f in (True, False))]
    for actual, expected in zip(*both, strict=True):
        size = expected.abs().amax().clamp(min=torch.finfo(expected.dtype).tiny)
        assert_agree(actual / size, expected / size)


@settings(max_examples=6)
@given(
    parts=st.integers(1, 2),
    steps=st.integers(1, 2 * CHUNK + 1),
    rest=st.lists(st.integers(1, 3), max_size=2),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_it_is_the_scan(parts: int, steps: int, rest: list[int], dtype: torch.dtype) -> None:
    assert_is_the_scan(draw_recurrence(parts, steps, *rest, dtype=dtype))


@pytest.mark.parametrize("steps", [CHUNK - 1, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("parts", [1, 3])
def test_around_the_end_of_a_chunk(parts: int, steps: int) -> None:
    assert_is_the_scan(draw_recurrence(parts, steps, TILE + 1))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_runs_of_steps_may_be_joined_in_any_order(parts: int) -> None:
    """A GPU joins them by a tree, whereas the interpreter adds one step to a run, and uses no product of matrices."""
    import triton.language as tl

    namespace: dict[str, Any] = {"tl": tl}
    exec(write_triton_scan(parts), namespace)
    a, b, initial = (tensor.detach() for tensor in draw_recurrence(parts, 5, 2))
    runs = [(*a[:, :, t].flatten(0, 1), *b[:, t]) for t in range(5)]
    for joined in ([0, 0, 0, 0], [3, 2, 1, 0], [0, 1, 1, 0], [2, 0, 1, 0]):
        left = list(runs)
        for k in joined:
            left[k : k + 2] = [namespace["after"](*left[k], *left[k + 1])]
        matrix = torch.stack(left[0][: parts**2]).unflatten(0, (parts, parts))
        state = torch.einsum("ijn,jn->in", matrix, initial) + torch.stack(left[0][parts**2 :])
        assert_agree(state, linear_scan(a, b, initial)[:, -1])


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30])
def test_extreme_matrices(value: float) -> None:
    """A state that is forgotten, one that is not, and products that underflow; also where a is expanded."""
    a = torch.tensor(value, requires_grad=True)
    b, initial = torch.ones(1, 11, 1), torch.full((1, 1), 1e30, requires_grad=True)
    results = [linear_scan(a.expand(1, 1, 11, 1), b, initial, fused) for fused in (True, False)]
    assert_agree(results[0], results[1])
    assert_agree(*(gradients(states, [a, initial]) for states in results))
    assert all(gradient.isfinite().all() for gradient in gradients(results[0], [a, initial]))


def test_long_products_underflow_without_nan() -> None:
    a = torch.full((1, 1, 40, 1), 1e-3).requires_grad_()
    states = linear_scan(a, torch.ones(1, 40, 1), torch.full((1, 1), 1e30), fused=True)
    (gradient,) = torch.autograd.grad(states.sum(), a)
    assert_agree(states[0, 20:], torch.full((20, 1), 1 / (1 - 1e-3)))
    assert gradient.isfinite().all()


def test_derivatives_of_any_order(solved: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_CHUNK", {1: 2, 2: 2})
    a, b, initial = draw_recurrence(2, 3, 1)
    assert gradcheck(partial(linear_scan, fused=True), (a, b, initial), fast_mode=True)
    assert gradcheck(partial(adjoint, fused=True), (a, b), fast_mode=True)
    assert gradgradcheck(partial(linear_scan, fused=True), draw_recurrence(1, 3, 1), fast_mode=True)
    assert {False, True} == set(solved)


def test_transforms_run_on_torch_operations(solved: list[bool]) -> None:
    a, b, initial = draw_recurrence(1, CHUNK + 1, 2)
    each = torch.stack([b, -b]).detach()
    slope = vmap(grad(lambda one: linear_scan(a.detach(), one, initial.detach(), fused=True).square().sum()))(each)
    for one, of_one in zip(each, slope, strict=True):
        one.requires_grad_()
        assert_agree(of_one, torch.autograd.grad(linear_scan(a, one, initial).square().sum(), one)[0])
    assert not solved
    states = linear_scan(a, b, initial, fused=True)
    directions = torch.randn(2, *states.shape, dtype=states.dtype)
    (batched,) = torch.autograd.grad(states, a, directions, is_grads_batched=True, retain_graph=True)
    assert_agree(list(batched), [torch.autograd.grad(states, a, d, retain_graph=True)[0] for d in directions])


@covering.parametrize(
    {
        "cell": [cells.MinGRU(), cells.RGLRU(), AffineBlocks(), TwoAverages()],
        "lengths": [None, (5, 0), (2, 5)],
        "reverse": [False, True],
        "masks": ["", "zoneout+recurrent"],
        "dtype": [torch.float64, torch.float32],
    },
    strength=1,
)
def test_affine_cells_are_as_the_reference_has_them(
    cell: Cell, lengths: Any, reverse: bool, masks: str, dtype: torch.dtype, solved: list[bool]
) -> None:
    case = draw(cell, 5, 2, 2, 3, lengths, reverse, dtype, masks=masks)
    assert_results_agree(case, case.run("triton_scan"), case.run("reference"))
    assert {False, True} == set(solved)


@pytest.mark.parametrize(
    ("cell", "lengths", "reverse"),
    [(cells.IndRNN("tanh"), (5, 1), True), (DiagonalGRU(), (5, 0), False), (DiagonalLSTM(), None, False)],
    ids=str,
)
def test_newton_solves_its_recurrences_by_it(cell: Cell, lengths: Any, reverse: bool, solved: list[bool]) -> None:
    case = draw(cell, 5, 2, 2, 2, lengths, reverse)
    assert_results_agree(case, case.run("triton_newton"), case.run("reference"))
    assert {False, True} == set(solved)


def test_two_directions_with_resets_lengths_and_a_state(solved: list[bool]) -> None:
    layer = Recurrent(cells.MinGRU(), 2, 3, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 2, 2, dtype=torch.float64).requires_grad_()
    hx = torch.randn(2, 2, 3, dtype=torch.float64).requires_grad_()
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[4, 0] = resets[1, 1] = True
    results = []
    for backend in ("triton_scan", "reference"):
        layer.backend = backend
        result = layer(x, hx, lengths=[6, 3], resets=resets)
        results.append((result, gradients(result, [x, hx, *layer.parameters()])))
    assert_agree(results[0], results[1])
    assert {False, True} == set(solved)


def test_scan_and_auto_run_on_torch_operations(solved: list[bool]) -> None:
    for backend in ("scan", "auto"):
        Recurrent(cells.MinGRU(), 2, 3, backend=backend, dtype=torch.bfloat16)(torch.randn(20, 1, 2).bfloat16())
    assert not solved
