"""Targets that the loss ignores: the integer -100 (torch's `ignore_index`), or NaN."""

import torch
from torch import Tensor

__all__ = ["IGNORED", "ignored_value", "is_ignored"]

IGNORED = -100


def is_ignored(target: Tensor) -> Tensor:
    """Which elements of a target are ignored: bool, of the target's shape."""
    if target.is_floating_point():
        return target.isnan()
    if not target.dtype.is_signed:
        # In the comparison -100 would wrap around, in uint8 to 156, which is a valid target.
        return torch.zeros_like(target, dtype=torch.bool)
    return target == IGNORED


def ignored_value(dtype: torch.dtype) -> float:
    """The value that marks an ignored target of this dtype."""
    return float("nan") if dtype.is_floating_point else IGNORED
