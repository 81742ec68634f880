import math

import numpy as np
import pytest
import torch
from known_systems import LinearPair, linear, rotation
from torch import Tensor, nn

import recurra
from recurra.errors import ParameterError
from recurra.inspection import final_outputs_loss, fit_decay, gradient_by_lag, record, state_gradients


def test_gradients_of_a_linear_recurrence_are_powers_of_its_matrix() -> None:
    weights = 0.9 * rotation(4) + 0.1 * torch.randn(4, 4, dtype=torch.float64)
    found = record(linear(weights), torch.randn(2, 8, 4, dtype=torch.float64))
    gradients = state_gradients(found)
    last = found.tracks[0].outputs[-1]
    for t in range(8):
        expected = last @ torch.linalg.matrix_power(weights, 7 - t)
        assert torch.allclose(gradients.tracks[0].total[0][t], expected, atol=1e-12)
        assert torch.allclose(gradients.tracks[0].inputs[t], expected, atol=1e-12)
    assert gradients.loss == pytest.approx(float(last.detach().square().sum()) / 2)
    assert torch.equal(gradients.tracks[0].through_time[0][-1], torch.zeros(2, 4, dtype=torch.float64))
    assert torch.equal(gradients.tracks[0].from_above[:-1], torch.zeros(7, 2, 4, dtype=torch.float64))


@pytest.mark.parametrize("cell", [recurra.cells.LSTM(), recurra.cells.GRU(), LinearPair()], ids=repr)
def test_the_total_derivative_is_that_of_going_on_from_the_state(cell: recurra.cells.Cell) -> None:
    """Each part of the state is a coordinate of its own: as if the layer were started anew from it."""
    layer = recurra.Recurrent(cell, 3, 4, backend="reference", dtype=torch.float64)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    readout = torch.randn(9, 2, 4, dtype=torch.float64)
    found = record(layer, x)
    total = state_gradients(found, lambda output: (readout * output[0]).sum()).tracks[0].total
    states = found.tracks[0].segments[0].after()
    for t in (0, 3, 7):
        state = tuple(part[t].clone().requires_grad_() for part in states)
        packed = tuple(part.unsqueeze(0) for part in state)
        later, _ = layer(x[t + 1 :], packed[0] if len(packed) == 1 else packed)
        loss = (readout[t + 1 :] * later).sum() + (readout[t] * state[0]).sum()
        for ours, expected in zip(total, torch.autograd.grad(loss, state), strict=True):
            assert torch.allclose(ours[t], expected, atol=1e-12)


def test_a_loss_that_tells_nothing() -> None:
    found = record(recurra.GRU(3, 4), torch.randn(5, 2, 3))
    with pytest.raises(ParameterError, match="returns a scalar"):
        state_gradients(found, lambda output: output[0])
    with pytest.raises(ParameterError, match="depends on the recurrent layers"):
        state_gradients(found, lambda output: output[0].detach().sum())
    with pytest.raises(ParameterError, match="steps of the 5 there are"):
        state_gradients(found, steps=[5])


def test_the_default_loss_reads_each_sequence_s_own_last_step() -> None:
    layer = recurra.GRU(3, 4, bidirectional=True)
    x, lengths = torch.randn(5, 3, 3), torch.tensor([5, 2, 0])
    found = record(layer, x, lengths=lengths)
    _, final = layer(x, lengths=lengths)
    final[:, 2] = 0
    assert float(final_outputs_loss(found).detach()) == pytest.approx(
        float(final.detach().square().sum() / 2), rel=1e-5
    )


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.1])
def test_decay_of_a_scaled_rotation_is_its_factor(factor: float) -> None:
    found = gradient_by_lag(record(linear(factor * rotation(4)), torch.randn(3, 20, 4, dtype=torch.float64)))
    (curve,) = found.curves
    assert (curve.part, found.sequences, len(curve.norms)) == ("state", 3, 20)
    assert np.allclose(curve.norms, curve.norms[0] * factor ** np.arange(20))
    assert curve.decay.factor == pytest.approx(factor)
    assert curve.decay.r_squared == pytest.approx(1)
    if factor < 1:
        assert curve.decay.time_constant == pytest.approx(-1 / math.log(factor))
        assert curve.decay.horizon == pytest.approx(math.log(100) / -math.log(factor))
    else:
        assert curve.decay.horizon == pytest.approx(math.inf, rel=1) or curve.decay.horizon > 1e6
    assert curve.decay.measured_horizon == {0.5: 7, 0.8: None, 1.0: None, 1.1: None}[factor]


def test_parts_of_a_state_have_curves_of_their_own() -> None:
    layer = recurra.Recurrent(LinearPair(), 3, 4, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()  # type: ignore[operator]
    found = gradient_by_lag(record(layer, torch.randn(8, 2, 3, dtype=torch.float64)))
    h, m, whole = found.curves
    assert [c.part for c in found.curves] == ["h", "m", "state"]
    assert np.count_nonzero(h.norms) == 1  # nothing reads h again
    assert m.norms[0] == 0
    assert np.allclose(m.norms[1:], m.norms[1] * 0.5 ** np.arange(7))
    assert np.allclose(whole.norms[1:], m.norms[1:])
    assert whole.decay.factor == pytest.approx(0.5)
    assert found.whole() == (whole,)


def test_lags_count_true_steps_only() -> None:
    layer = linear(0.5 * rotation(4))
    x = torch.randn(2, 9, 4, dtype=torch.float64)
    padded = gradient_by_lag(record(layer, x, lengths=torch.tensor([9, 5])))
    alone = [gradient_by_lag(record(layer, x[k : k + 1, :n])).curves[0].norms for k, n in enumerate((9, 5))]
    assert np.allclose(padded.curves[0].norms[:5], (alone[0][:5] + alone[1]) / 2)
    assert np.allclose(padded.curves[0].norms[5:], alone[0][5:])


def test_both_directions_look_back_from_their_own_end() -> None:
    layer = linear(0.5 * rotation(4), bidirectional=True)
    found = gradient_by_lag(record(layer, torch.randn(2, 9, 4, dtype=torch.float64)))
    assert [c.track for c in found.curves] == ["layer 1 forward", "layer 1 reverse"]
    for curve in found.curves:
        assert curve.decay.factor == pytest.approx(0.5)


def test_the_loss_at_a_chosen_step() -> None:
    layer = linear(0.5 * rotation(4), bidirectional=True)
    forward, reverse = gradient_by_lag(record(layer, torch.randn(2, 9, 4, dtype=torch.float64)), steps=[6]).curves
    assert (len(forward.norms), len(reverse.norms)) == (7, 3)
    assert forward.decay.factor == pytest.approx(0.5)
    assert reverse.decay.factor == pytest.approx(0.5)


def test_layers_below_are_reached_through_those_above() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lower, self.upper = linear(0.5 * torch.eye(2)), linear(0.25 * torch.eye(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.upper(self.lower(x)[0])[0]

    found = gradient_by_lag(record(Stack(), torch.randn(1, 12, 2, dtype=torch.float64)))
    lower, upper = found.curves
    lags = np.arange(12)
    assert np.allclose(upper.norms, upper.norms[0] * 0.25**lags)
    # Of all ways from a state of the lower layer to the end: the sum of 0.5^j 0.25^(k - j) over j.
    assert np.allclose(lower.norms, upper.norms[0] * (2 * 0.5**lags - 0.25**lags))


def test_fits_where_there_is_little_to_fit() -> None:
    assert math.isnan(fit_decay(np.zeros(5)).factor)
    assert math.isnan(fit_decay(np.zeros(0)).factor)
    gone = fit_decay(np.array([2.0, 0.0, 0.0]))
    assert (gone.factor, gone.horizon, gone.measured_horizon) == (0.0, 0.0, 1)
    two = fit_decay(np.array([4.0, 1.0]))
    assert two.factor == pytest.approx(0.25)
    late = fit_decay(np.array([0.0, 1.0, 0.5, 0.25, 0.125]))
    assert late.factor == pytest.approx(0.5)
    assert late.at(np.array([1])) == pytest.approx(1)


def test_what_is_far_below_does_not_bend_the_fit() -> None:
    norms = np.concatenate([0.5 ** np.arange(12), 1e-9 * 0.99 ** np.arange(40)])
    assert fit_decay(norms).factor == pytest.approx(0.5)
