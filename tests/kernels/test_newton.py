"""Newton's iteration: equal to the loop in outputs, states and every gradient, and what it does where it fails."""

import logging
import sys
from typing import Any

import pytest
import torch
from against_reference import assert_results_agree, draw
from diagonal_cells import AffineBlocks, DiagonalGRU, DiagonalLSTM, LogisticMap, TwoAverages, WithoutMemory
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import assemble, draw_state, draw_weights, flat
from recurra import Recurrent, cells, kernels
from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels import newton, reference
from recurra.kernels.scan.steps import steps_of
from recurra.kernels.weights import Weights

HIDDEN = 5
SERVED: list[Cell] = [
    cells.IndRNN(),
    cells.IndRNN("tanh"),
    cells.SRU(),
    cells.SLSTM(heads=HIDDEN),
    cells.MinGRU(),
    DiagonalLSTM(),
    DiagonalGRU(),
    AffineBlocks(),
    TwoAverages(),
    WithoutMemory(),
]


@covering.parametrize(
    {
        "cell": SERVED,
        "lengths": [None, (40, 1, 0, 33)],
        "reverse": [False, True],
        "masks": ["", "zoneout+recurrent"],
        "dtype": [torch.float64, torch.float32],
    }
)
def test_cells_are_as_the_reference_has_them(
    cell: Cell, lengths: Any, reverse: bool, masks: str, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    case = draw(cell, 40, 4, 3, HIDDEN, lengths, reverse, dtype, masks=masks)
    assert_results_agree(case, case.run("newton"), case.run("reference"))
    assert not caplog.records


@pytest.mark.parametrize("cell", [cells.SRU(), DiagonalLSTM()], ids=str)
def test_derivatives(cell: Cell) -> None:
    weights, state = draw_weights(cell, 2, 2), draw_state(cell, 3, 2)
    x, lengths = torch.randn(5, 3, 2, dtype=torch.float64).requires_grad_(), torch.tensor([5, 0, 3])

    def run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        return tuple(tensors(kernels.run("newton", cell, x, state, assemble(weights, replaced), lengths)))

    assert gradcheck(run, (x, *state, *flat(weights)), fast_mode=True)
    assert gradgradcheck(run, (x, *state, *flat(weights)), fast_mode=True)


def solve(cell: Cell, x: Tensor, state: tuple[Tensor, ...], weights: Weights, **options: Any) -> newton.Solution:
    return newton.solve(steps_of(cell, x, weights, None, False, None), state, **options)


def test_a_long_sequence_takes_few_iterations() -> None:
    layer = Recurrent(DiagonalGRU(), 3, 4, dtype=torch.float64)
    x, state = torch.randn(1000, 2, 3, dtype=torch.float64), (torch.zeros(2, 4, dtype=torch.float64),)
    solution = solve(layer.cell, x, state, layer.weights_of(0))
    assert solution.converged
    assert solution.iterations < 12
    assert_agree(solution.states[0], reference.run(layer.cell, x, state, layer.weights_of(0))[0].detach())


def slow_start(steps: int) -> tuple[Cell, Tensor, tuple[Tensor, ...], Weights]:
    """The derivative is nearly 3 at the first guess: its 600th power is no float32."""
    weights = Weights(torch.zeros(1, 1), torch.full((1, 1), 3.0))
    return cells.IndRNN("tanh"), torch.zeros(steps, 1, 1), (torch.full((1, 1), 0.1),), weights


@pytest.mark.parametrize("steps", [600, 5000])
def test_an_iteration_that_overflows_is_damped(steps: int) -> None:
    solution = solve(*slow_start(steps))
    assert (solution.converged, solution.windows) == (True, 1)
    assert solution.iterations < 8
    assert_agree(solution.states[0], reference.run(*slow_start(steps))[0])


def test_damping_lets_blocks_converge_as_a_whole() -> None:
    layer = Recurrent(cells.SLSTM(heads=4), 3, 4)
    x, state = torch.randn(500, 2, 3), tuple(torch.zeros(2, 4) for _ in layer.cell.state)
    solution = solve(layer.cell, 3 * x, state, layer.weights_of(0))
    assert (solution.converged, solution.windows) == (True, 1)
    assert_agree(solution.states[0], reference.run(layer.cell, 3 * x, state, layer.weights_of(0))[0].detach())


def test_what_does_not_converge_as_a_whole_is_solved_in_windows() -> None:
    solution = solve(*slow_start(600), most_iterations=3)
    assert solution.converged
    assert solution.windows > 4
    assert_agree(solution.states[0], reference.run(*slow_start(600))[0])


def chaos(steps: int) -> tuple[Cell, Tensor, tuple[Tensor, ...], Weights]:
    weights = Weights(torch.zeros(2, 1, dtype=torch.float64))
    state = torch.tensor([[0.3, 0.6]], dtype=torch.float64)
    return LogisticMap(), torch.zeros(steps, 1, 1, dtype=torch.float64), (state,), weights


def test_after_k_iterations_k_steps_are_right() -> None:
    arguments = chaos(12)
    expected = reference.run(*arguments)[0]
    for count in (1, 2, 5):
        solution = solve(*arguments, most_iterations=count)
        assert (solution.iterations, solution.converged) == (count, False)
        assert_agree(solution.states[0, :count], expected[:count])


def test_what_does_not_converge_runs_on_the_loop_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    cell, x, state, weights = chaos(150)
    state[0].requires_grad_()
    with caplog.at_level(logging.WARNING, "recurra"):
        results = [kernels.run("newton", cell, x, state, weights) for _ in range(2)]
    expected = kernels.run("reference", cell, x, state, weights)
    for result in results:
        assert torch.equal(result[0], expected[0])
        assert all(map(torch.equal, gradients(result, state), gradients(expected, state)))
    (record,) = caplog.records
    assert "reference kernel" in record.getMessage()
    assert "LogisticMap" in record.getMessage()


def test_a_stack_with_resets_lengths_and_a_state() -> None:
    layer = Recurrent(cells.SRU(), 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(30, 3, 3, dtype=torch.float64).requires_grad_()
    hx = draw_state(cells.SRU(), 4, 3, 4)
    resets = torch.rand(30, 3) < 0.1
    results = []
    for backend in ("newton", "reference"):
        layer.backend = backend
        result = layer(x, hx, lengths=[30, 0, 17], resets=resets)
        results.append((result, gradients(result, [x, *hx, *layer.parameters()])))
    assert_agree(results[0], results[1])


def test_a_dense_cell_is_refused_before_it_runs() -> None:
    with pytest.raises(BackendError, match=r"'newton' cannot serve: the state of a unit of LSTM\(\) depends on other"):
        Recurrent(cells.LSTM(), 3, 4, backend="newton")(torch.randn(5, 2, 3))
