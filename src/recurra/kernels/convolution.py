"""Any cell over sequences of maps: its projections are convolutions, its update is the same, position by position."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen import shares_gradient, trace
from recurra.errors import CellError
from recurra.kernels.empty import run_empty
from recurra.kernels.projections import NONLINEARITIES
from recurra.kernels.weights import Weights

__all__ = ["run"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    recurrent: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over sequences of maps.

    A step is computed for the sequences that have it, and for no others.

    Args:
        cell: the equations; with a dense recurrence or none, and without layer normalisation.
        inputs: (T, B, I, Y, X), Y rows and X columns.
        state: the initial state by part; the first (B, R, Y, X), the others (B, H, Y, X).
        weights: of the layer in this direction. Matrices are convolutions, odd in size: `weight_ih` (G * H, I, M, N),
            `weight_hh` (G * H, R, M, N), `weight_hr` (R, H, 1, 1).
        lengths: (B,) int64 on the CPU, 0 to T. If None, all are T.
        reverse: from each sequence's last step to its first.
        recurrent: (B, R, 1, 1), what multiplies the output before the recurrent weights read it, or None.

    Returns:
        The outputs (T, B, R, Y, X), zero at padding, and the final state by part.
    """
    steps, batch = inputs.shape[:2]
    if not batch or not inputs.numel() or not (steps if lengths is None else int(lengths.max())):
        return run_empty(inputs, state, weights)
    if lengths is None:
        outputs, final = _steps(cell, inputs.flatten(0, 1), [batch] * steps, state, weights, reverse, recurrent)
        return torch.stack(outputs), final
    order = lengths.argsort(descending=True, stable=True)
    back = order.argsort().to(inputs.device)
    sizes = [size for size in (lengths > torch.arange(steps).unsqueeze(1)).sum(1).tolist() if size]
    # Row t * B + b of each valid step, in the order of steps, and within a step from the longest sequence on.
    rows = torch.cat([t * batch + order[:size] for t, size in enumerate(sizes)]).to(inputs.device)
    order = order.to(inputs.device)
    state = tuple(part.index_select(0, order) for part in state)
    recurrent = None if recurrent is None else recurrent.index_select(0, order)
    packed = inputs.flatten(0, 1).index_select(0, rows)
    outputs, final = _steps(cell, packed, sizes, state, weights, reverse, recurrent)
    valid = torch.cat(outputs)
    output = valid.new_zeros(steps * batch, *valid.shape[1:]).index_copy(0, rows, valid)
    return output.unflatten(0, (steps, batch)), tuple(part.index_select(0, back) for part in final)


def _steps(
    cell: Cell,
    packed: Tensor,
    sizes: list[int],
    state: tuple[Tensor, ...],
    weights: Weights,
    reverse: bool,
    recurrent: Tensor | None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The outputs of each step, and the final state, of sequences in falling order of length.

    Args:
        cell: the equations.
        packed: (sum of sizes, I, Y, X), the steps one after the other.
        sizes: how many sequences have each step, at least one, never rising.
        state: as in `run`, in that order of sequences.
        weights: as in `run`.
        reverse: as in `run`.
        recurrent: as in `run`, in that order of sequences.
    """
    gates = (_of_sum if _reads_sum(cell) else _of_both)(cell, packed, sizes, weights)
    per_unit = () if weights.per_unit is None else weights.per_unit.unsqueeze(2).unsqueeze(3)
    parameters = PerUnit(**dict(zip(cell.per_unit, per_unit, strict=True)))

    def step(t: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        fed = state[0] if recurrent is None else state[0] * recurrent[: sizes[t]]
        before = State(**dict(zip(cell.state, state, strict=True)))
        x, u = gates(t, fed, before, parameters)
        after = cell.update(x, u, before, parameters)
        # A number stands for a state of that number, as in compiled equations.
        parts = (getattr(after, part) for part in cell.state)
        width = next(iter((vars(u) or vars(x)).values()))
        output, *others = (part if isinstance(part, Tensor) else torch.full_like(width, part) for part in parts)
        if weights.weight_hr is not None:
            projected = _convolution(output, weights.weight_hr, weights.bias_hr)
            output = NONLINEARITIES[cell.output_nonlinearity or "identity"](projected)
        return output, *others

    outputs: list[Tensor] = []
    if reverse:
        current = tuple(part[: sizes[-1]] for part in state)
        for t in reversed(range(len(sizes))):
            have = current[0].shape[0]
            if sizes[t] > have:  # sequences that end here, where this direction enters them
                entering = (part[have : sizes[t]] for part in state)
                current = tuple(torch.cat(pair) for pair in zip(current, entering, strict=True))
            current = step(t, current)
            outputs.append(current[0])
        outputs.reverse()
        return outputs, tuple(torch.cat([a, b[sizes[0] :]]) for a, b in zip(current, state, strict=True))
    current = state
    ended: list[tuple[Tensor, ...]] = []
    for t, (before, size) in enumerate(pairwise([state[0].shape[0], *sizes])):
        if size < before:
            ended.append(tuple(part[size:] for part in current))
            current = tuple(part[:size] for part in current)
        current = step(t, current)
        outputs.append(current[0])
    if not ended:
        return outputs, current
    return outputs, tuple(torch.cat(part) for part in zip(*[current, *reversed(ended)], strict=True))


_FEW = 3  # channels of pictures, for which mkldnn has kernels of its own; it works in blocks of 8 or 16 channels else

_Step = Callable[[int, Tensor, State, PerUnit], tuple[Gates, Gates]]
"""From a step, what the recurrent weights read, the state and the per-unit parameters to both projections by gate."""


class _Nothing:
    """An input projection that is in the recurrent projection already: a sum with it is the other summand."""

    def __add__(self, other: Tensor) -> Tensor:
        return other

    __radd__ = __add__


@cache
def _reads_sum(cell: Cell) -> bool:
    """Whether the equations read both projections of every gate as their sum alone."""
    if cell.recurrence != "dense" or cell.recurrent_only or cell.input_only:
        return False
    try:
        equations = trace(cell)
    except CellError:
        return False
    return shares_gradient(equations)


def _of_sum(cell: Cell, packed: Tensor, sizes: list[int], weights: Weights) -> _Step:
    """For equations that read sums: one convolution a step, of input and last output together, and no sum to compute.

    Few channels of input are convolved by themselves.
    """
    steps, nothing = packed.split(sizes), Gates(**dict.fromkeys(cell.gates, _Nothing()))
    weight_ih, weight_hh = weights.weight_ih, weights.weight_hh
    assert weight_hh is not None
    bias = None if weights.bias_ih is None or weights.bias_hh is None else weights.bias_ih + weights.bias_hh
    joined = None if packed.shape[1] <= _FEW else torch.cat([weight_ih, weight_hh], 1)

    def gates(t: int, fed: Tensor, before: State, parameters: PerUnit) -> tuple[Gates, Gates]:
        if joined is None:
            both = _convolution(fed, weight_hh, bias) + _convolution(steps[t], weight_ih, None)
        else:
            both = _convolution(torch.cat([steps[t], fed], 1), joined, bias)
        return nothing, _split(cell.gates, both)

    return gates


def _of_both(cell: Cell, packed: Tensor, sizes: list[int], weights: Weights) -> _Step:
    """Two convolutions, that of the inputs of all steps in one call."""
    projected = _convolution(packed, weights.weight_ih, weights.bias_ih).split(sizes)
    weight, bias, second = weights.weight_hh, weights.bias_hh, cell.second_stage_gates
    first = cell.gates[: len(cell.gates) - len(second)]

    def gates(t: int, fed: Tensor, before: State, parameters: PerUnit) -> tuple[Gates, Gates]:
        x = _split(cell.gates, projected[t])
        if weight is None:
            return x, Gates()
        rows = weight.shape[0] // len(cell.gates) * len(first)
        u = _split(first, _convolution(fed, weight[:rows], None if bias is None else bias[:rows]))
        if not second:
            return x, u
        # The equations of the second-stage gates see the output as the recurrent weights do.
        seen = State(**{**vars(before), cell.state[0]: fed})
        modulated = cell.modulated(x, u, seen, parameters)
        late = _convolution(modulated, weight[rows:], None if bias is None else bias[rows:])
        return x, Gates(**vars(u), **vars(_split(second, late)))

    return gates


def _split(names: tuple[str, ...], projection: Tensor) -> Gates:
    """A projection (B, G * H, Y, X) by gate."""
    return Gates(**dict(zip(names, projection.chunk(len(names), dim=1), strict=True)))


def _convolution(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Maps of the same size, beyond whose borders there are zeros."""
    return conv2d(maps, weight, bias, padding=(weight.shape[2] // 2, weight.shape[3] // 2))
