"""A network that reads one text token by token, with its state held here; nothing is computed twice."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.errors import DataError
from recurra.models import RecurrentLanguageModel
from recurra.streaming import ItemStream, Stepper, StreamState
from recurra.task import Fitted
from recurra.tasks.language.corpus import LanguageLearned

__all__ = ["AnyFitted", "Reader", "open_stream"]

AnyFitted = Fitted[LanguageLearned, RecurrentLanguageModel]

_LIKELIEST = 5  # tokens that a stream names
_SPELLED = 16384  # pairs of tokens whose text is cached
_LOGITS_AT_ONCE = 2**24
_STEPS_AT_ONCE = 4096


class Reader:
    """Reads a text that begins a line; it has already read the line end before it.

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

    def read(self, token_id: int) -> None:
        """Read one token."""
        self._features = self._advance(torch.tensor([token_id]))

    @torch.no_grad()
    def score(self, ids: Tensor) -> np.ndarray:
        """Read tokens (N,) and return their surprise, -log p in nats given all before: (N,) in double precision."""
        steps = max(1, min(_STEPS_AT_ONCE, _LOGITS_AT_ONCE // self._network.vocabulary_size))
        surprise = [np.zeros(0)]
        for segment in ids.split(steps) if len(ids) else ():
            segment = segment.long()  # those of a large text have fewer bits
            features = self._advance(segment)
            before = torch.cat([self._features, features[:-1]])
            self._features = features[-1:]
            surprise.append(self._network.surprise(before, segment.to(self._device)).double().cpu().numpy())
        return np.concatenate(surprise)

    @torch.no_grad()
    def _advance(self, ids: Tensor) -> Tensor:
        """Read tokens (N,) from the present state and return the features (N, F) after each."""
        features, self._state = self._network(ids.to(self._device).unsqueeze(0), self._state)
        return features.squeeze(0) if len(ids) > 1 else features[:, -1]


def open_stream(model: AnyFitted, encode: Callable[[str], Tensor], weights: str) -> ItemStream:
    """The model as a stream of text; see `Estimator.open_stream`.

    Args:
        model: trained.
        encode: from text to the ids of its tokens.
        weights: how they are stored.
    """
    tokens = model.learned.tokens

    @lru_cache(maxsize=_SPELLED)
    def spelled(previous: int, token: int) -> str:
        return tokens.speller(previous)(token)

    def read(item: Any, state: StreamState) -> np.ndarray:
        if not isinstance(item, str) or not item:
            raise DataError("item: expected a text of at least one character")
        return encode(item).numpy()

    def answer(ids: np.ndarray, log_probabilities: np.ndarray) -> dict[str, Any]:
        after = log_probabilities[-1]
        likeliest = np.argsort(-after)[:_LIKELIEST]
        last = int(ids[-1])
        # The surprise of the item's own tokens, but for the first, which the item before expected.
        surprise = [-float(log_probabilities[k, token]) for k, token in enumerate(ids[1:])]
        probabilities = np.exp(after[likeliest]).tolist()
        named = zip(likeliest.tolist(), probabilities, strict=True)
        return {
            "next": [{"text": spelled(last, token), "probability": probability} for token, probability in named],
            "surprise": surprise,
        }

    # As in `Reader`, a text begins a line.
    prefix = np.array([tokens.line_end])
    # A model of characters may know none of a text that others would read; U+FFFD is how it spells the unknown one.
    texts = ("The ", "the ", *tokens.pieces(range(len(tokens))))
    example = next(text for text in texts if text.strip("\ufffd \n") and tokens.find_unknown(text) is None)
    return ItemStream(Stepper(model.network, weights), read, answer, "a piece of text", example, prefix)
