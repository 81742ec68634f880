"""The engine: a cell's equations compiled into the time loop, forward and backward."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from recurra.cells import Cell
from recurra.kernels import extension, reference
from recurra.kernels.weights import Weights
from recurra.shapes import check_dtype, check_lengths, check_shape

__all__ = ["run"]


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`.

    Raises:
        ShapeError: where the tensors do not fit together, which the engine would not notice.
        MemoryError: where there is not enough.
    """
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return inputs.new_zeros(*inputs.shape[:2], state[0].shape[1]), state
    # One large product for all steps: torch's is as fast as they come.
    projected = linear(inputs, weights.weight_ih, weights.bias_ih)
    _check(cell, projected, state, weights)
    if lengths is not None:
        # A copy, so that a change of theirs before the backward pass does no harm.
        lengths = check_lengths(lengths, inputs.shape[1], inputs.shape[0]).clone(memory_format=torch.contiguous_format)
    per_unit = torch.stack([weights.per_unit[name] for name in cell.per_unit]) if cell.per_unit else None
    output, final = _Recurrence.apply(
        cell,
        # Made contiguous here, where autograd sees it.
        projected.contiguous(),
        weights.weight_hh.contiguous(),
        None if weights.bias_hh is None else weights.bias_hh.contiguous(),
        per_unit,
        torch.stack(state),
        lengths,
        reverse,
        torch.is_grad_enabled(),
    )
    return output, final.unbind(0)


def _check(cell: Cell, projected: Tensor, state: tuple[Tensor, ...], weights: Weights) -> None:
    """Refuse what does not fit: the engine reads and writes memory by the sizes it is told."""
    weight, bias = weights.weight_hh, weights.bias_hh
    batch, hidden, gates = projected.shape[1], weight.shape[-1], len(cell.gates)
    named = [
        ("weight_ih", projected, (*projected.shape[:2], gates * hidden), "(T, B, G * H) times input"),
        ("weight_hh", weight, (gates * hidden, hidden), "(G * H, H)"),
        *(("bias_hh", tensor, (gates * hidden,), "(G * H,)") for tensor in (bias,) if tensor is not None),
        *((f"state ({name})", part, (batch, hidden), "(B, H)") for name, part in zip(cell.state, state, strict=True)),
        *((name, weights.per_unit[name], (hidden,), "(H,)") for name in cell.per_unit),
    ]
    for name, tensor, shape, letters in named:
        check_shape(name, tensor, shape, letters)
        check_dtype(name, tensor, projected)


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
        grad_enabled: bool,
    ) -> tuple[Tensor, Tensor]:
        compiled = extension.best(cell)
        steps, batch, _ = projected.shape
        parts, _, hidden = initial.shape
        # A parameter says that it needs a gradient under no_grad too.
        training = grad_enabled and any(ctx.needs_input_grad)
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
            ctx.save_for_backward(projected, weight, bias, per_unit, initial, output, history, kept)
        return output, final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_output, d_final = gradients
        if torch.is_grad_enabled():
            return _backward_by_reference(ctx, d_output, d_final)
        cell, lengths, reverse = ctx.cell, ctx.lengths, ctx.reverse
        projected, weight, bias, per_unit, initial, output, history, kept = ctx.saved_tensors
        compiled = extension.best(cell)
        make = torch.empty_like if lengths is None else torch.zeros_like
        d_x = make(projected)
        d_u = d_x if compiled.shares_gradient else make(projected)
        d_initial = torch.empty_like(initial)
        d_per_unit = initial.new_empty(len(cell.per_unit), initial.shape[2])
        d_output, d_final = d_output.contiguous(), d_final.contiguous()
        call = _call(projected, initial, lengths, reverse)
        call.weight, call.bias, call.per_unit = _pointer(weight), _pointer(bias), _pointer(per_unit)
        call.output, call.history, call.kept = _pointer(output), _pointer(history), _pointer(kept)
        call.d_output, call.d_final = _pointer(d_output), _pointer(d_final)
        call.d_x, call.d_u = _pointer(d_x), None if compiled.shares_gradient else _pointer(d_u)
        call.d_initial, call.d_per_unit = _pointer(d_initial), _pointer(d_per_unit)
        _launch(compiled.backward, call, projected)
        d_weight = _weight_gradient(d_u, output, initial[0], lengths, reverse) if ctx.needs_input_grad[2] else None
        d_bias = d_u.sum((0, 1)) if bias is not None else None
        return None, d_x, d_weight, d_bias, d_per_unit if per_unit is not None else None, d_initial, None, None, None


def _backward_by_reference(ctx: Any, d_output: Tensor, d_final: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients as a graph of torch operations, for a second derivative."""
    # Views: one of these inputs may have been computed from another, and that is not this function's to follow.
    inputs: list[Any] = [None if tensor is None else tensor.view_as(tensor) for tensor in ctx.saved_tensors[:5]]
    projected, weight, bias, per_unit, initial = inputs
    cell = ctx.cell
    named = {} if per_unit is None else dict(zip(cell.per_unit, per_unit, strict=True))
    weights = Weights(weight, weight, None, bias, per_unit=named)
    output, final = reference.run_projected(cell, projected, initial.unbind(0), weights, ctx.lengths, ctx.reverse)
    wanted = [tensor for tensor, needed in zip(inputs, ctx.needs_input_grad[1:6], strict=True) if needed]
    found = iter(
        torch.autograd.grad(
            (output, torch.stack(final)), wanted, (d_output, d_final), create_graph=True, allow_unused=True
        )
    )
    gradients = [next(found) if needed else None for needed in ctx.needs_input_grad[1:6]]
    return None, *gradients, None, None, None


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
