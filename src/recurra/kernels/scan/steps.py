"""The equations of a cell whose units do not mix, at all steps of a sequence at once."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.codegen import Program, dependence, differentiate_parts, program, run_program, trace
from recurra.kernels.native.cell_keys import key_of, known
from recurra.kernels.projections import input_projection, without_padding
from recurra.kernels.torch_state import constant
from recurra.kernels.weights import Masks, Weights

__all__ = ["Equations", "Steps", "steps_of"]


class Equations(NamedTuple):
    """What is computed of a cell.

    Attributes:
        state: the names of the parts of the state.
        carried: the parts that a step reads, by position.
        others: the rest.
        blocks: whether the carried parts of a unit depend on each other.
        carried_after: the carried parts after a step.
        others_after: the others.
        slopes: the derivative of each carried part after by each carried part before, the recurrent projection aside,
            row by row; then those by the recurrent projection that are not 0.
        projections: of the latter, which carried part by which gate.
        gates_read: the gates whose recurrent projection the equations read.
    """

    state: tuple[str, ...]
    carried: tuple[int, ...]
    others: tuple[int, ...]
    blocks: bool
    carried_after: Program
    others_after: Program
    slopes: Program
    projections: tuple[tuple[int, str], ...]
    gates_read: tuple[str, ...]


class Steps(NamedTuple):
    """A sequence in the order in which it is processed; the state stays as it is at padding.

    Attributes:
        equations: of the cell.
        x: by gate, the input projection (T, B, H).
        weights: by gate, the weight by which a unit reads its own last output (H,); empty without a recurrence.
        biases: by gate, of the recurrent projection (H,); may be empty.
        per_unit: by name (H,).
        recurrent_mask: see `Masks`.
        zoneout: see `Masks`.
        valid: (T, B, 1) bool, or None if every step is valid.
    """

    equations: Equations
    x: dict[str, Tensor]
    weights: dict[str, Tensor]
    biases: dict[str, Tensor]
    per_unit: dict[str, Tensor]
    recurrent_mask: Tensor | None
    zoneout: tuple[Tensor, ...] | None
    valid: Tensor | None

    @property
    def length(self) -> int:
        """T."""
        return next(iter(self.x.values())).shape[0]

    def between(self, start: int, end: int) -> "Steps":
        """The steps from `start` to before `end`."""
        zoneout = Masks(None, self.zoneout).between(start, end).zoneout
        valid = None if self.valid is None else self.valid[start:end]
        return self._replace(x={gate: x[start:end] for gate, x in self.x.items()}, zoneout=zoneout, valid=valid)

    def carried_after(self, before: Sequence[Tensor]) -> list[Tensor]:
        """The carried parts after each step (T, B, H), from each part of the state before it; padding aside."""
        carried = self.equations.carried
        after = self._values(self.equations.carried_after, before)
        if self.zoneout is None:
            return after
        return [new + self.zoneout[k] * (before[k] - new) for k, new in zip(carried, after, strict=True)]

    def others_after(self, before: Sequence[Tensor]) -> list[Tensor]:
        """The other parts (T, B, H), zoneout and padding aside: these keep what no equation reads."""
        return self._values(self.equations.others_after, before)

    def slopes(self, before: Sequence[Tensor]) -> list[list[Tensor]]:
        """The derivative of each carried part after by each carried part before, each (T, B, H); padding aside."""
        equations, carried = self.equations, self.equations.carried
        values = self._values(equations.slopes, before)
        count = len(carried)
        rows = [values[i * count : (i + 1) * count] for i in range(count)]
        for (i, gate), slope in zip(equations.projections, values[count * count :], strict=True):
            weight = self.weights[gate]
            weight = weight if self.recurrent_mask is None else weight * self.recurrent_mask
            # The recurrent weights read the output, the first part.
            rows[i][0] = rows[i][0] + slope * weight
        if self.zoneout is None:
            return rows
        zoneout = [self.zoneout[k] for k in carried]
        return [
            [(1 - zoneout[i]) * slope + (zoneout[i] if i == j else 0) for j, slope in enumerate(row)]
            for i, row in enumerate(rows)
        ]

    def tensors(self) -> list[Tensor]:
        """All that the equations read besides the state."""
        masks = [] if self.recurrent_mask is None else [self.recurrent_mask]
        groups = self.x, self.weights, self.biases, self.per_unit
        return [*(tensor for group in groups for tensor in group.values()), *masks, *(self.zoneout or ())]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "Steps":
        """The same steps with other tensors, in the order of `tensors`."""
        rest = iter(tensors)
        x, weights, biases, per_unit = (
            {name: next(rest) for name in group} for group in (self.x, self.weights, self.biases, self.per_unit)
        )
        mask = None if self.recurrent_mask is None else next(rest)
        zoneout = None if self.zoneout is None else tuple([next(rest) for _ in self.zoneout])
        return Steps(self.equations, x, weights, biases, per_unit, mask, zoneout, self.valid)

    def hold(self, values: Tensor, at_padding: float) -> Tensor:
        """Values (T, B, H), with a number at padding."""
        return values if self.valid is None else torch.where(self.valid, values, values.new_full((), at_padding))

    def _values(self, program: Program, before: Sequence[Tensor]) -> list[Tensor]:
        like = next(iter(self.x.values()))
        named = {("x", gate): value for gate, value in self.x.items()}
        named.update({("s", part): value for part, value in zip(self.equations.state, before, strict=True)})
        named.update({("p", name): value for name, value in self.per_unit.items()})
        fed = before[0] if self.recurrent_mask is None else before[0] * self.recurrent_mask
        for gate in self.equations.gates_read:
            projected = fed * self.weights[gate]
            named["u", gate] = projected + self.biases[gate] if self.biases else projected
        return [value.expand(like.shape) for value in run_program(program, named)]


def steps_of(
    cell: Cell, inputs: Tensor, weights: Weights, lengths: Tensor | None, reverse: bool, masks: Masks | None
) -> Steps:
    """The steps of a sequence; arguments as in `recurra.kernels.reference.run`."""
    projected = input_projection(cell, without_padding(inputs, lengths), weights)
    recurrent, zoneout = (None, None) if masks is None else (masks.recurrent, masks.zoneout)
    valid = None
    if lengths is not None:
        valid = (torch.arange(inputs.shape[0]).unsqueeze(1) < lengths).to(inputs.device).unsqueeze(2)
    if reverse:
        projected = projected.flip(0)
        valid = None if valid is None else valid.flip(0)
        zoneout = None if zoneout is None else tuple([mask.flip(0) for mask in zoneout])
    own, shift = {}, {}
    if weights.weight_hh is not None and weights.units_read == 1:
        own = _by_gate(cell, weights.weight_hh.squeeze(1))
        shift = {} if weights.bias_hh is None else _by_gate(cell, weights.bias_hh)
    per_unit = {} if weights.per_unit is None else dict(zip(cell.per_unit, weights.per_unit.unbind(), strict=True))
    return Steps(_equations(key_of(cell)), _by_gate(cell, projected), own, shift, per_unit, recurrent, zoneout, valid)


def _by_gate(cell: Cell, projection: Tensor) -> dict[str, Tensor]:
    return dict(zip(cell.gates, projection.chunk(len(cell.gates), -1), strict=True))


@constant
def _equations(key: str) -> Equations:
    """The equations of a cell by its key, in a form that torch.compile can call."""
    return _equations_of(known(key))


@cache
def _equations_of(cell: Cell) -> Equations:
    traced, derived, rows = trace(cell), dependence(cell), differentiate_parts(trace(cell))
    carried = derived.carried
    others = tuple(k for k in range(len(cell.state)) if k not in carried)
    through = [
        (i, gate, node)
        for i, k in enumerate(carried)
        for gate, node in zip(cell.gates, rows[k].u, strict=True)
        if not (node.is_constant and node.label == 0)
    ]
    everything = program(traced.after)
    return Equations(
        cell.state,
        carried,
        others,
        derived.within_unit == "blocks",
        program(traced.after[k] for k in carried),
        program(traced.after[k] for k in others),
        program([*(rows[i].s[j] for i in carried for j in carried), *(node for _, _, node in through)]),
        tuple((i, gate) for i, gate, _ in through),
        tuple(label[1] for op, _, label in everything.nodes if op == "input" and label[0] == "u"),
    )
