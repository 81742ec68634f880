"""Many-to-one: a sequence read, one decision made."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Architecture, EchoState, InputDecay, VariationalDropout, trunk
from recurra.models.convolution import SequenceConvolutions
from recurra.models.pooling import Pooling
from recurra.shapes import check_positive, check_probability

__all__ = ["SequenceClassifier"]


class SequenceClassifier(nn.Module):
    """Scores of labels: convolutions (by option), recurrent layers, a pooling over steps, a linear map.

    With convolutions the linear map also reads the mean and the largest value of each of their filters over steps: what
    has no order is told apart by these, and the recurrent layers add what has.

    Dropout, with the same mask at every step of a sequence (Gal and Ghahramani 2016), is on the inputs and between
    recurrent layers; plain dropout is on the pooled vector.

    Args:
        cell: the equations of recurrent layers, or of a reservoir, or the architecture of a stack.
        input_size: I, features of a step.
        hidden_size: H, of each direction.
        num_labels: K.
        num_layers: L.
        bidirectional: whether the sequence is also read backward.
        pooling: one or more of `recurra.models.POOLINGS`.
        filters: of the convolutions, see `SequenceConvolutions`; 0 for none.
        kernel_sizes: steps that a filter of each convolution sees.
        stride: steps that make one step of the recurrent layers.
        dropout: probability, between recurrent layers and on the pooled vector.
        input_dropout: probability that a feature of a sequence's inputs is dropped, at all steps. None: `dropout`. It
            should be 0 where a feature cannot be spared: a series of one channel would have nothing left.
        recurrent_dropout: probability, on what the recurrent weights read.
        elapsed_size: E, how many of the features of a step, the last ones, are the times since the last step. The
            recurrent layers read them as such, and as features too: what a time does to the state is not all that it
            tells. The cell must read the time, and there can be no convolutions, for which steps lie on a grid. 0:
            every time is 1.
        input_decay: C, channels whose missing values decay, see `InputDecay`: the features of a step are the values
            (C), their marks (C) and one time, and the times that the recurrent layers read are the age of each channel
            if `elapsed_size` is C, and that of the step if it is 1. 0: features are read as they are.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell | EchoState | Architecture,
        input_size: int,
        hidden_size: int,
        num_labels: int,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str | Sequence[str] = "max",
        filters: int = 0,
        kernel_sizes: Sequence[int] = (7, 5, 3),
        stride: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        input_dropout: float | None = None,
        elapsed_size: int = 0,
        input_decay: int = 0,
    ) -> None:
        super().__init__()
        check_positive("num_labels", num_labels)
        check_positive("filters", filters, at_least=0)
        check_probability("dropout", dropout)
        check_positive("elapsed_size", elapsed_size, at_least=0)
        if elapsed_size and (not isinstance(cell, Cell) or cell.elapsed == "none"):
            raise ParameterError("elapsed_size", f"0, as {cell!r} does not read the time", elapsed_size)
        if elapsed_size and filters:
            raise ParameterError("filters", "0 with elapsed_size, as convolutions need steps on a grid", filters)
        check_positive("input_decay", input_decay, at_least=0)
        if input_decay and (input_size != 2 * input_decay + 1 or elapsed_size not in (1, input_decay)):
            expected = "0, or C with 2 C + 1 features of a step and elapsed_size 1 or C"
            raise ParameterError("input_decay", expected, input_decay)
        self.input_size = input_size
        self.elapsed_size = elapsed_size
        self.decay = InputDecay(input_decay) if input_decay else None
        self.num_times = 1 if input_decay else elapsed_size
        self.convolution = None
        if filters:
            self.convolution = SequenceConvolutions(input_size, filters, kernel_sizes, stride)
            self.filter_pooling = Pooling(("mean", "max"), filters)
        self.input_dropout = VariationalDropout(dropout if input_dropout is None else input_dropout, batch_first=True)
        self.recurrent = trunk(
            cell,
            filters or input_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            variational=True,
            elapsed_size=elapsed_size or 1,
        )
        self.pooling = Pooling(pooling, self.recurrent.output_size, bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Linear(self.pooling.output_size + 2 * filters, num_labels)

    def forward(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """Read sequences.

        Args:
            inputs: (B, T, I).
            lengths: true lengths (B,), 0 to T; None: all T.

        Returns:
            The scores, or logits, of the labels (B, K), and the final state of the recurrent layers.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        pooled, state = self.pooled(inputs, lengths)
        return self.scores(self.dropout(pooled)), state

    def pooled(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """What the scores are linear in, before dropout (B, F), and the final state; else as `forward`."""
        if inputs.dim() != 3 or inputs.shape[2] != self.input_size:
            raise ShapeError("inputs", f"shape (B, T, I = {self.input_size})", tuple(inputs.shape))
        if lengths is None:
            lengths = torch.full(inputs.shape[:1], inputs.shape[1])
        elapsed = inputs[:, :, -self.num_times :] if self.num_times else None
        if self.decay is not None:
            values, missing, passed = inputs.split((self.decay.channels, self.decay.channels, 1), 2)
            filled, ages = self.decay(values, missing, passed)
            inputs, elapsed = torch.cat([filled, passed], 2), ages if self.elapsed_size > 1 else passed
        inputs, pooled = self.input_dropout(inputs), []
        if self.convolution is not None:
            inputs, lengths = self.convolution(inputs, lengths)
            pooled.append(self.filter_pooling(inputs, lengths))
        times = {} if elapsed is None else {"elapsed": elapsed}
        output, state = self.recurrent(inputs, lengths=lengths, **times)
        pooled.append(self.pooling(output, lengths))
        return torch.cat(pooled, 1), state
