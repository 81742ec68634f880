"""The weights and masks with which a kernel runs one layer in one direction."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

__all__ = ["Masks", "Weights"]


class Weights(NamedTuple):
    """The weights of one layer in one direction, in torch's layout.

    R is the size of the output, `proj_size` or H. K is the number of units of it that a unit reads: R, or H / N if the
    recurrence is block-diagonal with N heads (unit j of head n reads units n K to (n + 1) K), or 1 if it is diagonal.

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
        products: (N,), the parameters of the cell's products, packed as `product_shapes` says. None: it has none.

    Gates with a size of their own (`Cell.widths`) have that many rows in place of H.
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
    products: Tensor | None = None

    @property
    def units_read(self) -> int:
        """K: how many units of the last output a unit reads; 0 without a recurrence."""
        return 0 if self.weight_hh is None else self.weight_hh.shape[1]


@dataclass(frozen=True)
class Masks:
    """Random masks of one layer in one direction, sampled outside the kernels: all kernels use the same.

    Attributes:
        recurrent: (B, R), what multiplies the output before the recurrent weights read it, the same at every step
            (Gal and Ghahramani 2016), or None.
        zoneout: by part of the state, (T, B, H), or (1, 1, H) for the same at all steps: the fraction of the old value
            that is kept (zoneout, Krueger et al. 2017), or None.
    """

    recurrent: Tensor | None = None
    zoneout: tuple[Tensor, ...] | None = None

    def between(self, start: int, end: int) -> "Masks":
        """The masks of the steps from `start` to before `end`."""
        if self.zoneout is None:
            return self
        return Masks(self.recurrent, tuple(mask[start:end] if mask.shape[0] > 1 else mask for mask in self.zoneout))
