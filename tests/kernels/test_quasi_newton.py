"""Newton's iteration with the derivatives of each unit by itself: equal to the loop for cells whose units mix."""

import logging
import sys
from typing import Any

import pytest
import torch
from against_reference import assert_results_agree, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import assemble, draw_state, draw_weights, flat
from recurra import Recurrent, cells, kernels
from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels import newton, reference
from recurra.kernels.scan.steps import steps_of

MIXING: list[Cell] = [
    cells.LSTM(),
    cells.GRU(),
    cells.Elman(),
    cells.SLSTM(heads=2),
    cells.LayerNormLSTM(),
    cells.GRUResetBefore(),
    cells.PeepholeLSTM(),
]


@covering.parametrize(
    {
        "cell": MIXING,
        "lengths": [None, (20, 1, 0, 13)],
        "reverse": [False, True],
        "masks": ["", "zoneout+recurrent"],
        "dtype": [torch.float64, torch.float32],
    }
)
def test_cells_are_as_the_reference_has_them(
    cell: Cell, lengths: Any, reverse: bool, masks: str, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    case = draw(cell, 20, 4, 3, 6, lengths, reverse, dtype, masks=masks)
    assert_results_agree(case, case.run("quasi_newton"), case.run("reference"))
    assert not caplog.records


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRUResetBefore()], ids=str)
def test_derivatives(cell: Cell) -> None:
    weights, state = draw_weights(cell, 2, 2), draw_state(cell, 3, 2)
    x, lengths = torch.randn(5, 3, 2, dtype=torch.float64).requires_grad_(), torch.tensor([5, 0, 3])

    def run(x: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        return tuple(tensors(kernels.run("quasi_newton", cell, x, state, assemble(weights, replaced), lengths)))

    assert gradcheck(run, (x, *state, *flat(weights)), fast_mode=True)
    assert gradgradcheck(run, (x, *state, *flat(weights)), fast_mode=True)


@given(steps=st.integers(1, 12), batch=st.integers(1, 3), hidden=st.integers(1, 9))
@settings(max_examples=10, deadline=None)
def test_sizes(steps: int, batch: int, hidden: int) -> None:
    case = draw(cells.GRU(), steps, batch, 2, hidden)
    assert_results_agree(case, case.run("quasi_newton"), case.run("reference"))


def test_a_long_sequence_takes_few_iterations() -> None:
    layer = Recurrent(cells.LSTM(), 3, 16)
    x, state = torch.randn(1000, 2, 3), (torch.zeros(2, 16), torch.zeros(2, 16))
    solution = newton.solve(steps_of(layer.cell, x, layer.weights_of(0), None, False, None), state)
    assert (solution.converged, solution.windows) == (True, 1)
    assert solution.iterations < 20
    assert_agree(solution.states[0], reference.run(layer.cell, x, state, layer.weights_of(0))[0].detach())


def test_layers_with_resets_and_lengths_train_on_it() -> None:
    layer = Recurrent(cells.LSTM(), 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x, resets = torch.randn(12, 3, 3, dtype=torch.float64).requires_grad_(), torch.rand(12, 3) < 0.1
    results = []
    for backend in ("quasi_newton", "reference"):
        layer.backend = backend
        result = layer(x, lengths=[12, 0, 7], resets=resets)
        results.append((result, gradients(result, [x, *layer.parameters()])))
    assert_agree(results[0], results[1])


def chaotic(steps: int) -> tuple[Recurrent, torch.Tensor]:
    """Weights so large that neighbouring states part."""
    layer = Recurrent(cells.Elman(), 3, 16, dtype=torch.float64)
    with torch.no_grad():
        dict(layer.named_parameters())["weight_hh_l0"].mul_(12)
    return layer, torch.randn(steps, 1, 3, dtype=torch.float64)


def test_what_does_not_converge_runs_on_the_loop_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    layer, x = chaotic(150)
    layer.backend = "quasi_newton"
    with caplog.at_level(logging.WARNING, "recurra"), torch.no_grad():
        result = layer(x)
    layer.backend = "reference"
    with torch.no_grad():
        assert_agree(result, layer(x))
    (record,) = caplog.records
    assert "Elman, in 100 iterations" in record.getMessage()


def test_gradients_that_do_not_converge_are_those_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    monkeypatch.setattr("recurra.kernels.newton.gradients.most_iterations_of", lambda steps: 2)
    case = draw(cells.LSTM(), 20, 4, 3, 6, (20, 1, 0, 13))
    with caplog.at_level(logging.WARNING, "recurra"):
        assert_results_agree(case, case.run("quasi_newton"), case.run("reference"))
    assert "step by step" in caplog.records[0].getMessage()


def test_what_it_cannot_serve_is_refused() -> None:
    x = torch.randn(5, 2, 3)
    with pytest.raises(BackendError, match="do not mix, use backend='newton'"):
        Recurrent(cells.MinGRU(), 3, 4, backend="quasi_newton")(x)
    with pytest.raises(BackendError, match="no projected output"):
        Recurrent(cells.LSTM(), 3, 4, proj_size=2, backend="quasi_newton")(x)
