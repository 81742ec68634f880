"""Targets that do not count: an integer of -100, or a NaN, as torch's losses have it."""

import torch
from torch import Tensor

__all__ = ["IGNORED", "ignored_value", "is_ignored"]

IGNORED = -100


def is_ignored(target: Tensor) -> Tensor:
    """Which elements of a target do not count: bool, of its shape."""
    if target.is_floating_point():
        return target.isnan()
    if not target.dtype.is_signed:
        # Compared as they are, -100 would become what it is modulo 256.
        return torch.zeros_like(target, dtype=torch.bool)
    return target == IGNORED


def ignored_value(dtype: torch.dtype) -> float:
    """What marks a target of this dtype as one that does not count."""
    return float("nan") if dtype.is_floating_point else IGNORED
