import math

import numpy as np
import pytest
import torch

from recurra.cells import GRU, GRUD, Cell
from recurra.models.timed_forecaster import TimedErrorScores, TimedForecaster
from recurra.streaming import Stepper


@pytest.mark.parametrize("cell", [GRU(), GRUD()], ids=["gru", "gru_d"])
def test_scores_step_by_step_are_those_of_the_sequence(cell: Cell) -> None:
    torch.manual_seed(0)
    network = TimedForecaster(cell, 5, 2, 3, 6, 2, 0.0).eval()
    root = torch.randn(6, 6)
    scores = TimedErrorScores(network, root @ root.T / 6, 5.0, 2.0, 3)
    steps = torch.randn(2, 20, scores.input_size)
    steps[..., 5] = steps[..., 5].abs()
    with torch.no_grad():
        whole = scores(steps)
        left, _ = network.read(steps[..., :5], steps[..., 5:6])
    stepper = Stepper(scores)
    streamed, state = stepper(steps.transpose(0, 1).contiguous(), stepper.new_state(2))
    assert torch.allclose(torch.as_tensor(streamed).transpose(0, 1), whole, rtol=1e-4, atol=1e-5)
    # What a stream computes the errors of the next row from: the amplitudes and the times of the last rows.
    assert np.allclose(state.parts["ahead"], left[:, -3:].flatten(1), rtol=1e-4, atol=1e-5)
    assert np.allclose(state.parts["times"], steps[:, -3:, 5:8].flatten(1))
    assert np.allclose(state.parts["last"], steps[:, -1, :2])


def test_features_move_as_a_damped_oscillation() -> None:
    network = TimedForecaster(GRU(), 2, 1, 1, 2, 1, 0.0)
    with torch.no_grad():
        network.rate.fill_(math.log(math.expm1(0.5)))
        network.frequency.copy_(torch.tensor([0.0, 2.0]))
        network.output.weight.fill_(1.0)
        network.output.bias.zero_()
    ahead = torch.tensor([[0.0], [1.0], [3.0]])
    forecast = network.forecast(torch.tensor([3.0, 1.0, 9.0, 2.0]), ahead)[:, 0]
    expected = [math.exp(-0.5 * t) * (3 + math.cos(2 * t) + 2 * math.sin(2 * t)) for t in (0.0, 1.0, 3.0)]
    assert torch.allclose(forecast, torch.tensor(expected), rtol=1e-5)


def test_forecasts_know_when_rows_come() -> None:
    torch.manual_seed(0)
    network = TimedForecaster(GRUD(), 3, 2, 2, 4, 1, 0.0)
    steps = torch.rand(1, 6, 3 + 1 + 2)
    whole, _ = network(steps)
    later = steps.clone()
    later[:, 3, -1] += 1  # the second time ahead of one row
    changed, _ = network(later)
    differs = (whole != changed)[0]
    assert differs[3, 2:].all()
    assert differs.sum() == 2
    earlier = steps.clone()
    earlier[:, 3, 3] += 1  # the time since the row before
    assert not torch.equal(network(earlier)[0][:, 3:], whole[:, 3:])
    assert torch.equal(network(earlier)[0][:, :3], whole[:, :3])
    first, state = network(steps[:, :4])
    rest, _ = network(steps[:, 4:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-6)
