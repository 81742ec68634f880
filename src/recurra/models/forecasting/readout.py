"""From hidden states to a forecast: a mixture of seasonal candidates, and a correction of it."""

import math

import torch
from torch import Tensor, nn

__all__ = ["Baseline", "Readout"]


class Baseline(nn.Module):
    """A weighted mean of the seasonal candidates; the weights depend on the hidden state, and sum to one.

    Args:
        hidden_size: H.
        candidates: M.
    """

    def __init__(self, hidden_size: int, candidates: int) -> None:
        super().__init__()
        self.weights = nn.Linear(hidden_size, candidates)

    def forward(self, hidden: Tensor, candidates: Tensor, available: Tensor) -> Tensor:
        """The baseline of each step (B, T).

        Args:
            hidden: (B, T, H).
            candidates: (B, T, M).
            available: (B, T, M) bool, at least one of each step.
        """
        scores = self.weights(hidden).masked_fill(~available, -math.inf)
        return (torch.softmax(scores, dim=2) * candidates).sum(2)


class Readout(nn.Module):
    """Raw outputs from hidden states, through one hidden layer.

    The first steps of training begin near the baseline: small weights, and a spread of about a third of a unit.

    Args:
        hidden_size: H.
        output_size: raw outputs a step.
        dropout: on the hidden states, while training.
    """

    def __init__(self, hidden_size: int, output_size: int, dropout: float) -> None:
        super().__init__()
        last = nn.Linear(hidden_size, output_size)
        with torch.no_grad():
            last.weight *= 0.3
            last.bias.fill_(-1.0)
            last.bias[0] = 0.0
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden_size, hidden_size), nn.SiLU(), last)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, H) to (B, T, output_size)."""
        return self.layers(hidden)
