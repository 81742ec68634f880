"""Static categories as vectors."""

import torch
from torch import Tensor, nn

__all__ = ["CategoryEmbedding"]


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
