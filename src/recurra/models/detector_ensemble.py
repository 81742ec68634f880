"""Several detectors of one series: trained together, and forecasters scored as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.models.channel_forecaster import ChannelForecaster, ErrorScores
from recurra.models.sequence_autoencoder import SequenceAutoencoder

__all__ = ["DetectorEnsemble", "EnsembleScores"]


class DetectorEnsemble(nn.Module):
    """Networks that read the same windows and are trained at once, as if each were alone.

    Args:
        networks: of the same input size, at least one.
        rows: of each, the last rows of a window that it reads.
    """

    def __init__(self, networks: Sequence[ChannelForecaster | SequenceAutoencoder], rows: Sequence[int]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.rows = tuple(rows)

    def forward(self, windows: Tensor) -> tuple[Tensor, None]:
        """Read windows (B, W, I), of at least as many rows as any network reads.

        Returns:
            What the networks say of each row (B, W, F), one after the other, 0 for rows that they do not read; and
            None, as windows leave no state.
        """
        steps = windows.shape[1]
        outputs = [network(windows[:, -rows:])[0] for network, rows in zip(self.networks, self.rows, strict=True)]
        return torch.cat([nn.functional.pad(one, (0, 0, steps - one.shape[1], 0)) for one in outputs], -1), None


class EnsembleScores(nn.Module):
    """How unlikely each step is to several forecasters: their squared distances, weighted and added.

    Args:
        members: of the same channels and horizon.
        weights: (M, 2) of the slow and of the fast distances of each.
    """

    weights: Tensor

    def __init__(self, members: Sequence[ErrorScores], weights: Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.channels, self.horizon = members[0].network.channels, members[0].network.horizon
        self.shared = 2 * members[0].read + self.channels
        self.register_buffer("weights", weights.float())

    def forward(self, steps: Tensor) -> Tensor:
        """Score whole sequences.

        Args:
            steps: (B, T, 2 * (C + D) + C + M * N * C), the inputs that the members share, then of each what the errors
                of missing values are taken for; see `ErrorScores`.

        Returns:
            (B, T, 3 * C + 1), see `ErrorScores`; the expectation is the mean of the members'.
        """
        shared, instead = steps[..., : self.shared], steps[..., self.shared :]
        own = instead.chunk(len(self.members), -1)
        results = [member(torch.cat([shared, one], -1)) for member, one in zip(self.members, own, strict=True)]
        return (torch.stack(results) * self.factors()[:, None, None]).sum(0)

    def factors(self) -> Tensor:
        """What the results of the members are multiplied by before they are added: (M, 3 * C + 1)."""
        slow, fast = (one.unsqueeze(1).expand(-1, self.channels) for one in self.weights.unbind(1))
        mean = torch.full_like(slow, 1 / len(self.members))
        return torch.cat([slow, mean, fast, self.weights[:, :1]], 1)
