"""Whole sequences sampled from a network, with the gradient of their probability, and a loss that rewards them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.models.decoding.rows import Step
from recurra.shapes import check_positive

__all__ = ["SampledSequences", "SelfCriticalLoss", "SelfCriticalOutput", "sample_sequences"]


class SampledSequences(NamedTuple):
    """Sequences that a network sampled.

    Attributes:
        tokens: (B, T), with the end, if it was sampled; -1 after it.
        log_prob: of the whole sequence, in nats (B,); gradients flow to the network.
    """

    tokens: Tensor
    log_prob: Tensor


class SelfCriticalOutput(NamedTuple):
    """What `SelfCriticalLoss` compares.

    Attributes:
        sampled: a sequence sampled for each input.
        greedy: for each input the tokens of the sequence of greedy search (B, T), with the end; -1 after it.
    """

    sampled: SampledSequences
    greedy: Tensor


def sample_sequences(step: Step, state: Any, begin: Tensor, end: int, max_length: int) -> SampledSequences:
    """Sample one sequence for each row, by torch's generator.

    Tokens whose log-probability is minus infinity are never sampled; the others share the probability.

    Args:
        step: of the network. It has to allow for gradients where they are to flow.
        state: before the first token.
        begin: the first input of each row (B,).
        end: the token that ends a sequence.
        max_length: tokens at most, the end counted. A sequence that has not ended by then has no end.

    Raises:
        ParameterError: for a length below 1.
    """
    check_positive("max_length", max_length)
    last, running = begin, torch.ones_like(begin, dtype=torch.bool)
    tokens, log_prob = [], torch.zeros(len(begin), device=begin.device)
    for _ in range(max_length):
        log_probs, state = step(last, state)
        log_probs = log_probs.log_softmax(1)
        last = torch.multinomial(log_probs.detach().exp(), 1).squeeze(1)
        log_prob = log_prob + log_probs.gather(1, last.unsqueeze(1)).squeeze(1).masked_fill(~running, 0)
        tokens.append(last.masked_fill(~running, -1))
        running = running & (last != end)
        if not running.any():
            break
    return SampledSequences(torch.stack(tokens, 1), log_prob)


class SelfCriticalLoss:
    """The loss of self-critical training (Rennie et al. 2017), from a `SelfCriticalOutput`.

    Its gradient is that of equation 11 there: -(r(sampled) - r(greedy)) times the gradient of the log-probability of
    the sampled sequence, its mean over the batch. Its value is the mean of 1 - r(sampled), which says how training
    goes.

    Args:
        reward: r, from the tokens of a sequence, the end included, and the references of its input to a number.
    """

    def __init__(self, reward: Callable[[Sequence[int], Any], float]) -> None:
        self._reward = reward

    def __call__(self, output: SelfCriticalOutput, references: Sequence[Any]) -> Tensor:
        log_prob = output.sampled.log_prob
        sampled = self._rewards(output.sampled.tokens, references).to(log_prob)
        greedy = self._rewards(output.greedy, references).to(log_prob)
        # The value of the first term is 0, and the second has no gradient.
        policy = (greedy - sampled) * (log_prob - log_prob.detach())
        return (policy + 1 - sampled).mean()

    def _rewards(self, tokens: Tensor, references: Sequence[Any]) -> Tensor:
        rows = ([token for token in row if token >= 0] for row in tokens.tolist())
        return torch.tensor([self._reward(row, own) for row, own in zip(rows, references, strict=True)])
