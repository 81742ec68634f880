"""The engine: a cell's equations compiled into the time loop, forward and backward."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.kernels import batching, operators
from recurra.kernels.engine import Arguments, Kept, backward, forward
from recurra.kernels.weights import Masks, Weights
from recurra.shapes import check_dtype, check_lengths, check_shape

__all__ = ["arguments", "run", "stacked"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    Raises:
        ShapeError: where the tensors do not fit together, which the engine would not notice.
        MemoryError: where there is not enough.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return inputs.new_zeros(*inputs.shape[:2], state[0].shape[1]), state
    if lengths is not None:
        # A copy, so that a change of theirs before the backward pass does no harm.
        lengths = check_lengths(lengths, inputs.shape[1], inputs.shape[0]).clone(memory_format=torch.contiguous_format)
    given = arguments(cell, inputs, state, weights, masks)
    if operators.are_needed(*(tensor for tensor in given.flat() if tensor is not None)):
        return operators.run(cell, given, lengths, reverse)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in given.flat()):
        output, *final = _Recurrence.apply(cell, lengths, reverse, *given.flat())
        return output, tuple(final)
    output, final, _ = forward(cell, given, lengths, reverse, False)
    return output, final


def arguments(
    cell: Cell, inputs: Tensor, state: tuple[Tensor, ...], weights: Weights, masks: Masks | None
) -> Arguments:
    """The tensors as the engine takes them, which trusts the sizes it is told: what does not fit is refused here."""
    weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, bias_hr, norm_ih, norm_hh, per_unit = weights
    rows = weight_ih.shape[0]
    hidden = rows // len(cell.gates)
    if rows % len(cell.gates) or hidden % cell.heads:
        raise ShapeError("weight_ih", f"rows in a multiple of {len(cell.gates)} gates x {cell.heads} heads", rows)
    size = hidden if weight_hr is None else weight_hr.shape[0]
    steps, batch, features = inputs.shape
    if weight_ih is not None:
        _check("weight_ih", weight_ih, (rows, features), "(G * H, I)", inputs)
    if cell.recurrence != "none":
        if weight_hh is None:
            raise ShapeError("weight_hh", "(G * H, K)", "none")
        _check("weight_hh", weight_hh, (rows, _columns(cell, hidden, size)), "(G * H, K)", inputs)
    for name, tensor in (("bias_ih", bias_ih), ("bias_hh", bias_hh), ("norm_ih", norm_ih), ("norm_hh", norm_hh)):
        if tensor is not None:
            _check(name, tensor, (rows,), "(G * H,)", inputs)
    if weight_hr is not None:
        _check("weight_hr", weight_hr, (size, hidden), "(R, H)", inputs)
        if bias_hr is not None:
            _check("bias_hr", bias_hr, (size,), "(R,)", inputs)
    for k, (name, part) in enumerate(zip(cell.state, state, strict=True)):
        _check(name, part, (batch, hidden if k else size), "(B, H)" if k else "(B, R)", inputs, "state")
    for name in cell.per_unit:
        shape, letters = ((1,), "(1,)") if name in cell.scalars else ((hidden,), "(H,)")
        _check(name, per_unit[name], shape, letters, inputs)
    mask, zone = (None, None) if masks is None else (masks.recurrent, masks.zone)
    if mask is not None:
        _check("recurrent", mask, (batch, size), "(B, R)", inputs, "masks")
    if zone is not None:
        zone = _zones(cell, zone, (steps, batch, hidden), inputs)
    return Arguments(
        # Made contiguous here, where autograd sees it.
        inputs.contiguous(),
        _contiguous(weight_ih),
        _contiguous(bias_ih),
        _contiguous(weight_hh),
        _contiguous(bias_hh),
        _contiguous(weight_hr),
        _contiguous(bias_hr),
        _contiguous(norm_ih),
        _contiguous(norm_hh),
        stacked(cell, weights),
        _contiguous(mask),
        () if zone is None else tuple(part.contiguous() for part in zone),
        tuple([part.contiguous() for part in state]),
    )


def stacked(cell: Cell, weights: Weights) -> Tensor | None:
    """The per-unit parameters in one, (P, H); None where the cell has none."""
    if not cell.per_unit:
        return None
    hidden = weights.weight_ih.shape[0] // len(cell.gates)
    return torch.stack([weights.per_unit[name].expand(hidden) for name in cell.per_unit])


def _zones(cell: Cell, zone: tuple[Tensor, ...], shape: tuple[int, int, int], like: Tensor) -> tuple[Tensor, ...]:
    """One value for each unit at all steps of all rows, or one at each."""
    if all(part.shape[:2] == (1, 1) for part in zone):
        shape = (1, 1, shape[2])
    wide = []
    for name, part in zip(cell.state, zone, strict=True):
        fits = part.dim() == 3 and all(n in (1, whole) for n, whole in zip(part.shape, shape, strict=True))
        wide.append(part.expand(shape) if fits else part)
        _check(name, wide[-1], shape, "(T, B, H)", like, "zone")
    return tuple(wide)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _columns(cell: Cell, hidden: int, size: int) -> int:
    """K, what a unit reads of the output."""
    if cell.recurrence == "dense":
        return size
    return hidden // cell.heads if cell.recurrence == "block_diagonal" else 1


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], letters: str, like: Tensor, of: str = "") -> None:
    # Names are put together only for an error: this runs at every step of a stream.
    if tensor.shape != shape or tensor.dtype != like.dtype or tensor.device != like.device:
        name = f"{of} ({name})" if of else name
        check_shape(name, tensor, shape, letters)
        check_dtype(name, tensor, like)
        if tensor.device != like.device:
            raise ShapeError(name, f"the inputs' device {like.device}", tensor.device, "Move one with .to().")


class _Recurrence(torch.autograd.Function):
    """The recurrence with its backward pass; what differentiates or transforms this pass sees it as an operator."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, lengths: Tensor | None, reverse: bool, *flat: Tensor | None
    ) -> tuple[Tensor, ...]:
        output, final, kept = forward(cell, Arguments.of(flat), lengths, reverse, True)
        assert kept is not None
        ctx.cell, ctx.lengths, ctx.reverse, ctx.names = cell, lengths, reverse, tuple(kept.others)
        ctx.save_for_backward(*flat, output, kept.projected, *kept.others.values())
        ctx.set_materialize_grads(False)
        return output, *final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        count = len(ctx.needs_input_grad) - 3
        saved = ctx.saved_tensors  # once: checkpointing computes them anew each time that they are asked for
        flat, (output, projected, *others) = saved[:count], saved[count:]
        needed = ctx.needs_input_grad[3:]
        kept = Kept(output, projected, dict(zip(ctx.names, others, strict=True)))
        last = not operators.graph_is_kept() and not batching.is_batched(gradients)

        def run(cotangents: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
            plain = not (torch.is_grad_enabled() or operators.forward_mode() or operators.are_needed())
            if not plain or operators.gives_masks(needed, len(cotangents) - 1):
                return operators.run_backward(ctx.cell, flat, kept, ctx.lengths, ctx.reverse, cotangents, needed)
            d_output, *d_final = cotangents
            ran = ctx.cell, Arguments.of(flat), kept, ctx.lengths, ctx.reverse
            return backward(*ran, d_output, d_final, needed, overwrites=last)

        return None, None, None, *batching.one_by_one(run, gradients)
