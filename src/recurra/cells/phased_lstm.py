"""The LSTM whose units are updated in phases of their own."""

from dataclasses import dataclass, field

import torch

from recurra.cells.cell import Cell, Gates, PerUnit, State
from recurra.ops import exp, floor, sigmoid, tanh, where
from recurra.shapes import check_positive_number, check_probability

__all__ = ["PhasedLSTM"]


@dataclass(frozen=True)
class PhasedLSTM(Cell):
    """Phased LSTM (Neil et al. 2016): a unit is updated in the open part of its period, and otherwise keeps its state.

    t = t_{t-1} + e exp(-log_period) mod 1      the time, in periods of a unit; e is that since the last step
    phase = t - shift mod 1
    k = 2 phase / ratio                         while phase < ratio / 2: it opens;
    k = 2 - 2 phase / ratio                     while phase < ratio: it closes;
    k = leak phase                              the rest of the period
    i = sigmoid(x_i + u_i + w_i c_{t-1})        x_* = W_i* x_t + b_i*      (input projection)
    f = sigmoid(x_f + u_f + w_f c_{t-1})        u_* = W_h* h_{t-1} + b_h*  (recurrent projection)
    g = tanh(x_g + u_g)                         w_*                        (peepholes, one a unit)
    c* = f c_{t-1} + i g
    o = sigmoid(x_o + u_o + w_o c*)
    c = k c* + (1 - k) c_{t-1}
    h = k o tanh(c*) + (1 - k) h_{t-1}

    The state has the time modulo the period, so that a stream may last; without zoneout of this part it begins at 0.
    Periods are learned by their logarithms, which start uniform in 1 to 5 as in the authors' code, and shifts in
    periods, which start uniform in 0 to 1. Without times every e is 1, and the time is the number of steps so far.

    Args:
        ratio: of the open part to the period, above 0 and at most 1.
        leak: how far a unit is open at the end of its closed part, 0 to 1.

    Raises:
        ParameterError: for a ratio or leak out of its range.
    """

    ratio: float = field(default=0.05, metadata={"examples": (0.5,)})
    leak: float = 0.001

    gates = ("elapsed", "i", "f", "g", "o")
    state = ("h", "c", "t")
    per_unit = ("peephole_i", "peephole_f", "peephole_o", "log_period", "shift")
    initial = {  # noqa: RUF012
        "log_period": lambda draws: 1 + 4 * draws,
        "shift": torch.clone,
    }
    keeps = {"f": 1}  # noqa: RUF012
    admits = ("i",)
    elapsed = "same"
    built_in = False

    def __post_init__(self) -> None:
        check_positive_number("ratio", self.ratio, at_most=1)
        check_probability("leak", self.leak)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        t = s.t + x.elapsed * exp(-p.log_period)
        t = t - floor(t)
        phase = t - p.shift
        phase = phase - floor(phase)
        opening = phase * (2 / self.ratio)
        k = where(phase < self.ratio / 2, opening, where(phase < self.ratio, 2 - opening, self.leak * phase))
        i = sigmoid(x.i + u.i + p.peephole_i * s.c)
        f = sigmoid(x.f + u.f + p.peephole_f * s.c)
        c = f * s.c + i * tanh(x.g + u.g)
        o = sigmoid(x.o + u.o + p.peephole_o * c)
        return State(h=s.h + k * (o * tanh(c) - s.h), c=s.c + k * (c - s.c), t=t)
