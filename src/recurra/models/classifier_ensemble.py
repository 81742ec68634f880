"""Several networks of one kind whose scores are averaged."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.models.classifier import SequenceClassifier

__all__ = ["ClassifierEnsemble"]


class ClassifierEnsemble(nn.Module):
    """Classifiers that differ by their initial weights, and by the items that they are trained on at a step.

    A training batch is shared out among the members, so that a step costs as much as that of one network; from epoch to
    epoch an item is read by other members. In evaluation each member reads each item, and the scores are their means.

    Args:
        members: of the same input size and number of labels, at least one.
    """

    def __init__(self, members: Sequence[SequenceClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.input_size = members[0].input_size

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        """Read sequences.

        Args:
            inputs: (B, T, I).
            lengths: true lengths (B,), 0 to T.

        Returns:
            The scores of the labels (B, K), and the final state of the first member's recurrent layers.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        count = len(self.members)
        if not self.training or len(inputs) < count:
            found = [member(inputs, lengths) for member in self.members]
            return torch.stack([scores for scores, _ in found]).mean(0), found[0][1]
        rows = [torch.arange(k, len(inputs), count, device=inputs.device) for k in range(count)]
        found = []
        for member, own in zip(self.members, rows, strict=True):
            longest = int(lengths[own.cpu()].max())
            found.append(member(inputs[own, :longest], lengths[own.cpu()]))
        order = torch.cat(rows).argsort()
        return torch.cat([scores for scores, _ in found])[order], found[0][1]
