"""Many-to-many: a sequence read, a decision at every step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.layers import Architecture, VariationalDropout, trunk
from recurra.shapes import check_positive, check_probability

__all__ = ["StepClassifier"]


class StepClassifier(nn.Module):
    """Scores of labels at every step: recurrent layers, a linear map.

    Dropout, with the same mask at every step of a sequence (Gal and Ghahramani 2016), is on the inputs, between the
    layers and on their outputs.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        input_size: I, features of a step.
        hidden_size: H, of each direction.
        num_labels: K.
        num_layers: L.
        bidirectional: whether the sequence is also read backward.
        dropout: probability, between recurrent layers and on what the linear map reads.
        input_dropout: probability that a feature of a sequence's inputs is dropped, at all steps.
        recurrent_dropout: probability, on what the recurrent weights read.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        hidden_size: int,
        num_labels: int,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("num_labels", num_labels)
        check_probability("dropout", dropout)
        self.input_size = input_size
        self.input_dropout = VariationalDropout(input_dropout, batch_first=True)
        self.recurrent = trunk(
            cell,
            input_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            variational=True,
        )
        self.dropout = VariationalDropout(dropout, batch_first=True)
        self.scores = nn.Linear(self.recurrent.output_size, num_labels)

    def forward(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """Read sequences.

        Args:
            inputs: (B, T, I).
            lengths: true lengths (B,), 0 to T; None: all T.

        Returns:
            The scores, or logits, of the labels at each step (B, T, K), of no meaning beyond the lengths, and the final
            state of the recurrent layers.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if inputs.dim() != 3 or inputs.shape[2] != self.input_size:
            raise ShapeError("inputs", f"shape (B, T, I = {self.input_size})", tuple(inputs.shape))
        if lengths is None:
            lengths = torch.full(inputs.shape[:1], inputs.shape[1])
        output, state = self.recurrent(self.input_dropout(inputs), lengths=lengths)
        return self.scores(self.dropout(output)), state
