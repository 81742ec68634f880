"""The cells that the tests run over: all that `recurra.cells` exports, found and not named, and two of no package."""

import dataclasses
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from recurra import cells
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.errors import BackendError
from recurra.kernels import BACKENDS, Request, Weights, choose
from recurra.ops import absolute, sigmoid, tanh, where


@dataclass(frozen=True)
class Peephole(Cell):
    """LSTM whose gates see the memory (Gers and Schmidhuber 2000): a cell with per-unit parameters."""

    gates = ("i", "f", "g", "o")
    state = ("h", "c")
    per_unit = ("peep_i", "peep_f", "peep_o")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        i = sigmoid(x.i + u.i + p.peep_i * s.c)
        f = sigmoid(x.f + u.f + p.peep_f * s.c)
        c = f * s.c + i * tanh(x.g + u.g)
        o = sigmoid(x.o + u.o + p.peep_o * c)
        return State(h=o * tanh(c), c=c)


@dataclass(frozen=True)
class ThreeParts(Cell):
    """A cell of no paper: three parts of state, a branch, and an update that reads its last output."""

    gates = ("a", "b")
    state = ("h", "mean", "last")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        mean = 0.75 * s.mean + 0.25 * (x.a - u.b)
        h = where(absolute(mean) > 0.125, tanh(mean + x.b * u.a), 0.5 * s.h + s.last)
        return State(h=h, mean=mean, last=s.h)


def _instances(kind: type[Cell]) -> list[Cell]:
    """One of each combination of the options whose choices the class names."""
    choices = {field.name: field.metadata.get("choices") for field in dataclasses.fields(kind)}
    named = {name: values for name, values in choices.items() if values}
    return [kind(**dict(zip(named, values, strict=True))) for values in product(*named.values())]


def _exported() -> list[Cell]:
    exported = [getattr(cells, name) for name in cells.__all__]
    kinds = [kind for kind in exported if isinstance(kind, type) and issubclass(kind, Cell) and kind is not Cell]
    return [cell for kind in kinds for cell in _instances(kind)]


CELLS: list[Cell] = [*_exported(), Peephole(), ThreeParts()]


def serving(cell: Cell) -> list[str]:
    """The backends that serve a cell, "auto" aside."""
    found = []
    for backend in BACKENDS:
        try:
            choose(backend, Request(cell, "cpu", "torch.float64"))
        except BackendError:
            continue
        found.append(backend)
    return [backend for backend in found if backend != "auto"]


SERVED: list[tuple[Cell, str]] = [(cell, backend) for cell in CELLS for backend in serving(cell)]


def draw_weights(cell: Cell, inputs: int, hidden: int, dtype: torch.dtype = torch.float64) -> Weights:
    """Random weights that require gradients."""

    def draw(*shape: int) -> Tensor:
        return (0.6 * torch.randn(*shape, dtype=dtype)).requires_grad_()

    rows = len(cell.gates) * hidden
    return Weights(
        draw(rows, inputs),
        draw(rows, hidden),
        draw(rows),
        draw(rows),
        per_unit={name: draw(hidden) for name in cell.per_unit},
    )


def draw_state(cell: Cell, *shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """A random state that requires gradients."""
    return tuple(torch.randn(*shape, dtype=dtype).requires_grad_() for _ in cell.state)


def flat(weights: Weights) -> list[Tensor]:
    """The tensors of the weights, those that are there."""
    named = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh, weights.weight_hr]
    return [tensor for tensor in [*named, *weights.per_unit.values()] if tensor is not None]
