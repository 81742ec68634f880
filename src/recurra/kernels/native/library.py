"""The operators' signatures, and the lists of tensors that they take."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.kernels.native.forward import Kept

__all__ = ["BACKWARD", "FORWARD", "LIBRARY", "listed", "spread"]

LIBRARY = torch.library.Library("recurra", "DEF")
LIBRARY.define(
    "recurrence(str cell, Tensor[] tensors, bool[] present, Tensor? lengths, bool reverse, bool training)"
    " -> (Tensor, Tensor[], Tensor[])",
    tags=torch.Tag.pt2_compliant_tag,
)
LIBRARY.define(
    "recurrence_backward(str cell, Tensor[] tensors, bool[] present, Tensor output, Tensor[] kept, Tensor? lengths,"
    " bool reverse, Tensor[] cotangents, bool[] given, bool[] needed, int members) -> Tensor[]",
    tags=torch.Tag.pt2_compliant_tag,
)
FORWARD = torch.ops.recurra.recurrence.default
BACKWARD = torch.ops.recurra.recurrence_backward.default


def spread(tensors: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """A None for each that is not there."""
    rest = iter(tensors)
    return [next(rest) if there else None for there in present]


def listed(kept: Kept) -> list[Tensor]:
    return [*kept.others.values(), *(() if kept.projected is None else (kept.projected,))]
