"""A single step of a plain layer, in training or inference, with as little work around the engine as there can be."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from recurra.kernels.native import extension
from recurra.kernels.native import forward as forwards
from recurra.kernels.native.arguments import SINGLE, Arguments
from recurra.kernels.native.autograd import Asked, general_gradients, is_plain_backward
from recurra.kernels.native.launches import run_alone
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Weights

__all__ = ["SingleStep", "single_step"]

# With more rows the products are nearly all of the work, and the general way makes them.
_MOST_ROWS = 64
# The engine reads the weights as they are, once for each row, if there are so few rows and numbers to read in all; else
# torch makes the projections.
_UNPACKED_ROWS, _UNPACKED_READS = 8, 2**18


class SingleStep:
    """A prepared layer for sequences of one step.

    Attributes:
        prepared: the layer.
        native: the engine's part.
        saved: numbers of a row that are saved for the backward pass.
        same_gradient: whether the gradients of both projections are the same.
        row: numbers of a row that the backward pass works on.
        unpacked_rows: the most rows for which the engine makes the projections.
    """

    def __init__(self, prepared: Prepared, weights: Weights) -> None:
        compiled, (rows, features) = prepared.compiled, weights.weight_ih.shape
        self.prepared = prepared
        self.unpacked_rows = min(_UNPACKED_ROWS, _UNPACKED_READS // max(1, prepared.fused_weights))
        self.saved = compiled.saved * prepared.hidden
        self.same_gradient = compiled.shares_gradient
        self.row = rows * (1 if self.same_gradient else 2) + prepared.hidden * len(prepared.sizes)
        self.native = extension.single_step(
            prepared.call, compiled, len(prepared.cell.gates), features, weights.weight_ih
        )

    def serves(self, inputs: Tensor) -> bool:
        """Whether the sequence (T, B, I) is one step of few rows."""
        return inputs.shape[0] == 1 and inputs.shape[1] <= _MOST_ROWS

    def run(self, inputs: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output and the final state by part, with gradients if torch asks for them.

        Raises:
            MemoryError: if there is not enough memory.
        """
        weight_ih, weight_hh, bias_ih, bias_hh = weights[:4]
        tensors = (inputs, weight_ih, weight_hh, bias_ih, bias_hh, *state)
        if torch.is_grad_enabled() and any([t is not None and t.requires_grad for t in tensors]):  # noqa: C419 (faster)
            output, *final = _Step.apply(self, *tensors)
            return output, tuple(final)
        output, final, _ = self.forward(inputs, state, weight_ih, weight_hh, bias_ih, bias_hh, False)
        return output, tuple(final)

    def forward(
        self,
        inputs: Tensor,
        state: Sequence[Tensor],
        weight_ih: Tensor,
        weight_hh: Any,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
        training: bool,
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """The output, the final state by part, and what is saved for the backward pass."""
        batch = inputs.shape[1]
        x, u = inputs, None
        if batch > self.unpacked_rows:
            x, u = linear(inputs, weight_ih, bias_ih), linear(state[0], weight_hh, bias_hh)
        output = inputs.new_empty(1, batch, self.prepared.hidden)
        final = [torch.empty_like(part) for part in state]
        saved = inputs.new_empty(batch * self.saved) if training else None
        self.native.forward(
            batch,
            torch.get_num_threads(),
            x.data_ptr(),
            0 if u is None else u.data_ptr(),
            output.data_ptr(),
            0 if saved is None else saved.data_ptr(),
            [part.data_ptr() for part in state],
            [part.data_ptr() for part in final],
        )
        return output, final, saved


class _Step(torch.autograd.Function):
    """The step with its backward pass; what is more than a first derivative is the general way's."""

    @staticmethod
    def forward(ctx: Any, step: SingleStep, inputs: Tensor, *others: Any) -> tuple[Tensor, ...]:
        weight_ih, weight_hh, bias_ih, bias_hh, *state = others
        output, final, saved = step.forward(inputs, state, weight_ih, weight_hh, bias_ih, bias_hh, True)
        ctx.step = step
        ctx.save_for_backward(inputs, *others, saved)
        ctx.set_materialize_grads(False)
        return output, *final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        step: SingleStep = ctx.step
        needs = ctx.needs_input_grad
        inputs, weight_ih, weight_hh, bias_ih, bias_hh, *state, saved = ctx.saved_tensors
        if not is_plain_backward(gradients):
            a = Arguments(inputs, Weights(weight_ih, weight_hh, bias_ih, bias_hh), None, (), tuple(state))
            with torch.no_grad():
                _, _, again = run_alone(forwards.forward(step.prepared, a, None, True))
            assert again is not None
            parts = [False] * len(state)
            needed = (*needs[1:6], *[False] * (len(SINGLE) - 5), *parts, *needs[6:])
            of_flat = general_gradients(Asked(step.prepared, a.flat(), again, None, needed, gradients, False))
            return None, *of_flat[:5], *of_flat[-len(state) :]
        d_output, *d_final = [None if g is None else g.contiguous() for g in gradients]
        batch = inputs.shape[1]
        results = [
            torch.empty_like(tensor) if needs and tensor is not None else None
            for tensor, needs in zip((inputs, weight_ih, weight_hh, bias_ih, bias_hh, *state), needs[1:], strict=True)
        ]
        d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, *d_state = [
            0 if result is None else result.data_ptr() for result in results
        ]
        work = inputs.new_empty(batch * step.row)
        step.native.backward(
            batch,
            torch.get_num_threads(),
            step.same_gradient,
            inputs.data_ptr(),
            weight_ih.data_ptr(),
            weight_hh.data_ptr(),
            saved.data_ptr(),
            0 if d_output is None else d_output.data_ptr(),
            work.data_ptr(),
            d_inputs,
            d_weight_ih,
            d_weight_hh,
            d_bias_ih,
            d_bias_hh,
            [part.data_ptr() for part in state],
            [0 if part is None else part.data_ptr() for part in d_final],
            d_state,
        )
        return None, *results


def single_step(prepared: Prepared, weights: Weights) -> SingleStep | None:
    """The layer's single step, or None if it has options that only the general way serves."""
    options = weights.weight_hr, weights.bias_hr, weights.norm_ih, weights.norm_hh, weights.per_unit
    plain = prepared.plain_product and weights.weight_hh is not None and all(option is None for option in options)
    return SingleStep(prepared, weights) if plain else None
