"""The engine's two functions on tensors, forward and backward, without autograd."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import linear

from recurra.cells import Cell
from recurra.kernels import extension
from recurra.kernels.nonlinearity import Nonlinearity
from recurra.kernels.projections import NORM_EPSILON

__all__ = [
    "Arguments",
    "Kept",
    "Prepared",
    "backward",
    "forward",
    "kept_shapes",
    "prepare",
    "run_prepared",
    "sums_over_rows",
]

# The engine makes the input projection itself where both weights stay in a core's second-level cache and enough rows of
# the batch share each reading of them, or where there are so few steps that another call would take longer.
_FUSED_BYTES, _FUSED_ROWS, _FEW_STEPS = 2**20, 8, 8
# Of projections made at a time, where the engine reads each once and has nothing to set up: half a second-level cache.
_SEGMENT_BYTES = 2**20
# N * H * K below which one product over all heads, most of it not needed, takes less time than calls by gate and head.
_FEW_PRODUCTS = 2**22


class Arguments(NamedTuple):
    """What the engine runs on, every tensor contiguous; letters as in `recurra.kernels.Weights`.

    Attributes:
        inputs: (T, B, I), or without `weight_ih` the input projections (T, B, G * H).
        zone: by part (T, B, H), or (1, 1, H) where all steps share one; empty without zoneout.
        per_unit: (P, H).
    """

    inputs: Tensor
    weight_ih: Tensor | None
    bias_ih: Tensor | None
    weight_hh: Tensor | None
    bias_hh: Tensor | None
    weight_hr: Tensor | None
    bias_hr: Tensor | None
    norm_ih: Tensor | None
    norm_hh: Tensor | None
    per_unit: Tensor | None
    mask: Tensor | None
    zone: tuple[Tensor, ...]
    state: tuple[Tensor, ...]

    def flat(self) -> list[Tensor | None]:
        """All in one list, zones and state at its end, a None for each part without a zone."""
        zone = self.zone or (None,) * len(self.state)
        return [*self[:-2], *zone, *self.state]

    def rows(self) -> list[int | None]:
        """For each of `flat` which dimension is the batch's, B; None for what all rows share."""
        zone = [None if part.shape[0] == part.shape[1] == 1 else 1 for part in self.zone] or [None] * len(self.state)
        return [1, *(None for _ in _SINGLE[1:-1]), 0, *zone, *(0 for _ in self.state)]

    @classmethod
    def of(cls, flat: Sequence[Any]) -> Self:
        """From what `flat` gives."""
        single, parts = len(_SINGLE), (len(flat) - len(_SINGLE)) // 2
        zone = () if flat[single] is None else tuple(flat[single : single + parts])
        return cls._make([*flat[:single], zone, tuple(flat[single + parts :])])


_SINGLE = Arguments._fields[:-2]
# Of what is kept, what the gradients of weights read.
_READ = ("before", "modulated", "unprojected")


@dataclass(frozen=True)
class Kept:
    """What the forward pass keeps for the backward pass; N places are the true steps of all rows.

    Attributes:
        projected: (N, G * H), the input projections, where they are needed again.
        others: by name of a `Call`'s field.
    """

    output: Tensor
    projected: Tensor | None
    others: dict[str, Tensor]


def forward(
    cell: Cell, arguments: Arguments, lengths: Tensor | None, reverse: bool, training: bool, padded: bool = False
) -> tuple[Tensor, tuple[Tensor, ...], Kept | None]:
    """The outputs (T, B, R), the final state by part, and what the backward pass needs.

    Args:
        cell: the equations.
        arguments: the tensors.
        lengths: (B,) int64 on the CPU, contiguous, or None.
        reverse: from each row's last step to its first.
        training: whether there will be a backward pass.
        padded: whether what is kept has a size that does not depend on the lengths, that of T * B places.

    Raises:
        MemoryError: where there is not enough.
    """
    a, compiled = arguments, extension.best(cell)
    inputs = _at_places(a.inputs, lengths)
    call = _call(cell, a, lengths, reverse)
    fuses = _may_fuse(cell, compiled) and _fuses(a.inputs, a.weight_ih, a.weight_hh)
    bias_ih = a.bias_ih if a.norm_ih is None else None  # else it comes after the normalisation
    if not training and lengths is None and not compiled.mixes_units and a.weight_ih is not None and not a.zone:
        return *_in_segments(call, compiled, a.inputs, a.weight_ih, bias_ih, a.state), None
    projected = _read(call, inputs, a.weight_ih, bias_ih, fuses)
    output, final = _written(call, a.inputs, a.state)
    others: dict[str, Tensor] = {}
    if training:
        places = a.inputs.shape[0] * a.inputs.shape[1] if padded else inputs.shape[0]
        others = {name: inputs.new_empty(shape) for name, shape in kept_shapes(cell, a, places).items()}
        for name, tensor in others.items():
            setattr(call, name, tensor.data_ptr())
    _launch(compiled.forward, call, output)
    if not training:
        return output, final, None
    return output, final, Kept(output, None if compiled.mixes_units else projected, others)


class Prepared(NamedTuple):
    """Inference with weights that lie where they lie now.

    Attributes:
        call: the bytes of a `Call` with all that does not depend on the sequence.
        compiled: the cell's functions.
        sizes: of each part of the state.
        fused_weights: numbers of both weights, where the engine may make the input projection itself; else 0.
    """

    call: bytes
    compiled: extension.CompiledCell
    sizes: tuple[int, ...]
    fused_weights: int


def prepare(cell: Cell, a: Arguments, reverse: bool) -> Prepared:
    """From arguments with any inputs and state."""
    compiled = extension.best(cell)
    count = 0
    if a.weight_ih is not None and _may_fuse(cell, compiled):
        count = a.weight_ih.numel() + (0 if a.weight_hh is None else a.weight_hh.numel())
    return Prepared(bytes(_call(cell, a, None, reverse)), compiled, tuple(part.shape[1] for part in a.state), count)


def run_prepared(
    prepared: Prepared,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    per_unit: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `forward` without a backward pass, with the weights that were prepared and `per_unit` as it is now.

    Raises:
        MemoryError: where there is not enough.
    """
    steps, batch, _ = inputs.shape
    inputs, state = inputs.contiguous(), tuple([part.contiguous() for part in state])
    call = extension.Call.from_buffer_copy(prepared.call)
    call.steps, call.batch, call.threads = steps, batch, torch.get_num_threads()
    call.per_unit = _pointer(per_unit)
    _set(call.initial, state)
    if not prepared.compiled.mixes_units:
        return _in_segments(call, prepared.compiled, inputs, weight_ih, bias_ih, state)
    fuses = prepared.fused_weights > 0 and _is_worth_fusing(steps, batch, prepared.fused_weights * inputs.itemsize)
    # What it returns is kept here while the engine reads it.
    projected = _read(call, inputs, weight_ih, bias_ih, fuses)
    output, final = _written(call, inputs, state)
    _launch(prepared.compiled.forward, call, output)
    del projected
    return output, final


def kept_shapes(cell: Cell, a: Arguments, places: int) -> dict[str, tuple[int, ...]]:
    """The shapes of `Kept.others`."""
    compiled, (hidden, size) = extension.best(cell), _sizes(cell, a)
    gates, parts = len(cell.gates), len(cell.state)
    shapes: dict[str, tuple[int, ...]] = {}
    if parts > 1:
        shapes["history"] = (parts - 1, places, hidden)
    if compiled.kept:
        shapes["kept"] = (places, compiled.kept, hidden)
    if compiled.mixes_units:
        shapes["before"] = (places, size)
    if cell.late_gates:
        shapes["modulated"] = (places, hidden)
    if a.norm_hh is not None:
        shapes |= {"normed": (places, gates * hidden), "deviation": (places, gates)}
    if a.norm_ih is not None:
        shapes |= {"normed_x": (places, gates * hidden), "deviation_x": (places, gates)}
    if a.weight_hr is not None:
        shapes["unprojected"] = (places, hidden)
    return shapes


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
        needed: which gradients are wanted, in the same order; all where None.
        members: groups of rows. Where there are several, each has gradients of the weights of its own, (members, ...),
            which the engine cannot give where it `sums_over_rows`.
        overwrites: whether nobody reads what was kept once more, so that gradients may take its place.
    """
    a, compiled = arguments, extension.best(cell)
    hidden, size = _sizes(cell, a)
    rows = len(cell.gates) * hidden
    inputs = _at_places(a.inputs, lengths)
    new = inputs.new_empty
    places = inputs.shape[0]
    call = _call(cell, a, lengths, reverse)
    call.x, call.output = _pointer(kept.projected), _pointer(kept.output)
    for name, tensor in kept.others.items():
        setattr(call, name, tensor.data_ptr())
    # Named, so that what is made contiguous lives until the engine has run.
    d_output = None if d_output is None else d_output.contiguous()
    d_final = [None if part is None else part.contiguous() for part in d_final]
    call.d_output = _pointer(d_output)
    _set(call.d_final, d_final)
    d_x = _overwritten(cell, a, kept, places, rows) if overwrites else None
    d_x = new(places, rows) if d_x is None else d_x
    normalised = a.norm_ih is not None or a.norm_hh is not None
    apart = compiled.mixes_units and (normalised or not compiled.shares_gradient)
    d_u = new(places, rows) if apart else d_x
    d_state = tuple(torch.empty_like(part) for part in a.state)
    d_bias_x = new(rows)
    own_bias = apart or not compiled.mixes_units
    d_bias = new(rows) if own_bias else d_bias_x
    made = {"d_x": d_x, "d_u": d_u if apart else None, "d_bias_x": d_bias_x, "d_bias": d_bias if own_bias else None}
    d_norm = made["d_norm"] = None if a.norm_hh is None else new(rows)
    d_norm_x = made["d_norm_x"] = None if a.norm_ih is None else new(rows)
    d_per_unit = made["d_per_unit"] = None if a.per_unit is None else torch.empty_like(a.per_unit)
    d_projected = made["d_projected"] = None if a.weight_hr is None else new(places, size)
    diagonal = made["d_weight"] = new(rows, 1) if cell.recurrence == "diagonal" else None
    for name, tensor in made.items():
        setattr(call, name, _pointer(tensor))
    _set(call.d_initial, d_state)
    _launch(compiled.backward, call, d_x)
    found: dict[str, Tensor | None] = {}
    needed = [True] * (len(_SINGLE) + 2 * len(a.state)) if needed is None else needed
    wants = dict(zip(_SINGLE, needed, strict=False))
    if wants["inputs"]:
        d_inputs = d_x if a.weight_ih is None else d_x @ a.weight_ih
        found["inputs"] = _from_places(d_inputs, a.inputs, lengths)
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
    return [*(found.get(name) for name in _SINGLE), *(None for _ in a.state), *d_state]


def _overwritten(cell: Cell, a: Arguments, kept: Kept, places: int, rows: int) -> Tensor | None:
    """What was kept and is as large as the gradients of the projections, where each may go where one was read."""
    compiled = extension.best(cell)
    if not compiled.mixes_units:
        is_callers = kept.projected is None or kept.projected.data_ptr() == a.inputs.data_ptr()
        return None if is_callers else kept.projected
    if compiled.kept == len(cell.gates) and not cell.late_gates:
        return kept.others["kept"].view(places, rows)
    return None


def sums_over_rows(cell: Cell, a: Arguments) -> bool:
    """Whether the engine itself sums gradients of weights, and not of biases only, over all rows."""
    summed = a.norm_ih, a.norm_hh, a.per_unit
    return cell.recurrence == "diagonal" or any(tensor is not None for tensor in summed)


def _of_weights(
    cell: Cell, a: Arguments, wants: dict[str, bool], of_places: dict[str, Tensor], sums: dict[str, Tensor | None]
) -> dict[str, Tensor]:
    """The gradients of the weights, by the sums over places that there are, or else of what the places have."""
    found: dict[str, Tensor] = {}
    d_x, d_u = of_places["d_x"], of_places["d_u"]
    if a.weight_ih is not None and wants["weight_ih"]:
        found["weight_ih"] = d_x.T @ of_places["inputs"]
    if a.weight_ih is not None and a.bias_ih is not None:
        found["bias_ih"] = _or_sum(sums.get("bias_ih"), d_x)
    if a.weight_hh is not None and wants["weight_hh"]:
        diagonal = sums.get("weight_hh")
        found["weight_hh"] = _recurrent_gradient(cell, d_u, of_places, a) if diagonal is None else diagonal
    if a.weight_hh is not None and a.bias_hh is not None:
        found["bias_hh"] = _or_sum(sums.get("bias_hh"), d_u)
    if a.weight_hr is not None:
        found["weight_hr"] = of_places["d_projected"].T @ of_places["unprojected"]
    if a.bias_hr is not None:
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
    before, (hidden, _) = of_places["before"], _sizes(cell, a)
    if cell.late_gates:
        early = (len(cell.gates) - len(cell.late_gates)) * hidden
        return torch.cat([d_u[:, :early].T @ before, d_u[:, early:].T @ of_places["modulated"]])
    if cell.recurrence == "dense":
        return d_u.T @ before
    return _blocks_gradient(d_u, before, len(cell.gates), cell.heads)


def _blocks_gradient(d_u: Tensor, before: Tensor, gates: int, heads: int) -> Tensor:
    """Of each gate and head, (G * H, K): small products of columns where they lie, without a copy."""
    size = before.shape[1] // heads
    if before.numel() * size < _FEW_PRODUCTS:
        whole = (d_u.T @ before).view(gates, heads, size, heads, size)
        return whole.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2).reshape(-1, size)
    parts = zip(d_u.split(size, 1), before.split(size, 1) * gates, strict=True)
    return torch.cat([d_part.T @ read for d_part, read in parts])


def _sizes(cell: Cell, a: Arguments) -> tuple[int, int]:
    """H and R."""
    size = a.state[0].shape[1]
    return (size if a.weight_hr is None else a.weight_hr.shape[1]), size


def _may_fuse(cell: Cell, compiled: extension.CompiledCell) -> bool:
    """Whether the engine can make the input projection itself."""
    return compiled.mixes_units and not cell.late_gates


def _fuses(inputs: Tensor, weight_ih: Tensor | None, weight_hh: Tensor | None) -> bool:
    if weight_ih is None:
        return False
    steps, batch, _ = inputs.shape
    count = weight_ih.numel() + (0 if weight_hh is None else weight_hh.numel())
    return _is_worth_fusing(steps, batch, count * inputs.itemsize)


def _is_worth_fusing(steps: int, batch: int, weight_bytes: int) -> bool:
    return steps * batch <= _FEW_STEPS or (batch >= _FUSED_ROWS and weight_bytes <= _FUSED_BYTES)


def _read(
    call: extension.Call, inputs: Tensor, weight_ih: Tensor | None, bias_ih: Tensor | None, fuses: bool
) -> Tensor | None:
    """Let the engine read the inputs, or the projections of all steps, which are returned."""
    if fuses:
        call.features, call.inputs, call.weight_ih = inputs.shape[-1], inputs.data_ptr(), _pointer(weight_ih)
        return None
    # One large product for all steps: torch's is as fast as they come.
    projected = inputs if weight_ih is None else linear(inputs, weight_ih, bias_ih)
    call.x = projected.data_ptr()
    return projected


def _in_segments(
    call: extension.Call,
    compiled: extension.CompiledCell,
    inputs: Tensor,
    weight_ih: Tensor,
    bias_ih: Tensor | None,
    state: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inference some steps at a time, whose projections are read before they leave the cache, and then forgotten."""
    steps, batch, _ = inputs.shape
    size = max(1, _SEGMENT_BYTES // (batch * weight_ih.shape[0] * inputs.itemsize))
    output = inputs.new_empty(steps, batch, state[0].shape[1])
    starts = range(0, steps, size)
    for start in reversed(starts) if call.reverse else starts:
        part, written = inputs[start : start + size], output[start : start + size]
        projected = linear(part, weight_ih, bias_ih)
        final = tuple([torch.empty_like(before) for before in state])
        call.steps, call.x, call.output = part.shape[0], projected.data_ptr(), written.data_ptr()
        _set(call.initial, state)
        _set(call.final_state, final)
        _launch(compiled.forward, call, output)
        state = final
    return output, state


def _written(call: extension.Call, inputs: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output and the final state, for the engine to write."""
    output = inputs.new_empty(*inputs.shape[:2], state[0].shape[1])
    final = tuple([torch.empty_like(part) for part in state])
    call.output = output.data_ptr()
    _set(call.final_state, final)
    return output, final


def _places(lengths: Tensor, steps: int) -> Tensor:
    """Where the true steps of each row, one row after another, lie in (T, B) flattened."""
    valid = torch.arange(steps) < lengths.unsqueeze(1)  # (B, T)
    row, t = valid.nonzero(as_tuple=True)
    return t * len(lengths) + row


def _at_places(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, F) from (T, B, F)."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if lengths is None else flat.index_select(0, _places(lengths, x.shape[0]))


def _from_places(gradient: Tensor, like: Tensor, lengths: Tensor | None) -> Tensor:
    """(T, B, F), zero at padding, from (N, F)."""
    if lengths is None:
        return gradient.reshape(like.shape)
    flat = gradient.new_zeros(like.shape[0] * like.shape[1], like.shape[2])
    return flat.index_copy_(0, _places(lengths, like.shape[0]), gradient).reshape(like.shape)


def _call(cell: Cell, a: Arguments, lengths: Tensor | None, reverse: bool) -> extension.Call:
    steps, batch, _ = a.inputs.shape
    hidden, size = _sizes(cell, a)
    call = extension.Call(steps, batch, hidden, size)
    call.heads, call.reverse, call.threads = cell.heads, int(reverse), torch.get_num_threads()
    call.lengths, call.weight, call.bias = _pointer(lengths), _pointer(a.weight_hh), _pointer(a.bias_hh)
    call.bias_ih, call.epsilon = _pointer(a.bias_ih), NORM_EPSILON
    call.norm_x, call.norm = _pointer(a.norm_ih), _pointer(a.norm_hh)
    call.per_unit, call.mask = _pointer(a.per_unit), _pointer(a.mask)
    if a.weight_hr is not None:
        call.projection, call.projection_bias = _pointer(a.weight_hr), _pointer(a.bias_hr)
        call.nonlinearity = Nonlinearity[cell.output_nonlinearity or "identity"]
    if a.zone:
        _set(call.zone, a.zone)
        if a.zone[0].shape[0] == steps and a.zone[0].shape[1] == batch:
            call.zone_step, call.zone_row = batch * hidden, hidden
    _set(call.initial, a.state)
    return call


def _set(pointers: Any, tensors: Sequence[Tensor | None]) -> None:
    for k, tensor in enumerate(tensors):
        pointers[k] = _pointer(tensor)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _launch(functions: dict[int, Any], call: extension.Call, like: Tensor) -> None:
    if functions[like.element_size() * 8](call, extension.parallel()):
        raise MemoryError("the native kernel could not allocate its buffers")
