"""The cells that the tests run over: all that `recurra.cells` exports, found and not named, and some of no package.

Cells that are compiled at first use stand apart, as each takes five seconds to compile: the default tests do not run
them on the native kernel, those marked `slow` do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import Tensor

from covering import cover
from recurra import cells
from recurra.cells import Cell, Gates, PerUnit, Product, State
from recurra.codegen import shares_gradient, trace
from recurra.errors import BackendError
from recurra.kernels import BACKENDS, Request, Weights, choose, product_shapes
from recurra.layers.parameters import state_sizes, weight_shapes
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


@dataclass(frozen=True)
class LowRank(Cell):
    """An Elman network whose recurrent weights are the product of two matrices of a low rank."""

    rank: int = 2

    gates = ("h",)
    state = ("h",)
    recurrence = "none"

    def products(self) -> Mapping[str, Product]:
        return {"down": Product(rows=self.rank), "up": Product(columns=self.rank, bias=0.5)}

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=tanh(x.h + p.up(p.down(s.h))))


def _instances(kind: type[Cell]) -> list[Cell]:
    """Enough of them that each option takes each of its `choices`, or of the `examples` that stand for many values."""
    tried = {field.name: field.metadata.get("choices", field.metadata.get("examples")) for field in fields(kind)}
    named = {name: values for name, values in tried.items() if values}
    count = max(map(len, named.values()), default=1)
    return [kind(**{name: values[k % len(values)] for name, values in named.items()}) for k in range(count)]


def _exported() -> list[Cell]:
    exported = [getattr(cells, name) for name in cells.__all__]
    kinds = [kind for kind in exported if isinstance(kind, type) and issubclass(kind, Cell) and kind is not Cell]
    return [cell for kind in kinds for cell in _instances(kind)]


CELLS: list[Cell] = [*(cell for cell in _exported() if cell.built_in), Peephole(), ThreeParts()]
FIRST_USE: list[Cell] = [cell for cell in _exported() if not cell.built_in and not cell.products()]
# Cells that run on the reference kernel alone.
WITH_PRODUCTS: list[Cell] = [*(cell for cell in _exported() if cell.products()), LowRank()]
# For tests that would compile them.
EVERY_CELL: list[Any] = [*CELLS, *(pytest.param(cell, marks=pytest.mark.slow) for cell in FIRST_USE)]


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


_OF_UNITS_APART = ("scan", "newton", "quasi_newton", "triton", "triton_scan", "triton_newton")
_ROUNDED = ("native_bfloat16", "native_int8")
MIXING = [backend for backend in BACKENDS if backend not in _OF_UNITS_APART + _ROUNDED]
"""The backends that serve every layer of cells whose units mix: those parallel in time, and Triton's, do not; those
whose weights have fewer bits have no gradients."""

SERVED: list[tuple[Cell, str]] = [(cell, backend) for cell in CELLS for backend in serving(cell)]
FIRST_USE_SERVED: list[tuple[Cell, str]] = [
    (cell, backend) for cell in FIRST_USE for backend in serving(cell) if backend != "native"
]


def traits(cell: Cell) -> tuple[Any, ...]:
    """What kernels and layers distinguish in a cell, its equations aside."""
    return (
        len(cell.state),
        cell.recurrence,
        cell.heads,
        cell.layer_norm,
        bool(cell.second_stage_gates),
        bool(cell.per_unit),
        bool(cell.scalars),
        bool(cell.initial),
        cell.output_nonlinearity is not None,
        shares_gradient(trace(cell)),
        cell.elapsed,
        bool(cell.recurrent_only),
        bool(cell.input_only),
    )


def served_traits(served: tuple[Cell, str]) -> tuple[Any, ...]:
    """The traits of a cell on a backend."""
    cell, backend = served
    return backend, *traits(cell)


def kinds(served: list[tuple[Cell, str]]) -> list[tuple[Cell, str]]:
    """Few that have every backend and every trait that some cell has, and the pairs of them that come for nothing."""
    return cover(served, lambda pair: [(pair[1],), traits(pair[0])], strength=1)


# For what does not depend on the equations.
KINDS: list[Cell] = cover(CELLS, lambda cell: [traits(cell)])
KINDS_SERVED: list[tuple[Cell, str]] = kinds(SERVED)


def fitting(cell: Cell, hidden: int) -> int:
    """The least H from `hidden` up that the cell can have: a multiple of its heads."""
    return -(-hidden // cell.heads) * cell.heads


def draw_weights(
    cell: Cell, inputs: int, hidden: int, dtype: torch.dtype = torch.float64, proj_size: int = 0
) -> Weights:
    """Random weights that require gradients, of a layer with biases and at least `hidden` units (see `fitting`)."""
    drawn = {}
    for name, shape in weight_shapes(cell, inputs, fitting(cell, hidden), True, proj_size).items():
        around = 1.0 if name.startswith("norm_") else 0.0
        drawn[name] = (around + 0.6 * torch.randn(*shape, dtype=dtype)).requires_grad_()
    products = [drawn.pop(name).detach().flatten() for name in product_shapes(cell, fitting(cell, hidden))]
    if products:
        drawn["products"] = torch.cat(products).requires_grad_()
    together = [drawn.pop(name).detach().expand(fitting(cell, hidden)) for name in cell.per_unit]
    return Weights(**drawn, per_unit=torch.stack(together).requires_grad_() if together else None)


def per_unit(cell: Cell, weights: Weights) -> dict[str, Tensor]:
    """The per-unit parameters (H,) by name."""
    return dict(zip(cell.per_unit, () if weights.per_unit is None else weights.per_unit, strict=True))


def draw_state(cell: Cell, *shape: int, dtype: torch.dtype = torch.float64, proj_size: int = 0) -> tuple[Tensor, ...]:
    """A random state that requires gradients: (..., H), H as in `draw_weights`, but its output (..., R)
    and parts with a size of their own."""
    *leading, hidden = shape
    sizes = state_sizes(cell, fitting(cell, hidden), proj_size)
    return tuple(torch.randn(*leading, size, dtype=dtype).requires_grad_() for size in sizes)


def flat(weights: Weights) -> list[Tensor]:
    """The tensors of the weights, those that are there."""
    return [tensor for tensor in weights if tensor is not None]


def assemble(weights: Weights, replaced: Iterable[Tensor]) -> Weights:
    """The same weights with other tensors, in the order of `flat`."""
    names = [name for name, tensor in weights._asdict().items() if tensor is not None]
    return weights._replace(**dict(zip(names, replaced, strict=True)))
