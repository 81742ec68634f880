"""Many-to-one, where some features of a step are evidence that a sum over steps already decides by."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.models.classifier import SequenceClassifier
from recurra.shapes import check_positive

__all__ = ["EvidenceClassifier"]

_INITIAL = 0.3  # below 1, as the evidence of neighbours is not independent


class EvidenceClassifier(SequenceClassifier):
    """A `SequenceClassifier` that adds to its scores the weighted sum of the evidence over all steps.

    The last `kinds` times K features of a step are evidence for each of K labels, by kind. The recurrent layers read
    them like the others; what they make of their order corrects the sum.

    Args:
        cell: the equations.
        input_size: I, features of a step, evidence included.
        hidden_size: H, of each direction.
        num_labels: K.
        kinds: of evidence. Each has one weight, which is learned.
        options: see `SequenceClassifier`.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, num_labels: int, kinds: int, **options: Any
    ) -> None:
        check_positive("kinds", kinds)
        check_positive("input_size", input_size, at_least=kinds * num_labels)
        super().__init__(cell, input_size, hidden_size, num_labels, **options)
        self.evidence = nn.Parameter(torch.full((kinds,), _INITIAL))

    def forward(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """Read sequences; see `SequenceClassifier.forward`."""
        scores, state = super().forward(inputs, lengths)
        kinds, labels = len(self.evidence), scores.shape[1]
        evidence = inputs[:, :, inputs.shape[2] - kinds * labels :]
        if lengths is not None:
            ends = torch.as_tensor(lengths).to(inputs.device).unsqueeze(1)
            padding = torch.arange(inputs.shape[1], device=inputs.device) >= ends
            evidence = evidence.masked_fill(padding.unsqueeze(2), 0)
        sums = evidence.sum(1).unflatten(1, (kinds, labels))
        return scores + (self.evidence.unsqueeze(1) * sums).sum(1), state
