"""What a kernel is given to run one layer in one direction."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

__all__ = ["Masks", "Weights"]


class Weights(NamedTuple):
    """The weights of one layer in one direction, in torch's layout.

    R is the size of the output, `proj_size` or H. K is what a unit reads of it: R, or H / N where the recurrence is
    block-diagonal with N heads (unit j of head n then reads units n K to (n + 1) K), or 1 where it is diagonal.

    Attributes:
        weight_ih: (G * H, I).
        weight_hh: (G * H, K), or None without a recurrence.
        bias_ih: (G * H,), or None.
        bias_hh: (G * H,), or None.
        weight_hr: (R, H), the projection of the output, or None.
        bias_hr: (R,), or None.
        norm_ih: (G * H,), the scale of the normalised input projection, or None without layer normalisation.
        norm_hh: (G * H,), the scale of the normalised recurrent projection, or None.
        per_unit: (P, H), the cell's per-unit parameters in the order of `Cell.per_unit`, or None if it has none.
    """

    weight_ih: Tensor
    weight_hh: Tensor | None = None
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    bias_hr: Tensor | None = None
    norm_ih: Tensor | None = None
    norm_hh: Tensor | None = None
    per_unit: Tensor | None = None


@dataclass(frozen=True)
class Masks:
    """Random masks of one layer in one direction, drawn outside the kernels so that all share them.

    Attributes:
        recurrent: (B, R), what multiplies the output before the recurrent weights read it, the same at every step
            (Gal and Ghahramani 2016), or None.
        zone: by part of the state, (T, B, H), or (1, 1, H) for the same at all steps: the share of the part that stays
            as it was (zoneout, Krueger et al. 2017), or None.
    """

    recurrent: Tensor | None = None
    zone: tuple[Tensor, ...] | None = None

    def between(self, start: int, end: int) -> "Masks":
        """The masks of the steps from `start` to before `end`."""
        if self.zone is None:
            return self
        return Masks(self.recurrent, tuple(zone[start:end] if zone.shape[0] > 1 else zone for zone in self.zone))
