"""What is particular to the descendants of the LSTM."""

import torch
from torch import Tensor

from agreement import assert_agree
from every_cell import draw_state, draw_weights
from recurra import kernels
from recurra.cells import LSTM, SLSTM, CoupledLSTM, PeepholeLSTM
from recurra.kernels import Weights


def test_without_its_peepholes_a_peephole_lstm_is_an_lstm() -> None:
    weights, state, x = draw_weights(PeepholeLSTM(), 3, 4), draw_state(LSTM(), 2, 4), torch.randn(5, 2, 3).double()
    none = {name: torch.zeros(4).double() for name in PeepholeLSTM.per_unit}
    plain = Weights(weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh)
    expected = kernels.run("reference", LSTM(), x, state, plain)
    blind = Weights(weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh, per_unit=none)
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
    for x_t in x:
        assert weights.bias_ih is not None
        assert weights.bias_hh is not None
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
