"""Cells whose units do not mix, of no package: what kernels that are parallel in time distinguish."""

from dataclasses import dataclass

from recurra import cells
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.ops import sigmoid, tanh, where


@dataclass(frozen=True)
class DiagonalLSTM(cells.LSTM):
    """Its parts h and c depend on each other."""

    recurrence = "diagonal"


@dataclass(frozen=True)
class DiagonalGRU(cells.GRU):
    """One part that depends on itself."""

    recurrence = "diagonal"


@dataclass(frozen=True)
class AffineBlocks(Cell):
    """Affine, with two parts that depend on each other."""

    gates = ("a", "b")
    state = ("h", "c")
    per_unit = ("decay",)
    recurrence = "diagonal"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        c = where(x.a > 0, sigmoid(p.decay) * s.c, -s.c / (1 + x.b * x.b)) + x.b - 0.25 * s.h
        return State(h=0.5 * c * tanh(x.a) + 0.5 * u.b, c=c)


@dataclass(frozen=True)
class TwoAverages(Cell):
    """Two affine parts that do not depend on each other, and a result that no step reads."""

    gates = ("a", "b")
    state = ("h", "slow", "fast")
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        slow, fast = s.slow + 0.1 * (x.a - s.slow), s.fast + sigmoid(x.b) * (x.a - s.fast)
        return State(h=tanh(slow - s.fast), slow=slow, fast=fast)


@dataclass(frozen=True)
class WithoutMemory(Cell):
    """No part depends on the state before."""

    gates = ("a",)
    state = ("h", "one")
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=tanh(x.a), one=1.0)


@dataclass(frozen=True)
class LogisticMap(Cell):
    """Chaos from a state between 0 and 1: neighbouring states part, by half a power of e at each step."""

    gates = ("a",)
    state = ("h",)
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=3.9 * s.h * (1 - s.h) + 0 * x.a)
