"""The LSTM with ordered neurons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from recurra.cells.cell import Cell, Gates, PerUnit, Product, State
from recurra.ops import exp, minimum, sigmoid, tanh
from recurra.shapes import check_positive

__all__ = ["ONLSTM"]

_LARGEST = 80.0  # its exponential is a float32


@dataclass(frozen=True)
class ONLSTM(Cell):
    """LSTM with ordered neurons (Shen et al. 2019): units of higher levels keep their memory longer.

    mf = cumax(x_mf + u_mf)                x_* = W_i* x_t + b_i*      (input projection; `levels` numbers for mf, mi)
    mi = 1 - cumax(x_mi + u_mi)            u_* = W_h* h_{t-1} + b_h*  (recurrent projection; the same)
    i, f, g, o as those of the LSTM
    w = mf mi
    c = (f w + mf - w) c_{t-1} + (i w + mi - w) g
    h = o tanh(c)

    cumax is the cumulative sum of the softmax over levels, and each unit takes the value of its level: the first units
    are of the first level, the last of the last. So mf grows from unit to unit, to 1 at the last level, and mi falls,
    to 0 there. The paper calls mf and mi the master forget and input gate, and the units of a level a chunk.

    Args:
        levels: of units, at least 1; with more than H, some have no unit.

    Raises:
        ParameterError: for levels that are not a positive integer.
    """

    levels: int = field(default=16, metadata={"examples": (3,)})

    gates = ("i", "f", "g", "o", "mf", "mi")
    state = ("h", "c")
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    built_in = False

    def __post_init__(self) -> None:
        check_positive("levels", self.levels)

    def widths(self) -> Mapping[str, int]:
        return {"mf": self.levels, "mi": self.levels}

    def products(self) -> Mapping[str, Product]:
        ones = torch.ones(1, self.levels, dtype=torch.float64)
        return {
            "mean": Product(1, self.levels, fixed=ones / self.levels),
            "all": Product(1, self.levels, fixed=ones),
            "up_to_own": Product(columns=self.levels, fixed=partial(_up_to_own, self.levels)),
        }

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        def cumax(scores: Any) -> Any:
            # One exponent at least is not negative, so the sum is not 0.
            exponentials = exp(minimum(scores - p.mean(scores), _LARGEST))
            return p.up_to_own(exponentials) / p.all(exponentials)

        i, f, o = sigmoid(x.i + u.i), sigmoid(x.f + u.f), sigmoid(x.o + u.o)
        g = tanh(x.g + u.g)
        mf, mi = cumax(x.mf + u.mf), 1 - cumax(x.mi + u.mi)
        w = mf * mi
        c = (f * w + mf - w) * s.c + (i * w + mi - w) * g
        return State(h=o * tanh(c), c=c)


@cache
def _up_to_own(levels: int, hidden_size: int) -> Tensor:
    """(hidden_size, levels), 1 for the level of a unit and all below it."""
    own = (torch.arange(1, hidden_size + 1) * levels - 1) // hidden_size
    return (torch.arange(levels) <= own.unsqueeze(1)).double()
