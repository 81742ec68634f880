"""Several networks of one kind whose scores are averaged."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.models.classifier import SequenceClassifier

__all__ = ["ClassifierEnsemble"]


class ClassifierEnsemble(nn.Module):
    """Classifiers that differ by their initial weights, and by the items that they are trained on at a step.

    A training batch is split among the networks, so that a step costs as much as that of one network. From epoch to
    epoch an item is read by other networks. In evaluation each network reads each item, and the scores are their means.

    Args:
        networks: of the same input size and number of labels, at least one.
    """

    def __init__(self, networks: Sequence[SequenceClassifier]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.input_size = networks[0].input_size

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        """Read sequences.

        Args:
            inputs: (B, T, I).
            lengths: true lengths (B,), 0 to T.

        Returns:
            The scores of the labels (B, K), and the final state of the first network's recurrent layers.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        count = len(self.networks)
        if not self.training or len(inputs) < count:
            results = [network(inputs, lengths) for network in self.networks]
            return torch.stack([scores for scores, _ in results]).mean(0), results[0][1]
        rows = [torch.arange(k, len(inputs), count, device=inputs.device) for k in range(count)]
        results = []
        for network, own in zip(self.networks, rows, strict=True):
            longest = int(lengths[own.cpu()].max())
            results.append(network(inputs[own, :longest], lengths[own.cpu()]))
        order = torch.cat(rows).argsort()
        return torch.cat([scores for scores, _ in results])[order], results[0][1]
