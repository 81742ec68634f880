"""The surprise of events, and what was expected in their place."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from recurra.models.language import RecurrentLanguageModel

__all__ = ["ReadEvents", "read_events"]

_LOGITS_AT_ONCE = 2**22


class ReadEvents(NamedTuple):
    """What a model says of a sequence of events.

    Attributes:
        surprise: -log p in nats of each event given those before (N,).
        expected: the likeliest token at each event of those of its kind, given the same (N,).
    """

    surprise: np.ndarray
    expected: np.ndarray


@torch.no_grad()
def read_events(
    network: RecurrentLanguageModel, sequences: Sequence[np.ndarray], begin: int, kinds: Sequence[slice]
) -> list[ReadEvents]:
    """Read sequences, those of similar length together.

    Args:
        network: it is put into evaluation mode.
        sequences: tokens (N_i,) each.
        begin: the token before each sequence.
        kinds: the tokens of each kind; every token is of one.
    """
    device, evaluated = next(network.parameters()).device, network.eval()
    kind_of = torch.zeros(network.vocabulary_size, dtype=torch.int64, device=device)
    for number, of in enumerate(kinds):
        kind_of[of] = number
    order = np.argsort([len(one) for one in sequences], kind="stable")
    result: dict[int, ReadEvents] = {}
    while len(order):
        longest = max(len(sequences[order[-1]]), 1) * network.vocabulary_size
        together = max(_LOGITS_AT_ONCE // longest, 1)
        chosen, order = order[-together:].tolist(), order[:-together]
        tokens = [torch.from_numpy(sequences[k]) for k in chosen]
        target = pad_sequence(tokens, batch_first=True).to(device)
        first = torch.full((len(chosen), 1), begin, device=device)
        features, _ = evaluated(torch.cat([first, target[:, :-1]], 1))
        for row, index in enumerate(chosen):
            own = target[row, : len(sequences[index])]
            likely = evaluated.log_probabilities(features[row, : len(own)])
            surprise = -likely.gather(1, own.unsqueeze(1)).squeeze(1)
            others = kind_of[own].unsqueeze(1) != kind_of
            expected = likely.masked_fill(others, -torch.inf).argmax(1)
            result[index] = ReadEvents(surprise.double().cpu().numpy(), expected.cpu().numpy())
    return [result[index] for index in range(len(sequences))]
