"""The Legendre memory unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from recurra.cells.cell import Cell, Gates, PerUnit, Product, State
from recurra.ops import tanh
from recurra.shapes import check_positive, check_positive_number

__all__ = ["LMU"]


@dataclass(frozen=True)
class LMU(Cell):
    """Legendre memory unit (Voelker et al. 2019): a linear memory of the last `theta` steps of one signal.

    r = x_r + u_r + e m_{t-1}           x_* = W_i* x_t + b_i*      (input projection; one number for r)
    m = A m_{t-1} + B r                 u_* = W_h* h_{t-1} + b_h*  (recurrent projection; one number for r)
    h = tanh(x_h + u_h + W m)           m has `order` numbers; e starts at 0

    A and B are not learned. They hold the coefficients of Legendre polynomials that approximate r over the last `theta`
    steps: those of the paper's differential equation for the delay of a signal, where r is constant within a step.
    r of theta steps ago is about the sum of m. The paper's r has no bias.

    Args:
        order: numbers of the memory, at least 1; more follow faster changes within the window.
        theta: steps that the memory looks back, positive.

    Raises:
        ParameterError: for an order that is not a positive integer, or a theta that is not a positive number.
    """

    order: int = field(default=32, metadata={"examples": (6,)})
    theta: float = field(default=64.0, metadata={"examples": (9.0,)})

    gates = ("r", "h")
    state = ("h", "m")
    built_in = False

    def __post_init__(self) -> None:
        check_positive("order", self.order)
        check_positive_number("theta", self.theta)

    def widths(self) -> Mapping[str, int]:
        return {"r": 1, "m": self.order}

    def products(self) -> Mapping[str, Product]:
        transition, entry = _delay(self.order, self.theta)
        return {
            "A": Product(self.order, self.order, fixed=transition),
            "B": Product(self.order, 1, fixed=entry),
            "e": Product(1, self.order, weight=0.0),
            "m": Product(columns=self.order),
        }

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        m = p.A(s.m) + p.B(x.r + u.r + p.e(s.m))
        return State(h=tanh(x.h + u.h + p.m(m)), m=m)


@cache
def _delay(order: int, theta: float) -> tuple[Tensor, Tensor]:
    """A (order, order) and B (order, 1) of one step, exactly for an input that is constant within it."""
    i = torch.arange(order, dtype=torch.float64).unsqueeze(1)
    j = i.T
    signs = torch.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    derivative = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    derivative[:order] = torch.cat([signs, (-1.0) ** i], 1) * (2 * i + 1) / theta
    step = torch.linalg.matrix_exp(derivative)
    return step[:order, :order].contiguous(), step[:order, order:].contiguous()
