"""The quasi-recurrent layer: gates of a convolution, and a pooling through time."""

from typing import Any

import torch
from torch import Tensor

from recurra.layers.stack.block import Block
from recurra.layers.stack.combined import parts_of
from recurra.layers.stack.convolution import CausalConvolution
from recurra.layers.stack.linear_recurrence import run_linear

__all__ = ["QRNN"]


class QRNN(Block):
    """Quasi-recurrent layer with fo-pooling (Bradbury et al. 2017, Quasi-recurrent neural networks, section "Model").

    z = tanh(W_z * x), f = sigmoid(W_f * x), o = sigmoid(W_o * x)     * a causal convolution of M steps
    c_t = f_t c_{t-1} + (1 - f_t) z_t
    h_t = o_t c_t

    The state is that of the convolution and c (1, B, O). All steps are computed by a scan.

    Args:
        input_size: I.
        output_size: O.
        kernel_size: M, steps that the gates see, the present one included.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int = 2) -> None:
        super().__init__(input_size, output_size)
        self.convolution = CausalConvolution(input_size, 3 * output_size, kernel_size, depthwise=False)

    def initial_state(self, batch_size: int = 1) -> tuple[Tensor, Tensor]:
        return self.convolution.initial_state(batch_size), self.zeros(1, batch_size, self.output_size)

    def run(
        self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inputs, memory = parts_of(state, 2)
        gates, inputs = self.convolution(x, inputs, lengths, resets)
        memory = self.checked_state(memory, "c", gates, self.output_size)
        z, f, o = gates.transpose(0, 1).chunk(3, 2)
        f = torch.sigmoid(f)
        states, memory = run_linear(f[None, None], ((1 - f) * torch.tanh(z))[None], memory, lengths, resets)
        return (torch.sigmoid(o) * states[0]).transpose(0, 1), (inputs, memory)
