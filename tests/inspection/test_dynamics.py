import math

import numpy as np
import pytest
import torch
from known_systems import linear, rotation

import covering
import recurra
from every_cell import CELLS, fitting, traits
from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.inspection import jacobian_norms, lyapunov_spectrum, record, recurrent_spectra
from recurra.inspection.jacobians import segment_jacobians


@covering.parametrize({"cell": CELLS, "reverse": [False, True]}, strength=1, traits={"cell": traits})
def test_step_jacobians_are_those_of_a_step(cell: Cell, reverse: bool) -> None:
    size = fitting(cell, 4)
    layer = recurra.Recurrent(cell, 3, size, bidirectional=reverse, dtype=torch.float64)
    found = record(layer, torch.randn(3, 2, 3, dtype=torch.float64))
    segment = found.segments[-1]
    assert segment.reverse == reverse
    sizes = [part.shape[1] for part in segment.initial]
    step = recurra.RecurrentCell(cell, 3, size, dtype=torch.float64)
    ending = "_l0_reverse" if reverse else "_l0"
    step.load_state_dict({name: getattr(layer, name + ending) for name in step.state_dict()})
    before = segment.before()
    for t, jacobian in segment_jacobians(segment, torch.arange(2)):
        x = segment.inputs[t].detach()

        def once(flat: torch.Tensor, x: torch.Tensor = x) -> torch.Tensor:
            state = flat.split(sizes)
            after = step(x[1], state[0] if len(state) == 1 else state)
            return torch.cat(after) if len(state) > 1 else after

        expected = torch.autograd.functional.jacobian(once, torch.cat([part[t, 1] for part in before]))
        assert isinstance(expected, torch.Tensor)
        assert torch.allclose(jacobian[1], expected, atol=1e-10)


def test_jacobian_norms_of_a_scaled_rotation() -> None:
    (found,) = jacobian_norms(record(linear(0.9 * rotation(5)), torch.randn(3, 30, 5, dtype=torch.float64)))
    assert np.allclose(found.by_step, 0.9)
    assert found.lags[0] == 1
    assert found.lags[-1] == 29
    for norms in (found.median, found.low, found.high):
        assert np.allclose(norms, 0.9**found.lags)
    assert found.decay.factor == pytest.approx(0.9)


def test_jacobian_norms_far_below_what_floating_point_squares() -> None:
    (found,) = jacobian_norms(record(linear(1e-6 * rotation(3)), torch.randn(1, 45, 3, dtype=torch.float64)))
    assert np.allclose(np.log10(found.median), -6.0 * found.lags)


def test_jacobians_leave_padding_out() -> None:
    x, lengths = torch.randn(2, 8, 3, dtype=torch.float64), torch.tensor([6, 4])
    recording = record(linear(0.5 * rotation(3)), x, lengths=lengths)
    (found,) = jacobian_norms(recording)
    assert np.isnan(found.by_step).tolist() == [False] * 6 + [True] * 2
    assert np.allclose(found.median, 0.5**found.lags)
    assert found.lags[-1] == 5
    (spectrum,) = lyapunov_spectrum(recording, warmup=2)
    assert (spectrum.steps, spectrum.warmup, spectrum.sequences) == (4, 2, 1)
    assert np.allclose(spectrum.exponents, math.log(0.5))


def test_lyapunov_exponents_of_a_diagonal_recurrence() -> None:
    eigenvalues = torch.tensor([0.9, -1.2, 0.3, 0.5], dtype=torch.float64)
    (found,) = lyapunov_spectrum(record(linear(torch.diag(eigenvalues)), torch.randn(2, 200, 4, dtype=torch.float64)))
    expected = np.log([1.2, 0.9, 0.5, 0.3])
    assert np.allclose(found.exponents, expected, atol=1e-9)
    assert np.allclose(found.spread, 0, atol=1e-9)
    assert found.largest == pytest.approx(math.log(1.2))
    assert (found.name, found.warmup, found.steps, found.sequences) == ("layer 1", 50, 150, 2)
    # 0.18 above, less 0.11: 1 + what is left of the growth over the next exponent.
    assert found.dimension == pytest.approx(2 + (math.log(1.2) + math.log(0.9)) / -math.log(0.5))


def test_lyapunov_exponents_of_a_recurrence_that_is_not_normal() -> None:
    weights = torch.tensor([[0.9, 0.8, -0.5], [0.0, 0.6, 0.7], [0.0, 0.0, 0.2]], dtype=torch.float64)
    (found,) = lyapunov_spectrum(record(linear(weights), torch.randn(1, 300, 3, dtype=torch.float64)))
    assert np.allclose(found.exponents, np.log([0.9, 0.6, 0.2]), atol=1e-6)


def test_the_largest_exponents_alone() -> None:
    weights = torch.diag(torch.tensor([0.9, 0.5, 0.3], dtype=torch.float64))
    (found,) = lyapunov_spectrum(record(linear(weights), torch.randn(1, 40, 3, dtype=torch.float64)), count=2)
    assert np.allclose(found.exponents, np.log([0.9, 0.5]))


def test_a_network_of_strong_random_weights_is_chaotic() -> None:
    """Sompolinsky et al. 1988: a random tanh network is chaotic above a gain of 1, and still below."""
    exponents = []
    for gain in (0.5, 3.0):
        layer = recurra.RNN(1, 60, bias=False, dtype=torch.float64)
        with torch.no_grad():
            layer.weight_hh_l0.copy_(gain * torch.randn(60, 60) / math.sqrt(60))  # type: ignore[operator]
        x = 1e-3 * torch.randn(150, 1, 1, dtype=torch.float64)
        exponents.append(lyapunov_spectrum(record(layer, x), count=1)[0].largest)
    assert exponents[0] < -0.3
    assert exponents[1] > 0.1


def test_a_warm_up_as_long_as_the_sequence() -> None:
    with pytest.raises(ParameterError, match="warmup: expected 0 to 4, got 5"):
        lyapunov_spectrum(record(linear(rotation(2)), torch.randn(1, 5, 2, dtype=torch.float64)), warmup=5)


def test_exponents_of_whole_states_of_all_layers() -> None:
    found = lyapunov_spectrum(record(recurra.LSTM(3, 4, num_layers=2), torch.randn(12, 2, 3)))
    assert [(s.name, len(s.exponents)) for s in found] == [("layer 1", 8), ("layer 2", 8)]
    assert all((np.diff(s.exponents) <= 0).all() and s.largest < 0 for s in found)


def test_spectral_radius_by_gate() -> None:
    layer = recurra.GRU(3, 4)
    with torch.no_grad():
        for k, radius in enumerate((0.5, 1.5, 2.0)):
            layer.weight_hh_l0[4 * k : 4 * k + 4] = radius * rotation(4)  # type: ignore[index]
    found = recurrent_spectra(record(layer, torch.randn(5, 2, 3)))
    assert [s.gate for s in found] == ["r", "z", "n"]
    assert np.allclose([s.radius for s in found], [0.5, 1.5, 2.0])
    assert np.allclose([s.norm for s in found], [0.5, 1.5, 2.0])


def test_spectra_of_other_recurrences() -> None:
    x = torch.randn(5, 2, 3)
    heads = recurra.Recurrent(recurra.cells.SLSTM(heads=2), 3, 4)
    assert [len(s.eigenvalues) for s in recurrent_spectra(record(heads, x))] == [4] * 4
    diagonal = recurra.Recurrent(recurra.cells.IndRNN(), 3, 4)
    (found,) = recurrent_spectra(record(diagonal, x))
    assert found.radius == pytest.approx(float(diagonal.weight_hh_l0.detach().max()))  # type: ignore[operator]
    assert recurrent_spectra(record(recurra.Recurrent(recurra.cells.MinGRU(), 3, 4), x)) == ()
    projected = recurra.LSTM(3, 4, proj_size=2)
    first = recurrent_spectra(record(projected, x))[0]
    product = projected.weight_hh_l0[:4] @ projected.weight_hr_l0  # type: ignore[index, operator]
    assert first.radius == pytest.approx(float(torch.linalg.eigvals(product).detach().abs().max()), rel=1e-4)


def test_norms_of_large_states_are_close_to_the_exact_ones() -> None:
    recurrent = 0.9 * torch.randn(96, 96, dtype=torch.float64) / 96**0.5
    (found,) = jacobian_norms(record(linear(recurrent), torch.randn(1, 6, 96, dtype=torch.float64)))
    exact = float(torch.linalg.matrix_norm(recurrent, ord=2))
    shown = found.by_step[np.isfinite(found.by_step)]
    assert (shown <= exact * (1 + 1e-9)).all()
    assert (shown >= 0.95 * exact).all()
