"""The engine's backward function on tensors, without autograd."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native import call as calls
from recurra.kernels.native import extension
from recurra.kernels.native.arguments import SINGLE, Arguments
from recurra.kernels.native.call import new_call, pointer, set_pointers, sizes
from recurra.kernels.native.forward import Kept
from recurra.kernels.native.large_products import product
from recurra.kernels.native.valid_steps import at_places, from_places

__all__ = ["backward", "sums_over_rows"]

# Of what is kept, what the gradients of weights read.
_READ = ("before", "modulated", "unprojected")
# N * H * K below which one product over all heads, most of it not needed, takes less time than calls by gate and head.
_FEW_PRODUCTS = 2**22


def backward(
    cell: Cell,
    arguments: Arguments,
    kept: Kept,
    lengths: Tensor | None,
    reverse: bool,
    d_output: Tensor | None,
    d_final: Sequence[Tensor | None],
    needed: Sequence[bool] | None = None,
    members: int = 1,
    overwrites: bool = False,
) -> list[Tensor | None]:
    """The gradients of the arguments in the order of `Arguments.flat`; None for masks and what is not there.

    Args:
        cell: the equations.
        arguments: of the forward pass.
        kept: by the forward pass.
        lengths: of the forward pass.
        reverse: of the forward pass.
        d_output: (T, B, R), or None for zero.
        d_final: by part of the state, or None for zero.
        needed: which gradients are wanted, in the same order. If None, all are.
        members: groups of rows. Where there are several, each has gradients of the weights of its own, (members, ...),
            which the engine cannot give where it `sums_over_rows`.
        overwrites: whether nobody reads what was kept once more, so that gradients may take its place.
    """
    a, compiled = arguments, extension.best(cell)
    hidden, size = sizes(cell, a)
    rows = len(cell.gates) * hidden
    inputs = at_places(a.inputs, lengths)
    new = inputs.new_empty
    places = inputs.shape[0]
    call = new_call(cell, a, lengths, reverse)
    call.x, call.output = pointer(kept.projected), pointer(kept.output)
    for name, tensor in kept.others.items():
        setattr(call, name, tensor.data_ptr())
    # Named, so that what is made contiguous lives until the engine has run.
    d_output = None if d_output is None else d_output.contiguous()
    d_final = [None if part is None else part.contiguous() for part in d_final]
    call.d_output = pointer(d_output)
    set_pointers(call.d_final, d_final)
    d_x = _overwritten(cell, kept, places, rows) if overwrites else None
    d_x = new(places, rows) if d_x is None else d_x
    normalised = a.weights.norm_ih is not None or a.weights.norm_hh is not None
    apart = compiled.mixes_units and (normalised or not compiled.shares_gradient)
    d_u = new(places, rows) if apart else d_x
    d_state = tuple(torch.empty_like(part) for part in a.state)
    d_bias_x = new(rows)
    own_bias = apart or not compiled.mixes_units
    d_bias = new(rows) if own_bias else d_bias_x
    made = {"d_x": d_x, "d_u": d_u if apart else None, "d_bias_x": d_bias_x, "d_bias": d_bias if own_bias else None}
    d_norm = made["d_norm"] = None if a.weights.norm_hh is None else new(rows)
    d_norm_x = made["d_norm_x"] = None if a.weights.norm_ih is None else new(rows)
    d_per_unit = made["d_per_unit"] = None if a.weights.per_unit is None else torch.empty_like(a.weights.per_unit)
    d_projected = made["d_projected"] = None if a.weights.weight_hr is None else new(places, size)
    diagonal = made["d_weight"] = new(rows, 1) if cell.recurrence == "diagonal" else None
    for name, tensor in made.items():
        setattr(call, name, pointer(tensor))
    set_pointers(call.d_initial, d_state)
    calls.launch(compiled.backward, call, d_x)
    found: dict[str, Tensor | None] = {}
    needed = [True] * (len(SINGLE) + 2 * len(a.state)) if needed is None else needed
    wants = dict(zip(SINGLE, needed, strict=False))
    if wants["inputs"]:
        found["inputs"] = from_places(product(d_x, a.weights.weight_ih), a.inputs, lengths)
    of_places = {"d_x": d_x, "d_u": d_u, "inputs": inputs} | (
        {} if d_projected is None else {"d_projected": d_projected}
    )
    of_places |= {name: kept.others[name][:places] for name in _READ if name in kept.others}
    if members == 1:
        found |= {"norm_ih": d_norm_x, "norm_hh": d_norm, "per_unit": d_per_unit}
        found |= _of_weights(cell, a, wants, of_places, {"bias_ih": d_bias_x, "bias_hh": d_bias, "weight_hh": diagonal})
    else:
        by_member = {name: _by_member(tensor, members, lengths, a) for name, tensor in of_places.items()}
        each = [
            _of_weights(cell, a, wants, {name: of[k] for name, of in by_member.items()}, {}) for k in range(members)
        ]
        found |= {name: torch.stack([of_one[name] for of_one in each]) for name in each[0]}
    return [*(found.get(name) for name in SINGLE), *(None for _ in a.state), *d_state]


def _overwritten(cell: Cell, kept: Kept, places: int, rows: int) -> Tensor | None:
    """What was kept and is as large as the gradients of the projections, where each may go where one was read."""
    compiled = extension.best(cell)
    if not compiled.mixes_units:
        return kept.projected
    if compiled.kept == len(cell.gates) and not cell.late_gates:
        return kept.others["kept"].view(places, rows)
    return None


def sums_over_rows(cell: Cell, a: Arguments) -> bool:
    """Whether the engine itself sums gradients of weights, and not of biases only, over all rows."""
    summed = a.weights.norm_ih, a.weights.norm_hh, a.weights.per_unit
    return cell.recurrence == "diagonal" or any(tensor is not None for tensor in summed)


def _of_weights(
    cell: Cell, a: Arguments, wants: dict[str, bool], of_places: dict[str, Tensor], sums: dict[str, Tensor | None]
) -> dict[str, Tensor]:
    """The gradients of the weights, by the sums over places that there are, or else of what the places have."""
    found: dict[str, Tensor] = {}
    d_x, d_u = of_places["d_x"], of_places["d_u"]
    if wants["weight_ih"]:
        found["weight_ih"] = product(d_x.T, of_places["inputs"])
    if a.weights.bias_ih is not None:
        found["bias_ih"] = _or_sum(sums.get("bias_ih"), d_x)
    if a.weights.weight_hh is not None and wants["weight_hh"]:
        diagonal = sums.get("weight_hh")
        found["weight_hh"] = _recurrent_gradient(cell, d_u, of_places, a) if diagonal is None else diagonal
    if a.weights.weight_hh is not None and a.weights.bias_hh is not None:
        found["bias_hh"] = _or_sum(sums.get("bias_hh"), d_u)
    if a.weights.weight_hr is not None:
        found["weight_hr"] = product(of_places["d_projected"].T, of_places["unprojected"])
    if a.weights.bias_hr is not None:
        found["bias_hr"] = of_places["d_projected"].sum(0)
    return found


def _or_sum(total: Tensor | None, of_places: Tensor) -> Tensor:
    return of_places.sum(0) if total is None else total


def _by_member(tensor: Tensor, members: int, lengths: Tensor | None, a: Arguments) -> list[Tensor]:
    """(N, F) apart by members, whose rows follow one another."""
    steps, batch, _ = a.inputs.shape
    if lengths is None:
        return [
            part.reshape(-1, tensor.shape[1]) for part in tensor.view(steps, members, batch // members, -1).unbind(1)
        ]
    return list(tensor.split(lengths.view(members, -1).sum(1).tolist()))


def _recurrent_gradient(cell: Cell, d_u: Tensor, of_places: dict[str, Tensor], a: Arguments) -> Tensor:
    """The sum over places of d_u (outer) what the recurrent weights read."""
    before, (hidden, _) = of_places["before"], sizes(cell, a)
    if cell.late_gates:
        early = (len(cell.gates) - len(cell.late_gates)) * hidden
        return torch.cat([product(d_u[:, :early].T, before), product(d_u[:, early:].T, of_places["modulated"])])
    if cell.recurrence == "dense":
        return product(d_u.T, before)
    return _blocks_gradient(d_u, before, len(cell.gates), cell.heads)


def _blocks_gradient(d_u: Tensor, before: Tensor, gates: int, heads: int) -> Tensor:
    """Of each gate and head, (G * H, K): small products of columns where they lie, without a copy."""
    size = before.shape[1] // heads
    if before.numel() * size < _FEW_PRODUCTS:
        whole = product(d_u.T, before).view(gates, heads, size, heads, size)
        return whole.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2).reshape(-1, size)
    parts = zip(d_u.split(size, 1), before.split(size, 1) * gates, strict=True)
    return torch.cat([product(d_part.T, read) for d_part, read in parts])
