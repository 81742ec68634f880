"""The valid steps of all rows, packed: no work is done for padding."""

import torch
from torch import Tensor

__all__ = ["pack_valid_steps", "unpack_valid_steps"]


def _valid_indices(lengths: Tensor, steps: int) -> Tensor:
    """The indices in (T, B) flattened of each row's valid steps, one row after another."""
    valid = torch.arange(steps) < lengths.unsqueeze(1)  # (B, T)
    row, t = valid.nonzero(as_tuple=True)
    return t * len(lengths) + row


def pack_valid_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, F) from (T, B, F)."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if lengths is None else flat.index_select(0, _valid_indices(lengths, x.shape[0]))


def unpack_valid_steps(gradient: Tensor, like: Tensor, lengths: Tensor | None) -> Tensor:
    """(T, B, F), zero at padding, from (N, F)."""
    if lengths is None:
        return gradient.reshape(like.shape)
    flat = gradient.new_zeros(like.shape[0] * like.shape[1], like.shape[2])
    return flat.index_copy_(0, _valid_indices(lengths, like.shape[0]), gradient).reshape(like.shape)
