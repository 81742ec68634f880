"""Sequences of events that are written beside each other, each at its own place in its piece."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from recurra.data.music.event_rules import EventRules, EventState
from recurra.models.decoding import concatenate_rows, select_rows
from recurra.models.language import RecurrentLanguageModel

__all__ = ["Writers"]

_BATCH_DIM = 1  # of a recurrent state (L, B, H)


@dataclass
class Writers:
    """A network in double precision, and N sequences that it has read.

    Attributes:
        network: of a trained model, in evaluation mode.
        rules: of the piece.
        states: what each sequence has written (N).
        features: after its last event (N, F).
        recurrent: the state of the network after it.
    """

    network: RecurrentLanguageModel
    rules: EventRules
    states: list[EventState]
    features: Tensor
    recurrent: Any

    @classmethod
    def begin(cls, network: RecurrentLanguageModel, begin: int, rules: EventRules, count: int) -> Self:
        """Sequences that have written nothing.

        Args:
            network: is left as it is.
            begin: the token before every sequence.
            rules: of the piece.
            count: N.
        """
        double = copy.deepcopy(network).double().eval()
        device = next(double.parameters()).device
        features, recurrent = double(torch.full((count, 1), begin, device=device))
        return cls(double, rules, [rules.begin() for _ in range(count)], features[:, 0], recurrent)

    @classmethod
    def joined(cls, parts: "Sequence[Writers]") -> Self:
        """The sequences of several, one at least, in their order."""
        first = parts[0]
        states = [state for one in parts for state in one.states]
        recurrent = concatenate_rows([one.recurrent for one in parts], _BATCH_DIM)
        return cls(first.network, first.rules, states, torch.cat([one.features for one in parts]), recurrent)

    def __len__(self) -> int:
        return len(self.states)

    def select(self, index: Sequence[int]) -> "Writers":
        """The sequences that an index names, in its order; one may be there several times, or not at all."""
        chosen = torch.tensor(list(index), dtype=torch.int64, device=self.features.device)
        states = [self.states[one].copy() for one in index]
        recurrent = select_rows(self.recurrent, chosen, _BATCH_DIM)
        return Writers(self.network, self.rules, states, self.features[chosen], recurrent)

    def allowed(self) -> np.ndarray:
        """Which tokens may follow each sequence, bool (N, V)."""
        return np.stack([self.rules.allowed(state) for state in self.states])

    def sooner(self) -> np.ndarray:
        """See `EventRules.density`, (N, V)."""
        return np.stack([self.rules.density(state) for state in self.states])

    def log_probabilities(self) -> np.ndarray:
        """The log-probability of every token to follow each sequence (N, V)."""
        return self.network.log_probabilities(self.features).cpu().numpy()

    def write(self, tokens: Sequence[int]) -> None:
        """Write a token that is allowed to each sequence."""
        for state, token in zip(self.states, tokens, strict=True):
            self.rules.read(state, token)
        read = torch.tensor(list(tokens), device=self.features.device).unsqueeze(1)
        features, self.recurrent = self.network(read, self.recurrent)
        self.features = features[:, 0]

    def write_until(self, frame: int, choose: "Callable[[list[int], Writers], list[int]]") -> "Writers":
        """Write every sequence until it stands at a frame or after it.

        Args:
            frame: at most the length of the piece.
            choose: from the indices of some of the sequences, and these, the next token of each.

        Returns:
            All sequences in their order.
        """
        index, writing = list(range(len(self))), self
        done: list[tuple[list[int], Writers]] = []
        while index:
            stays = [k for k, state in enumerate(writing.states) if state.frame < frame]
            if len(stays) < len(index):
                leaves = [k for k, state in enumerate(writing.states) if state.frame >= frame]
                done.append(([index[k] for k in leaves], writing.select(leaves)))
                index, writing = [index[k] for k in stays], writing.select(stays)
            if index:
                writing.write(choose(index, writing))
        order = np.argsort([one for indices, _ in done for one in indices])
        return Writers.joined([one for _, one in done]).select(order.tolist())
