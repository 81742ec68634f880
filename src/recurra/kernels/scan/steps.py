"""The equations of a cell at all steps of a sequence at once."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from recurra.cells import Cell
from recurra.codegen import Program, dependence, differentiate_parts, program, run_program, trace
from recurra.kernels.native.cell_keys import key_of, known
from recurra.kernels.projections import NORM_EPSILON, input_projection, without_padding
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
        projections: of the latter, which carried part by which gate. Second-stage gates and those of a normalised
            projection are left out: such units mix, and their derivative is that of a unit by itself, as far as it is
            cheap.
        gates_read: the gates whose recurrent projection the equations read.
        second_stage: see `Cell.second_stage_gates`.
        modulated: what their recurrent weights multiply, or None.
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
    second_stage: tuple[str, ...]
    modulated: Program | None


class Steps(NamedTuple):
    """A sequence in the order in which it is processed; the state stays as it is at padding.

    Attributes:
        equations: of the cell.
        x: by gate, the input projection (T, B, H).
        weights: by gate, the weights by which a unit reads the last output: (H,) if it reads its own alone, else
            (H, K), see `Weights`. Empty if the equations read no recurrent projection.
        norms: by gate, the scale of the normalised recurrent projection (H,); empty without layer normalisation.
        biases: by gate, of the recurrent projection (H,); may be empty.
        per_unit: by name (H,).
        recurrent_mask: see `Masks`.
        zoneout: see `Masks`.
        valid: (T, B, 1) bool, or None if every step is valid.
        fused: whether a Triton kernel solves linear recurrences, see `linear_scan`.
    """

    equations: Equations
    x: dict[str, Tensor]
    weights: dict[str, Tensor]
    norms: dict[str, Tensor]
    biases: dict[str, Tensor]
    per_unit: dict[str, Tensor]
    recurrent_mask: Tensor | None
    zoneout: tuple[Tensor, ...] | None
    valid: Tensor | None
    fused: bool = False

    @property
    def length(self) -> int:
        """T."""
        return next(iter(self.x.values())).shape[0]

    def between(self, start: int, end: int) -> "Steps":
        """The steps from `start` to before `end`."""
        zoneout = Masks(None, self.zoneout).between(start, end).zoneout
        valid = None if self.valid is None else self.valid[start:end]
        return self._replace(x={gate: x[start:end] for gate, x in self.x.items()}, zoneout=zoneout, valid=valid)

    def each(self) -> list["Steps"]:
        """The steps one by one, without gradients that are each as large as all steps."""
        by_step = zip(*[x.split(1) for x in self.x.values()], strict=True)
        return [self.between(t, t + 1)._replace(x=dict(zip(self.x, x, strict=True))) for t, x in enumerate(by_step)]

    def carried_after(self, before: Sequence[Tensor]) -> list[Tensor]:
        """The carried parts after each step (T, B, H), from each part of the state before it; padding aside."""
        carried = self.equations.carried
        after = self._values(self.equations.carried_after, before)
        if self.zoneout is None:
            return after
        return [new + self.zoneout[k] * (before[k] - new) for k, new in zip(carried, after, strict=True)]

    @property
    def mixes(self) -> bool:
        """Whether a unit reads other units."""
        read = any(weight.dim() == 2 for weight in self.weights.values())
        return read or bool(self.norms) or self.equations.modulated is not None

    def others_after(self, before: Sequence[Tensor]) -> list[Tensor]:
        """The other parts (T, B, H), zoneout and padding aside: these keep what no equation reads."""
        return self._values(self.equations.others_after, before)

    def slopes(self, before: Sequence[Tensor]) -> list[list[Tensor]]:
        """The derivative of each carried part after by each carried part before, each (T, B, H); padding aside.

        It is that of a unit by itself: if units mix, all of the derivative between units is left out.
        """
        equations, carried = self.equations, self.equations.carried
        values = self._values(equations.slopes, before)
        count = len(carried)
        rows = [values[i * count : (i + 1) * count] for i in range(count)]
        for (i, gate), slope in zip(equations.projections, values[count * count :], strict=True):
            weight = _own(self.weights[gate])
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
        groups = self.x, self.weights, self.norms, self.biases, self.per_unit
        return [*(tensor for group in groups for tensor in group.values()), *masks, *(self.zoneout or ())]

    def with_tensors(self, tensors: Sequence[Tensor]) -> "Steps":
        """The same steps with other tensors, in the order of `tensors`."""
        rest = iter(tensors)
        x, weights, norms, biases, per_unit = (
            {name: next(rest) for name in group}
            for group in (self.x, self.weights, self.norms, self.biases, self.per_unit)
        )
        mask = None if self.recurrent_mask is None else next(rest)
        zoneout = None if self.zoneout is None else tuple([next(rest) for _ in self.zoneout])
        return Steps(self.equations, x, weights, norms, biases, per_unit, mask, zoneout, self.valid, self.fused)

    def hold(self, values: Tensor, at_padding: float) -> Tensor:
        """Values (T, B, H), with a number at padding."""
        return values if self.valid is None else torch.where(self.valid, values, values.new_full((), at_padding))

    def _values(self, program: Program, before: Sequence[Tensor]) -> list[Tensor]:
        like = next(iter(self.x.values()))
        named = {("x", gate): value for gate, value in self.x.items()}
        named.update({("s", part): value for part, value in zip(self.equations.state, before, strict=True)})
        named.update({("p", name): value for name, value in self.per_unit.items()})
        fed = before[0] if self.recurrent_mask is None else before[0] * self.recurrent_mask
        second_stage = self.equations.second_stage
        named.update({("u", g): self._projection(g, fed) for g in self.equations.gates_read if g not in second_stage})
        if self.equations.modulated is not None:
            (modulated,) = run_program(self.equations.modulated, {**named, ("s", self.equations.state[0]): fed})
            named.update({("u", g): self._projection(g, modulated) for g in second_stage})
        return [value.expand(like.shape) for value in run_program(program, named)]

    def _projection(self, gate: str, read: Tensor) -> Tensor:
        projected = _product(read, self.weights[gate])
        if self.norms:
            projected = layer_norm(projected, projected.shape[-1:], eps=NORM_EPSILON) * self.norms[gate]
        return projected + self.biases[gate] if self.biases else projected


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
    equations = _equations(key_of(cell))
    recurrent_weights, scale, shift = {}, {}, {}
    if weights.weight_hh is not None and equations.gates_read:
        one_each = weights.units_read == 1
        recurrent_weights = _by_gate(cell, weights.weight_hh.squeeze(1) if one_each else weights.weight_hh)
        scale, shift = (
            {} if of_each is None else _by_gate(cell, of_each) for of_each in (weights.norm_hh, weights.bias_hh)
        )
    per_unit = {} if weights.per_unit is None else dict(zip(cell.per_unit, weights.per_unit.unbind(), strict=True))
    x = _by_gate(cell, projected, -1)
    return Steps(equations, x, recurrent_weights, scale, shift, per_unit, recurrent, zoneout, valid)


def _by_gate(cell: Cell, rows: Tensor, dim: int = 0) -> dict[str, Tensor]:
    return dict(zip(cell.gates, rows.chunk(len(cell.gates), dim), strict=True))


def _product(output: Tensor, weight: Tensor) -> Tensor:
    """One gate's recurrent weights, (H,) or (H, K), times the output (..., H)."""
    if weight.dim() == 1:
        return output * weight
    if weight.shape[0] == weight.shape[1]:
        return linear(output, weight)
    heads = weight.unflatten(0, (-1, weight.shape[1]))
    return torch.einsum("...nk,njk->...nj", output.unflatten(-1, heads.shape[:2]), heads).flatten(-2)


def _own(weight: Tensor) -> Tensor:
    """The weight (H,) by which each unit reads itself, of one gate's recurrent weights."""
    if weight.dim() == 1:
        return weight
    return weight.unflatten(0, (-1, weight.shape[1])).diagonal(dim1=1, dim2=2).flatten()


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
        if not (node.is_constant and node.label == 0) and gate not in cell.second_stage_gates and not cell.layer_norm
    ]
    everything = program(traced.results)
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
        cell.second_stage_gates,
        None if traced.modulated is None else program([traced.modulated]),
    )
