"""Parts that both forecasting networks are made of."""

import math

import torch
from torch import Tensor, nn

__all__ = ["Baseline", "CategoryEmbedding", "Readout"]


class CategoryEmbedding(nn.Module):
    """Static categories as vectors, one table a column.

    The unseen category, index 0, is the zero vector: it is never trained, and must not say anything.

    Args:
        cardinalities: categories by column, the unseen one included.
    """

    def __init__(self, cardinalities: list[int]) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, min(16, (n + 1) // 2), padding_idx=0) for n in cardinalities)

    @property
    def size(self) -> int:
        """Features added to each step."""
        return sum(int(table.embedding_dim) for table in self.tables if isinstance(table, nn.Embedding))

    def append(self, steps: Tensor, categories: Tensor) -> Tensor:
        """Steps (B, T, F) with the vectors of categories (B, C) at each step."""
        if not self.tables:
            return steps
        vectors = torch.cat([table(column) for table, column in zip(self.tables, categories.T, strict=True)], dim=1)
        return torch.cat([steps, vectors.unsqueeze(1).expand(-1, steps.shape[1], -1)], dim=2)


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
