"""The engine's backward function on tensors, without autograd."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels.native.arguments import SINGLE, Arguments
from recurra.kernels.native.call import pointer, set_pointers
from recurra.kernels.native.forward import Saved
from recurra.kernels.native.large_products import product
from recurra.kernels.native.launches import Launch, Launches
from recurra.kernels.native.prepared import Prepared, new_call
from recurra.kernels.native.valid_steps import pack_valid_steps, unpack_valid_steps

__all__ = ["backward", "sums_over_rows"]

# The saved tensors that the gradients of weights read.
_READ = ("before", "modulated", "unprojected")
# Below this N * H * K one product over all heads takes less time than calls by gate and head, though most of it is
# not needed.
_FEW_PRODUCTS = 2**22


def backward(
    prepared: Prepared,
    arguments: Arguments,
    saved: Saved,
    lengths: Tensor | None,
    d_output: Tensor | None,
    d_final: Sequence[Tensor | None],
    needed: Sequence[bool] | None = None,
    vmap_size: int = 1,
    overwrites: bool = False,
) -> Launches[list[Tensor | None]]:
    """The gradients of the arguments in the order of `Arguments.flat`, by launches.

    Those of masks and of absent arguments are None.

    Args:
        prepared: the layer.
        arguments: of the forward pass.
        saved: by the forward pass.
        lengths: of the forward pass.
        d_output: (T, B, R), or None for zero.
        d_final: by part of the state, or None for zero.
        needed: which gradients are wanted, in the same order. If None, all are.
        vmap_size: the size of vmap's batch dimension, whose elements are groups of rows. If it is more than 1, each
            has its own gradients of the weights, (vmap_size, ...), which `sums_over_rows` rules out.
        overwrites: whether the saved tensors are read for the last time, and gradients may be written over them.
    """
    a, weights, cell, compiled = arguments, arguments.weights, prepared.cell, prepared.compiled
    rows = weights.weight_ih.shape[0]
    inputs = pack_valid_steps(a.inputs, lengths)
    new = inputs.new_empty
    valid_steps = inputs.shape[0]
    # The weights' memory may be another than in the forward pass: hooks may have saved them elsewhere.
    call = new_call(prepared, a, lengths, moved=True)
    call.x, call.output = pointer(saved.projected), pointer(saved.output)
    for name, tensor in saved.others.items():
        setattr(call, name, tensor.data_ptr())
    # Named: contiguous copies must live until the engine has run.
    d_output = None if d_output is None else d_output.contiguous()
    d_final = [None if part is None else part.contiguous() for part in d_final]
    call.d_output = pointer(d_output)
    set_pointers(call.d_final, d_final)
    d_x = _overwritten(prepared, saved, valid_steps, rows) if overwrites else None
    d_x = new(valid_steps, rows) if d_x is None else d_x
    normalised = weights.norm_ih is not None or weights.norm_hh is not None
    apart = compiled.mixes_units and (normalised or not compiled.shares_gradient)
    d_u, d_bias_x = d_x, new(rows)
    d_bias = d_bias_x
    call.d_x, call.d_bias_x = d_x.data_ptr(), d_bias_x.data_ptr()
    if apart:
        d_u = new(valid_steps, rows)
        call.d_u = d_u.data_ptr()
    if apart or not compiled.mixes_units:
        d_bias = new(rows)
        call.d_bias = d_bias.data_ptr()
    d_state = [torch.empty_like(part) for part in a.state]
    set_pointers(call.d_initial, d_state)
    by_step = {"d_x": d_x, "d_u": d_u, "inputs": inputs}
    sums = {"bias_ih": d_bias_x, "bias_hh": d_bias}
    result: dict[str, Tensor] = {}
    for name, field, there in (
        ("norm_ih", "d_norm_x", weights.norm_ih),
        ("norm_hh", "d_norm", weights.norm_hh),
        ("per_unit", "d_per_unit", weights.per_unit),
    ):
        if there is not None:
            result[name] = tensor = torch.empty_like(there)
            setattr(call, field, tensor.data_ptr())
    if weights.weight_hr is not None:
        by_step["d_projected"] = tensor = new(valid_steps, prepared.sizes[0])
        call.d_projected = tensor.data_ptr()
    if cell.recurrence == "diagonal":
        sums["weight_hh"] = tensor = new(rows, 1)
        call.d_weight = tensor.data_ptr()
    # Of a single step only the initial state's gradient goes through the recurrent weights; torch makes that product.
    single = prepared.plain_product and a.inputs.shape[0] == 1 and lengths is None and a.mask is None
    if single:
        call.weight = None
    yield Launch(compiled.backward, call, 8 * d_x.itemsize)
    needed = [True] * (len(SINGLE) + 2 * len(a.state)) if needed is None else needed
    if single and needed[-len(a.state)] and weights.weight_hh is not None:
        d_state[0] += product(d_u, weights.weight_hh)
    wants = dict(zip(SINGLE, needed, strict=False))
    if wants["inputs"]:
        result["inputs"] = unpack_valid_steps(product(d_x, weights.weight_ih), a.inputs, lengths)
    for name in _READ:
        if name in saved.others:
            by_step[name] = saved.others[name][:valid_steps]
    if vmap_size == 1:
        result |= _of_weights(prepared, a, wants, by_step, sums)
    else:
        by_element = {name: _by_element(tensor, vmap_size, lengths, a) for name, tensor in by_step.items()}
        each = [
            _of_weights(prepared, a, wants, {name: of[k] for name, of in by_element.items()}, {})
            for k in range(vmap_size)
        ]
        result |= {name: torch.stack([of_one[name] for of_one in each]) for name in each[0]}
    return [*(result.get(name) for name in SINGLE), *(None for _ in a.state), *d_state]


def _overwritten(prepared: Prepared, saved: Saved, valid_steps: int, rows: int) -> Tensor | None:
    """The saved tensor of the size of the projections' gradients, over which they can be written as it is read."""
    cell, compiled = prepared.cell, prepared.compiled
    if not compiled.mixes_units:
        return saved.projected
    if compiled.saved == len(cell.gates) and not cell.second_stage_gates:
        return saved.others["saved"].view(valid_steps, rows)
    return None


def sums_over_rows(cell: Cell, a: Arguments) -> bool:
    """Whether the engine itself sums gradients of weights, and not of biases only, over all rows."""
    summed = a.weights.norm_ih, a.weights.norm_hh, a.weights.per_unit
    return cell.recurrence == "diagonal" or any(tensor is not None for tensor in summed)


def _of_weights(
    prepared: Prepared, a: Arguments, wants: dict[str, bool], by_step: dict[str, Tensor], sums: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The gradients of the weights: `sums` over valid steps if there are any, else computed from `by_step`."""
    result: dict[str, Tensor] = {}
    d_x, d_u = by_step["d_x"], by_step["d_u"]
    if wants["weight_ih"]:
        result["weight_ih"] = product(d_x.t(), by_step["inputs"])
    if a.weights.bias_ih is not None:
        result["bias_ih"] = _or_sum(sums.get("bias_ih"), d_x)
    if a.weights.weight_hh is not None and wants["weight_hh"]:
        diagonal = sums.get("weight_hh")
        result["weight_hh"] = _recurrent_gradient(prepared, d_u, by_step) if diagonal is None else diagonal
    if a.weights.weight_hh is not None and a.weights.bias_hh is not None:
        result["bias_hh"] = _or_sum(sums.get("bias_hh"), d_u)
    if a.weights.weight_hr is not None:
        result["weight_hr"] = product(by_step["d_projected"].T, by_step["unprojected"])
    if a.weights.bias_hr is not None:
        result["bias_hr"] = by_step["d_projected"].sum(0)
    return result


def _or_sum(total: Tensor | None, by_step: Tensor) -> Tensor:
    return by_step.sum(0) if total is None else total


def _by_element(tensor: Tensor, vmap_size: int, lengths: Tensor | None, a: Arguments) -> list[Tensor]:
    """(N, F), split into the elements of vmap's batch dimension, whose rows follow one another."""
    steps, batch, _ = a.inputs.shape
    if lengths is None:
        return [
            part.reshape(-1, tensor.shape[1])
            for part in tensor.view(steps, vmap_size, batch // vmap_size, -1).unbind(1)
        ]
    return list(tensor.split(lengths.view(vmap_size, -1).sum(1).tolist()))


def _recurrent_gradient(prepared: Prepared, d_u: Tensor, by_step: dict[str, Tensor]) -> Tensor:
    """The sum over valid steps of d_u (outer) what the recurrent weights read."""
    cell, before = prepared.cell, by_step["before"]
    if cell.second_stage_gates:
        first_stage = (len(cell.gates) - len(cell.second_stage_gates)) * prepared.hidden
        return torch.cat(
            [product(d_u[:, :first_stage].T, before), product(d_u[:, first_stage:].T, by_step["modulated"])]
        )
    if cell.recurrence == "dense":
        return product(d_u.t(), before)
    return _blocks_gradient(d_u, before, len(cell.gates), cell.heads)


def _blocks_gradient(d_u: Tensor, before: Tensor, gates: int, heads: int) -> Tensor:
    """The gradient by gate and head, (G * H, K): small products of columns, without a copy."""
    size = before.shape[1] // heads
    if before.numel() * size < _FEW_PRODUCTS:
        whole = product(d_u.T, before).view(gates, heads, size, heads, size)
        return whole.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2).reshape(-1, size)
    parts = zip(d_u.split(size, 1), before.split(size, 1) * gates, strict=True)
    return torch.cat([product(d_part.T, read) for d_part, read in parts])
