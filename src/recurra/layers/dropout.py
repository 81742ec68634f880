"""Dropout that is the same at every step of a sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from recurra.errors import ShapeError
from recurra.shapes import check_probability

__all__ = ["VariationalDropout", "variational_dropout", "zoneout_masks"]


def variational_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """x (T, ...) with dropout, the same mask at every step; unchanged when not training."""
    if not p or not training:
        return x
    return x * dropout(torch.ones_like(x[:1]), p)


def zoneout_masks(x: Tensor, sizes: Sequence[int], zoneout: Sequence[float], training: bool) -> tuple[Tensor, ...]:
    """The zoneout masks of each part of the state, as `recurra.kernels.Masks` takes them.

    Args:
        x: (T, B, ...).
        sizes: the features of each part of the state.
        zoneout: the probability for each part.
        training: whether to sample; otherwise the masks are the expectation.
    """
    parts = list(zip(sizes, zoneout, strict=True))
    if training:
        return tuple(torch.bernoulli(x.new_full((*x.shape[:2], size), p)) for size, p in parts)
    return tuple(x.new_full((1, 1, 1), p).expand(1, 1, size) for size, p in parts)


class VariationalDropout(nn.Module):
    """Dropout with one mask a sequence (Gal and Ghahramani 2016): a feature is dropped at all its steps or at none.

    For the input or output of a recurrent layer; between the layers of one, `Recurrent(variational=True)` does it.
    Features that are not dropped are scaled by 1 / (1 - p). When not training it does nothing.

    Args:
        p: the probability that a feature of a sequence is dropped, 0 to 1.
        batch_first: whether the input is (B, T, ...) rather than (T, B, ...).

    Raises:
        ParameterError: for a `p` out of its range.
    """

    def __init__(self, p: float = 0.5, batch_first: bool = False) -> None:
        super().__init__()
        check_probability("p", p)
        self.p = float(p)
        self.batch_first = batch_first

    def extra_repr(self) -> str:
        return f"p={self.p}" + (", batch_first=True" if self.batch_first else "")

    def forward(self, input: Tensor | PackedSequence) -> Tensor | PackedSequence:  # noqa: A002 (torch's name)
        """Drop features.

        Args:
            input: (T, B, ...), or (B, T, ...) with `batch_first`, or (T, F) for one sequence, or packed.

        Returns:
            The input with features dropped, in the same layout.

        Raises:
            ShapeError: for fewer than 2 dimensions.
        """
        if isinstance(input, PackedSequence):
            return self._of_packed(input)
        if input.dim() < 2:
            raise ShapeError("input", "at least 2 dimensions", f"{input.dim()}")
        if self.batch_first and input.dim() > 2:
            return variational_dropout(input.transpose(0, 1), self.p, self.training).transpose(0, 1)
        return variational_dropout(input, self.p, self.training)

    def _of_packed(self, packed: PackedSequence) -> PackedSequence:
        if not self.p or not self.training:
            return packed
        data, sizes, sorted_indices, unsorted_indices = packed
        mask = dropout(torch.ones_like(data[: int(sizes[0])]), self.p)
        rows = torch.cat([torch.arange(int(size)) for size in sizes]).to(data.device)
        return PackedSequence(data * mask.index_select(0, rows), sizes, sorted_indices, unsorted_indices)
