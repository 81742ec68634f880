"""A convolution over time that sees no step to come."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.errors import ParameterError
from recurra.layers.stack.block import Block, last_steps, pieces
from recurra.shapes import check_positive

__all__ = ["CausalConvolution"]


class CausalConvolution(Block):
    """A causal convolution: each step sees itself and the M - 1 steps before it, or zeros where a sequence began.

    y_t = b + sum_j W_j x_{t - (M - 1) + j}, j = 0 to M - 1

    The state is the last M - 1 inputs, (1, B, M - 1, I).

    Args:
        input_size: I.
        output_size: O.
        kernel_size: M, steps that a step sees, itself included.
        depthwise: whether each feature sees itself alone; I and O are then the same.

    The parameters are those of torch.nn.Conv1d: `weight` (O, I, M), or (O, 1, M) if depthwise, and `bias` (O,).

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int = 4, *, depthwise: bool = True) -> None:
        super().__init__(input_size, output_size)
        check_positive("kernel_size", kernel_size)
        if depthwise and input_size != output_size:
            expected = f"False where {input_size} features are read and {output_size} are put out"
            raise ParameterError("depthwise", expected, depthwise)
        self.kernel_size = kernel_size
        self.depthwise = depthwise
        self.weight = nn.Parameter(torch.empty(output_size, 1 if depthwise else input_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(output_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sample the parameters again, as in torch.nn.Conv1d: uniform in +-1/sqrt(I M), or +-1/sqrt(M) if depthwise."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def initial_state(self, batch_size: int = 1) -> Tensor:
        return self.zeros(1, batch_size, self.kernel_size - 1, self.input_size)

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        before, steps = self.kernel_size - 1, x.shape[1]
        seen = torch.cat([self.checked_state(state, "inputs", x, before, self.input_size)[0], x], 1)
        piece = None if resets is None else pieces(resets, before)
        taps = [seen[:, j : j + steps] for j in range(self.kernel_size)]
        if piece is not None:
            others = [(piece[:, j : j + steps] != piece[:, before:]).unsqueeze(2) for j in range(self.kernel_size)]
            taps = [tap.masked_fill(other, 0) for tap, other in zip(taps, others, strict=True)]
        if self.depthwise:
            output = sum((tap * self.weight[:, 0, j] for j, tap in enumerate(taps)), self.bias)
        else:
            output = linear(torch.cat(taps, 2), self.weight.transpose(1, 2).flatten(1), self.bias)
        after = last_steps(seen, before, lengths, before)
        if piece is not None and before:
            own = last_steps(piece, before, lengths, before)
            after = after.masked_fill((own != last_steps(piece, before, lengths, 1)).unsqueeze(2), 0)
        return output, after.unsqueeze(0)

    def extra_repr(self) -> str:
        depthwise = "" if self.depthwise else ", depthwise=False"
        return f"{self.input_size}, {self.output_size}, kernel_size={self.kernel_size}{depthwise}"
