"""A trained translator as it computes."""

from dataclasses import dataclass, field

import numpy as np
import torch

from recurra.data.text.subwords import Subwords
from recurra.tasks.translate.network import TranslationNetwork
from recurra.tasks.translate.pairs import Pairs, source_tensors
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training.device import usable_device

__all__ = ["FittedModel"]


@dataclass
class FittedModel:
    """Everything a translation needs.

    Attributes:
        settings: of the translator.
        source: subwords of the source language.
        target: subwords of the target language; the same where the vocabulary is joint.
    """

    settings: TranslationSettings
    source: Subwords
    target: Subwords
    network: TranslationNetwork = field(init=False)

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = TranslationNetwork(self.settings, len(self.source), len(self.target))
        # What was trained on a GPU runs anywhere.
        name = self.settings.device
        self.device = usable_device(name)
        self.network = network.to(self.device)

    @torch.no_grad()
    def attention(self, source: str, target: str) -> tuple[list[str], list[str], np.ndarray]:
        """What each subword of a translation attends to.

        Args:
            source: a sentence.
            target: its translation.

        Returns:
            The source's subwords (S) with the end, the target's (T) with the end, and the weights (T, S).
        """
        read = self.source.encode(source)[: self.settings.max_length]
        written = self.target.encode(target)
        tokens, lengths = source_tensors([read], self.device)
        inputs = torch.tensor([[Subwords.begin, *written]], device=self.device)
        self.network.eval()
        output, _ = self.network(Pairs(tokens, lengths, inputs, torch.tensor([inputs.shape[1]])))
        ended = [[*model.pieces(numbers), "⏎"] for model, numbers in ((self.source, read), (self.target, written))]
        return ended[0], ended[1], output.weights[0].cpu().numpy()
