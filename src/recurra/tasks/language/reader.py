"""A network that reads one text token by token, its state held here and nothing computed twice."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.models import RecurrentLanguageModel
from recurra.task import Fitted
from recurra.tasks.language.corpus import LanguageLearned

__all__ = ["AnyFitted", "Reader"]

AnyFitted = Fitted[LanguageLearned, RecurrentLanguageModel]

_LOGITS_AT_ONCE = 2**24
_STEPS_AT_ONCE = 4096


class Reader:
    """Reads a text that begins a line: the line end before it is read already.

    Args:
        model: trained; its network is put into evaluation mode.
    """

    def __init__(self, model: AnyFitted) -> None:
        self._network = model.network.eval()
        self._device = model.device
        self._state: Any = None
        self._features = self._advance(torch.tensor([model.learned.tokens.line_end]))

    @torch.no_grad()
    def log_probabilities(self) -> np.ndarray:
        """The log probability, in nats, of every token to come next: (V,) in double precision."""
        return self._network.log_probabilities(self._features).squeeze(0).double().cpu().numpy()

    def read(self, code: int) -> None:
        """Read one token."""
        self._features = self._advance(torch.tensor([code]))

    @torch.no_grad()
    def score(self, codes: Tensor) -> np.ndarray:
        """Read tokens (N,); the surprise, -log p in nats, of each given all before it: (N,) in double precision."""
        steps = max(1, min(_STEPS_AT_ONCE, _LOGITS_AT_ONCE // self._network.vocabulary_size))
        found = [np.zeros(0)]
        for segment in codes.split(steps) if len(codes) else ():
            features = self._advance(segment)
            before = torch.cat([self._features, features[:-1]])
            self._features = features[-1:]
            found.append(self._network.surprise(before, segment.to(self._device)).double().cpu().numpy())
        return np.concatenate(found)

    @torch.no_grad()
    def _advance(self, codes: Tensor) -> Tensor:
        """Read tokens (N,) from the state on; the features (N, F) after each."""
        features, self._state = self._network(codes.to(self._device).unsqueeze(0), self._state)
        return features.squeeze(0) if len(codes) > 1 else features[:, -1]
