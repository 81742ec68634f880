"""Greedy search: at each step the likeliest token."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.models.decoding.constraints import Constraints
from recurra.models.decoding.hypothesis import Hypothesis
from recurra.models.decoding.rows import Step, select_rows

__all__ = ["greedy_search"]


@torch.no_grad()
def greedy_search(
    step: Step,
    state: Any,
    begin: Tensor,
    end: int,
    max_length: int | Sequence[int] | Tensor = 100,
    no_repeat_ngram: int = 0,
    prefixes: Sequence[Sequence[int]] | None = None,
    batch_dim: int = 0,
) -> list[Hypothesis]:
    """For each sentence the sequence whose tokens are each the likeliest after those before.

    The result is that of `beam_search` with a beam of 1, which documents the arguments, except that the score is the
    log-probability. If every token is impossible, even the end, a sequence ends with a log-probability of minus
    infinity.

    Raises:
        ParameterError: for a number out of its range, or a prefix that is too long or holds the end.
        ShapeError: if there is not one of each for each sentence.
    """
    constraints = Constraints(begin, end, max_length, no_repeat_ngram, prefixes)
    hypotheses: dict[int, Hypothesis] = {}
    sentences = torch.arange(len(begin), device=begin.device)
    tokens, written = begin, begin.new_empty(len(begin), 0)
    passed = torch.empty(len(begin), 0, device=begin.device)
    while len(sentences):
        log_probs, state = step(tokens, state)
        best, tokens = constraints.apply(log_probs, written, sentences).max(1)
        passed = torch.cat([passed, best.unsqueeze(1)], dim=1)
        ended = (tokens == end) | ~(best > -math.inf)
        for row in ended.nonzero().squeeze(1).tolist():
            chain = tuple(passed[row].tolist())
            total = sum(chain)
            hypotheses[int(sentences[row])] = Hypothesis(tuple(written[row].tolist()), total, total, chain)
        written = torch.cat([written, tokens.unsqueeze(1)], dim=1)
        if ended.any():
            rows = (~ended).nonzero().squeeze(1)
            state = select_rows(state, rows, batch_dim)
            tokens, written, passed, sentences = (part[rows] for part in (tokens, written, passed, sentences))
    return [hypotheses[sentence] for sentence in range(len(begin))]
