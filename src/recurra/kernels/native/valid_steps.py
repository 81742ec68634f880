"""The valid steps of all rows in one: no work is done for padding."""

import torch
from torch import Tensor

__all__ = ["at_places", "from_places"]


def _places(lengths: Tensor, steps: int) -> Tensor:
    """Where the true steps of each row, one row after another, lie in (T, B) flattened."""
    valid = torch.arange(steps) < lengths.unsqueeze(1)  # (B, T)
    row, t = valid.nonzero(as_tuple=True)
    return t * len(lengths) + row


def at_places(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, F) from (T, B, F)."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if lengths is None else flat.index_select(0, _places(lengths, x.shape[0]))


def from_places(gradient: Tensor, like: Tensor, lengths: Tensor | None) -> Tensor:
    """(T, B, F), zero at padding, from (N, F)."""
    if lengths is None:
        return gradient.reshape(like.shape)
    flat = gradient.new_zeros(like.shape[0] * like.shape[1], like.shape[2])
    return flat.index_copy_(0, _places(lengths, like.shape[0]), gradient).reshape(like.shape)
