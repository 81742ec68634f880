"""What is particular to the descendants of the LSTM."""

from typing import Any

import pytest
import torch
from torch import Tensor

from agreement import assert_agree
from every_cell import draw_state, draw_weights
from recurra import Recurrent, kernels
from recurra.cells import LSTM, SLSTM, CoupledLSTM, PeepholeLSTM
from recurra.errors import ParameterError
from recurra.kernels import Weights


def test_without_its_peepholes_a_peephole_lstm_is_an_lstm() -> None:
    weights, state, x = draw_weights(PeepholeLSTM(), 3, 4), draw_state(LSTM(), 2, 4), torch.randn(5, 2, 3).double()
    plain = Weights(weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh)
    expected = kernels.run("reference", LSTM(), x, state, plain)
    blind = plain._replace(per_unit=torch.zeros(3, 4).double())
    assert_agree(kernels.run("reference", PeepholeLSTM(), x, state, blind), expected)
    seeing = kernels.run("reference", PeepholeLSTM(), x, state, weights)
    assert (seeing[0] - expected[0]).abs().max() > 1e-3


def test_a_coupled_lstm_is_an_lstm_whose_input_gate_is_the_rest_of_the_forget_gate() -> None:
    weights, state, x = draw_weights(CoupledLSTM(), 3, 4), draw_state(LSTM(), 2, 4), torch.randn(5, 2, 3).double()

    def with_input_gate(rows: Tensor | None) -> Tensor:
        # 1 - sigmoid(a) = sigmoid(-a)
        assert rows is not None
        return torch.cat([-rows[:4], rows])

    whole = Weights(
        with_input_gate(weights.weight_ih),
        with_input_gate(weights.weight_hh),
        with_input_gate(weights.bias_ih),
        with_input_gate(weights.bias_hh),
    )
    expected = kernels.run("reference", LSTM(), x, state, whole)
    assert_agree(kernels.run("reference", CoupledLSTM(), x, state, weights), expected)


def test_an_slstm_is_its_unstabilised_recurrence() -> None:
    cell, hidden = SLSTM(), 4
    weights, x = draw_weights(cell, 3, hidden), torch.randn(6, 2, 3).double()
    zeros = tuple(torch.zeros(2, hidden).double() for _ in cell.state)
    h = c = n = torch.zeros(2, hidden).double()
    outputs = []
    assert weights.weight_hh is not None
    assert weights.bias_ih is not None
    assert weights.bias_hh is not None
    for x_t in x:
        i, f, z, o = (x_t @ weights.weight_ih.T + weights.bias_ih + h @ weights.weight_hh.T + weights.bias_hh).chunk(
            4, dim=1
        )
        c = torch.sigmoid(f) * c + i.exp() * z.tanh()
        n = torch.sigmoid(f) * n + i.exp()
        h = o.sigmoid() * c / n
        outputs.append(h)
    assert_agree(kernels.run("reference", cell, x, zeros, weights)[0], torch.stack(outputs))


def test_an_slstm_stays_finite_where_its_gates_overflow() -> None:
    cell = SLSTM()
    weights = draw_weights(cell, 3, 4, torch.float32)
    zeros = tuple(torch.zeros(2, 4) for _ in cell.state)
    x = 400 * torch.randn(30, 2, 3)
    for backend in ("reference", "auto"):
        output, final = kernels.run(backend, cell, x, zeros, weights)
        gradient = torch.autograd.grad(output.sum(), weights.weight_ih, retain_graph=True)[0]
        assert output.isfinite().all()
        assert output.abs().max() <= 1
        assert all(part.isfinite().all() for part in final)
        assert gradient.isfinite().all()


def test_an_slstm_with_heads_is_one_without_whose_weights_are_zero_between_heads() -> None:
    heads, one = SLSTM(heads=2), SLSTM()
    weights, state, x = draw_weights(heads, 3, 6), draw_state(heads, 2, 6), torch.randn(5, 2, 3).double()
    assert weights.weight_hh is not None
    assert weights.weight_hh.shape == (24, 3)
    dense = torch.zeros(24, 6).double()
    for row in range(24):
        first = 0 if row % 6 < 3 else 3
        dense[row, first : first + 3] = weights.weight_hh[row]
    whole = Weights(weights.weight_ih, dense, weights.bias_ih, weights.bias_hh)
    expected = kernels.run("reference", one, x, state, whole)
    assert_agree(kernels.run("reference", heads, x, state, weights), expected)


def test_no_head_of_an_slstm_reads_another() -> None:
    cell = SLSTM(heads=3)
    weights, x = draw_weights(cell, 3, 6), torch.randn(4, 1, 3).double()
    zeros = (torch.zeros(1, 6).double(),) * 3

    def last(h: Tensor) -> Tensor:
        return kernels.run("reference", cell, x, (h, *zeros), weights)[0][-1]

    jacobian = torch.autograd.functional.jacobian(last, torch.randn(1, 6).double())[0, :, 0]
    within = torch.block_diag(*[torch.ones(2, 2)] * 3).bool()
    assert torch.equal(jacobian != 0, within)


@pytest.mark.parametrize("heads", [0, -1, 1.0, True, None])
def test_heads_are_checked(heads: Any) -> None:
    with pytest.raises(ParameterError, match=r"^heads: expected "):
        SLSTM(heads)


def test_units_are_a_multiple_of_the_heads() -> None:
    with pytest.raises(ParameterError, match=r"^hidden_size: expected a multiple .* cell's 3 heads, got 4"):
        Recurrent(SLSTM(heads=3), 2, 4)
