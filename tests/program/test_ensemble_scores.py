import pytest
import torch

from recurra.cells import GRU
from recurra.models.channel_forecaster import ChannelForecaster, ErrorScores
from recurra.models.detector_ensemble import EnsembleScores
from recurra.streaming import Stepper

CHANNELS, HORIZON = 2, 3


@pytest.mark.parametrize("members", [1, 3])
def test_scores_are_the_weighted_ones_of_the_members_step_by_step_too(members: int) -> None:
    torch.manual_seed(0)
    size, own = CHANNELS * HORIZON, []
    for k in range(members):
        network = ChannelForecaster(GRU(), CHANNELS, CHANNELS, HORIZON, 5, 1, 0.0).eval()
        root = torch.randn(size, size)
        own.append(ErrorScores(network, 0.1 * torch.randn(size), root @ root.T / size, 5.0, 2.0, 2 + k))
    weights = torch.rand(members, 2) + 0.5
    ensemble = EnsembleScores(own, weights)
    shared = torch.randn(1, 20, 3 * CHANNELS)
    shared[..., CHANNELS : 2 * CHANNELS] = (shared[..., CHANNELS : 2 * CHANNELS] > -1).float()
    instead = torch.randn(members, 1, 20, size)
    steps = torch.cat([shared, *instead], -1)
    with torch.no_grad():
        whole = ensemble(steps)
        alone = torch.stack([one(torch.cat([shared, rest], -1)) for one, rest in zip(own, instead, strict=True)])
    slow, expected, fast, short = whole.split([CHANNELS, CHANNELS, CHANNELS, 1], -1)
    parts = alone.split([CHANNELS, CHANNELS, CHANNELS, 1], -1)
    torch.testing.assert_close(slow, torch.einsum("m,mbtc->btc", weights[:, 0], parts[0]))
    torch.testing.assert_close(expected, parts[1].mean(0))
    torch.testing.assert_close(fast, torch.einsum("m,mbtc->btc", weights[:, 1], parts[2]))
    torch.testing.assert_close(short, torch.einsum("m,mbtc->btc", weights[:, 0], parts[3]))
    streamed, _ = Stepper(ensemble)(steps.transpose(0, 1).contiguous())
    torch.testing.assert_close(streamed.transpose(0, 1), whole, rtol=1e-4, atol=1e-5)
