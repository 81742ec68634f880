"""The operators' signatures, and the lists of tensors that they take."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.kernels.native.forward import Saved

__all__ = ["BACKWARD", "FORWARD", "LIBRARY", "listed", "spread"]

LIBRARY = torch.library.Library("recurra", "DEF")
LIBRARY.define(
    "recurrence(str cell, Tensor[] tensors, bool[] present, Tensor? lengths, bool reverse, bool training)"
    " -> (Tensor, Tensor[], Tensor[])",
    tags=torch.Tag.pt2_compliant_tag,
)
LIBRARY.define(
    "recurrence_backward(str cell, Tensor[] tensors, bool[] present, Tensor output, Tensor[] saved, Tensor? lengths,"
    " bool reverse, Tensor[] cotangents, bool[] has_cotangent, bool[] needed, int vmap_size) -> Tensor[]",
    tags=torch.Tag.pt2_compliant_tag,
)
FORWARD = torch.ops.recurra.recurrence.default
BACKWARD = torch.ops.recurra.recurrence_backward.default


def spread(tensors: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """The tensors in order, with None for each that is not present."""
    rest = iter(tensors)
    return [next(rest) if there else None for there in present]


def listed(saved: Saved) -> list[Tensor]:
    return [*saved.others.values(), *(() if saved.projected is None else (saved.projected,))]
