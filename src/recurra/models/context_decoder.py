"""A recurrent decoder that attends before it steps."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Recurrent
from recurra.models.attention import Attention, Memory
from recurra.shapes import check_positive

__all__ = ["ContextDecoder", "ContextOutput"]


class ContextOutput(NamedTuple):
    """What a decoder made of its inputs.

    Attributes:
        hidden: the recurrent layers' output (B, T, H).
        context: what each step read of the memory, times its gate (B, T, M).
        weights: of the attention (B, T, S).
        gate: beta (B, T, 1).
    """

    hidden: Tensor
    context: Tensor
    weights: Tensor
    gate: Tensor


class ContextDecoder(nn.Module):
    """Recurrent layers that read, beside each input, what their output before it attends to (Xu et al. 2015).

    z_t = beta_t * attention(h_{t-1})      beta_t = sigmoid(w h_{t-1} + b)
    h_t = recurrent([x_t; z_t])

    This is soft attention with the gate beta of section 4.2.1 there; without the gate it is that of Bahdanau et al.
    (2015). Steps depend on each other through the attention, and run one by one.

    Args:
        cell: the equations.
        input_size: J, features of a step.
        hidden_size: H.
        attention: from queries of size H, without coverage.
        num_layers: L.
        dropout: between layers, while training.

    Raises:
        ParameterError: for a parameter out of its range, or an attention whose queries are of another size or that has
            coverage.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        attention: Attention,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("input_size", input_size)
        read = input_size + attention.memory_size
        self.recurrent = Recurrent(cell, read, hidden_size, num_layers, dropout=dropout, batch_first=True)
        size = self.recurrent.output_size
        if attention.query_size != size or attention.coverage:
            expected = f"one with query_size = {size}, the decoder's output, and without coverage"
            raise ParameterError("attention", expected, attention.query_size)
        self.attention = attention
        self.gate = nn.Linear(size, 1)

    def forward(self, inputs: Tensor, memory: Memory, state: Any) -> tuple[ContextOutput, Any]:
        """Decode.

        Args:
            inputs: (B, T, J), T at least 1.
            memory: of `attention.prepare`, for the B sequences.
            state: of the recurrent layers before the first step, such as a `FirstState` computes.

        Returns:
            The output of the T steps, and the state after them.

        Raises:
            ShapeError: if a shape does not fit.
        """
        if inputs.dim() != 3 or not inputs.shape[1]:
            raise ShapeError("inputs", "shape (B, T, J) with T at least 1", tuple(inputs.shape))
        steps: list[ContextOutput] = []
        for step in inputs.split(1, dim=1):
            # The first part of a state is the output of its layer.
            before = (state[0] if isinstance(state, tuple) else state)[-1].unsqueeze(1)
            gate = torch.sigmoid(self.gate(before))
            attended = self.attention(before, memory)
            context = gate * attended.context
            hidden, state = self.recurrent(torch.cat([step, context], dim=2), state)
            steps.append(ContextOutput(hidden, context, attended.weights, gate))
        return ContextOutput(*(torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))), state
