import numpy as np
import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.models.channel_forecaster import ChannelForecaster, ErrorScores
from recurra.streaming import Stepper


@pytest.mark.parametrize(("channels", "horizon", "marks_missing"), [(1, 1, False), (3, 4, True), (2, 3, False)])
def test_scores_step_by_step_are_those_of_the_sequence(channels, horizon, marks_missing):
    torch.manual_seed(0)
    network = ChannelForecaster(
        LSTM() if horizon > 1 else GRU(), channels * (1 + marks_missing), channels, horizon, 8, 2, 0.0
    ).eval()
    size = channels * horizon
    root = torch.randn(size, size)
    scores = ErrorScores(network, 0.1 * torch.randn(size), root @ root.T / size, 5.0, 2.0, 3)
    values, present = torch.randn(2, 30, channels), (torch.rand(2, 30, channels) > 0.2).float()
    assumed = torch.randn(2, 30, size) * (1 - present).repeat(1, 1, horizon)
    beyond = 20 * torch.randn(2, 30, channels).relu() * present
    steps = torch.cat([values * present, present, beyond, assumed], -1)
    with torch.no_grad():
        whole = scores(steps)
    streamed, _ = Stepper(scores)(steps.transpose(0, 1).contiguous())
    assert torch.allclose(streamed.transpose(0, 1), whole, rtol=1e-4, atol=1e-5)
    for first in (0, 2 * channels):
        assert not whole[:, :3, first : first + channels].any()
        assert whole[:, 3, first : first + channels].all()
    changed = steps.clone()
    changed[:, 20:] += 1
    with torch.no_grad():
        assert np.array_equal(scores(changed)[:, :20], whole[:, :20])
