"""A classifier as it computes: from items to probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.batches.buckets import Buckets
from recurra.tasks.classify.encoding import EncodedSeries, EncodedTexts, SeriesEncoding, TextEncoding
from recurra.tasks.classify.labels import LabelSet
from recurra.tasks.classify.network import ClassifierNetwork, make_network
from recurra.tasks.classify.settings import ClassifySettings
from recurra.training.device import usable_device

__all__ = ["FittedClassifier"]

_STEPS_AT_ONCE = 4096


@dataclass
class FittedClassifier:
    """Everything classifying needs.

    Attributes:
        settings: of the classifier.
        encoding: of texts or series.
        labels: that it tells apart.
        vectors: pretrained (V, P), row 0 for words without one; None where there are none.
        temperature: that logits are divided by.
    """

    settings: ClassifySettings
    encoding: TextEncoding | SeriesEncoding
    labels: LabelSet
    vectors: Tensor | None = None
    temperature: float = 1.0
    network: ClassifierNetwork = field(init=False)

    def __post_init__(self) -> None:
        # On the CPU where there is no other, so that what was trained on a GPU runs anywhere.
        self.device = usable_device(self.settings.device)
        size = 0 if self.vectors is None else self.vectors.shape[1]
        self.network = make_network(self.settings, self.encoding, len(self.labels), size).to(self.device)

    @property
    def reads_texts(self) -> bool:
        """Whether items are texts; else they are series."""
        return isinstance(self.encoding, TextEncoding)

    def encode(self, items: Sequence[Any], source: str = "the data") -> EncodedTexts | EncodedSeries:
        """Items ready to be cut into batches.

        Raises:
            DataError: for series of other channels than in training.
        """
        if isinstance(self.encoding, TextEncoding):
            return EncodedTexts(self.encoding, items, self.vectors, source)
        return EncodedSeries(self.encoding, items, source)

    @torch.no_grad()
    def logits(self, encoded: EncodedTexts | EncodedSeries, network: nn.Module | None = None) -> np.ndarray:
        """Scores of labels (N, K), without the temperature.

        Args:
            encoded: at least one item.
            network: with other weights than the model's; its own where None.
        """
        found = np.empty((len(encoded.lengths), len(self.labels)), np.float32)
        at_once = max(_STEPS_AT_ONCE, int(encoded.lengths.max()))
        buckets = Buckets(encoded.lengths, tokens=at_once, shuffle=False)
        network = self.network if network is None else network
        network.eval()
        for step in range(1, buckets.steps_per_epoch + 1):
            indices = buckets(step)
            found[indices] = network(encoded.batch(indices).to(self.device))[0].float().cpu().numpy()
        return found

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)
