"""What a kernel is given to run one layer in one direction."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["Weights"]


@dataclass(frozen=True)
class Weights:
    """The weights of one layer in one direction, in torch's layout.

    R is the size of the output, `proj_size` or H.

    Attributes:
        weight_ih: (G * H, I).
        weight_hh: (G * H, R).
        bias_ih: (G * H,), or None.
        bias_hh: (G * H,), or None.
        weight_hr: (R, H), the projection of the output, or None.
        per_unit: the cell's per-unit parameters by name, each (H,).
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    per_unit: Mapping[str, Tensor] = field(default_factory=dict)
