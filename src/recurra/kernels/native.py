"""The engine: a cell's equations compiled into the time loop, forward and backward."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from recurra.cells import Cell
from recurra.kernels import extension, reference
from recurra.kernels.weights import Weights

__all__ = ["run"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`."""
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return inputs.new_zeros(*inputs.shape[:2], state[0].shape[1]), state
    # One large product for all steps: torch's is as fast as they come.
    projected = linear(inputs, weights.weight_ih, weights.bias_ih)
    per_unit = torch.stack([weights.per_unit[name] for name in cell.per_unit]) if cell.per_unit else None
    output, final = _Recurrence.apply(
        cell, projected, weights.weight_hh, weights.bias_hh, per_unit, torch.stack(state), lengths, reverse
    )
    return output, final.unbind(0)


class _Recurrence(torch.autograd.Function):
    """The recurrence over projected inputs (T, B, G * H), from and to states (S, B, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        projected: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        per_unit: Tensor | None,
        initial: Tensor,
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        compiled = extension.best(cell)
        steps, batch, _ = projected.shape
        parts, _, hidden = initial.shape
        training = any(ctx.needs_input_grad)
        projected, weight, initial = projected.contiguous(), weight.contiguous(), initial.contiguous()
        bias = None if bias is None else bias.contiguous()
        # Padding is not touched by the engine; elsewhere it writes every element.
        make = projected.new_empty if lengths is None else projected.new_zeros
        output = make(steps, batch, hidden)
        history = projected.new_empty(parts - 1, steps, batch, hidden) if training else None
        final = torch.empty_like(initial)
        kept = projected.new_empty(steps, batch, compiled.kept, hidden) if training else None
        call = _call(projected, initial, lengths, reverse)
        call.weight, call.bias, call.per_unit = _pointer(weight), _pointer(bias), _pointer(per_unit)
        call.output, call.history = _pointer(output), _pointer(history)
        call.final_state, call.kept = _pointer(final), _pointer(kept)
        _launch(compiled.forward, call, projected)
        ctx.cell, ctx.lengths, ctx.reverse = cell, lengths, reverse
        if training:
            ctx.save_for_backward(projected, weight, bias, per_unit, initial, output)
            ctx.history, ctx.kept = history, kept
        return output, final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_output, d_final = gradients
        if torch.is_grad_enabled():
            return _backward_by_reference(ctx, d_output, d_final)
        cell, lengths, reverse = ctx.cell, ctx.lengths, ctx.reverse
        projected, weight, bias, per_unit, initial, output = ctx.saved_tensors
        compiled = extension.best(cell)
        make = torch.empty_like if lengths is None else torch.zeros_like
        d_x = make(projected)
        d_u = d_x if compiled.shares_gradient else make(projected)
        d_initial = torch.empty_like(initial)
        d_per_unit = initial.new_empty(len(cell.per_unit), initial.shape[2])
        d_output, d_final = d_output.contiguous(), d_final.contiguous()
        call = _call(projected, initial, lengths, reverse)
        call.weight, call.bias, call.per_unit = _pointer(weight), _pointer(bias), _pointer(per_unit)
        call.output, call.history, call.kept = _pointer(output), _pointer(ctx.history), _pointer(ctx.kept)
        call.d_output, call.d_final = _pointer(d_output), _pointer(d_final)
        call.d_x, call.d_u = _pointer(d_x), None if compiled.shares_gradient else _pointer(d_u)
        call.d_initial, call.d_per_unit = _pointer(d_initial), _pointer(d_per_unit)
        _launch(compiled.backward, call, projected)
        d_weight = _weight_gradient(d_u, output, initial[0], lengths, reverse) if ctx.needs_input_grad[2] else None
        d_bias = d_u.sum((0, 1)) if bias is not None else None
        return None, d_x, d_weight, d_bias, d_per_unit if per_unit is not None else None, d_initial, None, None


def _backward_by_reference(ctx: Any, d_output: Tensor, d_final: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients as a graph of torch operations, for a second derivative."""
    projected, weight, bias, per_unit, initial, _ = ctx.saved_tensors
    cell = ctx.cell
    named = {} if per_unit is None else dict(zip(cell.per_unit, per_unit, strict=True))
    weights = Weights(weight, weight, None, bias, per_unit=named)
    output, final = reference.run_projected(cell, projected, initial.unbind(0), weights, ctx.lengths, ctx.reverse)
    inputs = [projected, weight, bias, per_unit, initial]
    wanted = [tensor for tensor, needed in zip(inputs, ctx.needs_input_grad[1:6], strict=True) if needed]
    found = iter(
        torch.autograd.grad(
            (output, torch.stack(final)), wanted, (d_output, d_final), create_graph=True, allow_unused=True
        )
    )
    gradients = [next(found) if needed else None for needed in ctx.needs_input_grad[1:6]]
    return None, *gradients, None, None


def _weight_gradient(d_u: Tensor, output: Tensor, initial: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """The sum over steps of d_u_t (outer) h before it; at padding d_u is zero."""
    gates = d_u.shape[2]

    def product(gradient: Tensor, before: Tensor) -> Tensor:
        return gradient.reshape(-1, gates).T @ before.reshape(-1, before.shape[-1])

    if not reverse:
        return product(d_u[1:], output[:-1]) + product(d_u[0], initial)
    if lengths is None:
        return product(d_u[:-1], output[1:]) + product(d_u[-1], initial)
    last = (lengths - 1).clamp(min=0).reshape(1, -1, 1).expand(1, -1, gates)
    return product(d_u[:-1], output[1:]) + product(d_u.gather(0, last)[0], initial)


def _call(projected: Tensor, initial: Tensor, lengths: Tensor | None, reverse: bool) -> extension.Call:
    steps, batch, _ = projected.shape
    call = extension.Call(steps, batch, initial.shape[2], int(reverse), torch.get_num_threads())
    call.lengths, call.x, call.initial = _pointer(lengths), _pointer(projected), _pointer(initial)
    return call


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _launch(functions: dict[int, Any], call: extension.Call, like: Tensor) -> None:
    if functions[like.element_size() * 8](call, extension.parallel()):
        raise MemoryError("the native kernel could not allocate its buffers")
