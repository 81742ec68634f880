"""A recurrent decoder that attends to what an encoder read."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Architecture, trunk
from recurra.models.attention import Attention, Memory
from recurra.models.decoding import select_rows
from recurra.shapes import check_positive, check_probability

__all__ = ["AttentionDecoder", "Decoded", "DecoderState", "SearchState"]


class Decoded(NamedTuple):
    """What a decoder made of its inputs.

    Attributes:
        hidden: the attentional vectors (B, T, A), from which symbols are predicted.
        weights: of the attention (B, T, S).
    """

    hidden: Tensor
    weights: Tensor


class DecoderState(NamedTuple):
    """The state between two steps.

    Attributes:
        recurrent: of the recurrent layers, (L, B, H) or a tuple of these, or of a stack; None for zeros.
        feed: the last attentional vector (B, A), where it is fed to the next step; None for zeros.
        coverage: (B, S), of an attention with coverage; None for zeros.
    """

    recurrent: Any = None
    feed: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, index: Tensor) -> "DecoderState":
        """The rows that `index` (N,) names."""
        return DecoderState(
            select_rows(self.recurrent, index, batch_dim=1),
            select_rows(self.feed, index),
            select_rows(self.coverage, index),
        )


@dataclass
class SearchState:
    """What a search carries from step to step.

    Attributes:
        memory: of each row's sentence.
        sentences: which sentence each row is of (N,).
        decoder: its state.
    """

    memory: Memory
    sentences: Tensor
    decoder: DecoderState

    def select(self, index: Tensor) -> "SearchState":
        """The rows that `index` names; the memory is copied only where rows go to another sentence."""
        sentences = self.sentences[index]
        same = torch.equal(sentences, self.sentences)
        return SearchState(self.memory if same else self.memory.select(index), sentences, self.decoder.select(index))


class AttentionDecoder(nn.Module):
    """Recurrent layers, attention from their output h to the memory, and the attentional vector (Luong et al. 2015).

    a = tanh(W [context; h])      context = the attention's, with the query h

    With input feeding (section 3.3 there) each step also reads the vector a of the step before: steps then depend on
    each other through the attention and run one by one. Without it the recurrence runs over all steps at once, and the
    attention after it.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        input_size: J, features of a step.
        hidden_size: H.
        attention: from queries of size H.
        num_layers: L.
        attentional_size: A, of the attentional vector; None: H.
        input_feeding: whether steps read the attentional vector before.
        dropout: between layers and on attentional vectors, while training.

    Raises:
        ParameterError: for a parameter out of its range, or an attention whose queries are of another size.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        hidden_size: int,
        attention: Attention,
        num_layers: int = 1,
        attentional_size: int | None = None,
        input_feeding: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("input_size", input_size)
        check_probability("dropout", dropout)
        size = hidden_size if attentional_size is None else attentional_size
        check_positive("attentional_size", size)
        read = input_size + size if input_feeding else input_size
        self.recurrent = trunk(cell, read, hidden_size, num_layers, dropout=dropout)
        if attention.query_size != self.recurrent.output_size:
            expected = f"one with query_size = {self.recurrent.output_size}, the decoder's output"
            raise ParameterError("attention", expected, attention.query_size)
        self.attention = attention
        self.combine = nn.Linear(attention.memory_size + attention.query_size, size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.input_feeding = input_feeding
        self.attentional_size = size

    def forward(
        self, inputs: Tensor, memory: Memory, state: DecoderState | None = None
    ) -> tuple[Decoded, DecoderState]:
        """Decode.

        Args:
            inputs: (B, T, J), T at least 1.
            memory: of `attention.prepare`, for the B sequences.
            state: before the first step; `DecoderState(h)` begins with the recurrent state h, from a `Bridge` say, None
                with zeros.

        Returns:
            Attentional vectors and weights of the T steps, and the state after them.

        Raises:
            ShapeError: if a shape does not fit.
        """
        if inputs.dim() != 3 or not inputs.shape[1]:
            raise ShapeError("inputs", "shape (B, T, J) with T at least 1", tuple(inputs.shape))
        state = DecoderState() if state is None else state
        if not self.input_feeding:
            return self._decode(inputs, memory, state)
        feed = inputs.new_zeros(len(inputs), self.attentional_size) if state.feed is None else state.feed
        state = DecoderState(state.recurrent, feed, state.coverage)
        outputs: list[Decoded] = []
        for step in inputs.unbind(1):
            read = torch.cat([step, feed], dim=1).unsqueeze(1)
            decoded, state = self._decode(read, memory, state)
            outputs.append(decoded)
            feed = decoded.hidden.squeeze(1)
        hidden, weights = (torch.cat(parts, dim=1) for parts in zip(*outputs, strict=True))
        return Decoded(hidden, weights), DecoderState(state.recurrent, feed, state.coverage)

    def _decode(self, read: Tensor, memory: Memory, state: DecoderState) -> tuple[Decoded, DecoderState]:
        """Steps (B, T, ...) that do not read each other's attentional vectors."""
        output, recurrent = self.recurrent(read, state.recurrent)
        context, weights, coverage = self.attention(output, memory, state.coverage)
        hidden = self.dropout(torch.tanh(self.combine(torch.cat([context, output], dim=2))))
        return Decoded(hidden, weights), DecoderState(recurrent, state.feed, coverage)
