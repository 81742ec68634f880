"""Attention: which steps of one sequence another one reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import ShapeError
from recurra.shapes import check_lengths, check_positive, check_shape

__all__ = [
    "AdditiveAttention",
    "Attended",
    "Attention",
    "DotAttention",
    "GeneralAttention",
    "Memory",
    "coverage_loss",
    "doubly_stochastic_loss",
]


@dataclass
class Memory:
    """What is attended to, with all that does not depend on the query computed once.

    Attributes:
        values: (B, S, M), zero in padding.
        keys: what queries are compared with (B, S, K).
        padding: bool (B, S), true at padding.
    """

    values: Tensor
    keys: Tensor
    padding: Tensor

    def select(self, index: Tensor) -> "Memory":
        """The rows that `index` (N,) names."""
        return Memory(self.values[index], self.keys[index], self.padding[index])


class Attended(NamedTuple):
    """The result of attention.

    Attributes:
        context: the values' mean by weight (B, T, M).
        weights: (B, T, S); each query's sum to one, and are exactly 0 in padding. All are 0 if all is padding.
        coverage: the sum of all weights so far (B, S); None without `coverage`.
    """

    context: Tensor
    weights: Tensor
    coverage: Tensor | None


class Attention(nn.Module):
    """Attention with a softmax over scores; derived classes define the scores.

    Args:
        query_size: Q.
        memory_size: M.
        coverage: whether scores also depend on the sum of a step's weights so far, so that the network can attend to
            what it has not read yet (Tu et al. 2016; See et al. 2017). Queries are then answered one after the other.

    Raises:
        ParameterError: for a size below 1.
    """

    def __init__(self, query_size: int, memory_size: int, coverage: bool = False) -> None:
        super().__init__()
        check_positive("query_size", query_size)
        check_positive("memory_size", memory_size)
        self.query_size = query_size
        self.memory_size = memory_size
        self.coverage = coverage

    def prepare(self, memory: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Memory:
        """Keys and padding of what is to be attended to; computed once for all queries.

        Args:
            memory: (B, S, M). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to S; None: all S.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if memory.dim() != 3 or memory.shape[2] != self.memory_size:
            raise ShapeError("memory", f"shape (B, S, M = {self.memory_size})", tuple(memory.shape))
        batch, steps = memory.shape[:2]
        padding = torch.zeros(batch, steps, dtype=torch.bool, device=memory.device)
        if lengths is not None:
            ends = check_lengths(lengths, batch, steps).to(memory.device)
            padding = torch.arange(steps, device=memory.device) >= ends.unsqueeze(1)
            memory = memory.masked_fill(padding.unsqueeze(2), 0)
        return Memory(memory, self.keys(memory), padding)

    def forward(self, query: Tensor, memory: Memory, coverage: Tensor | None = None) -> Attended:
        """Attend.

        Args:
            query: (B, T, Q).
            memory: of `prepare`, for the B sequences.
            coverage: of the queries before (B, S); None: zeros. Only with `coverage`.

        Raises:
            ShapeError: if a shape does not fit.
        """
        batch, steps = memory.padding.shape
        if query.dim() != 3 or (query.shape[0], query.shape[2]) != (batch, self.query_size):
            raise ShapeError("query", f"shape (B = {batch}, T, Q = {self.query_size})", tuple(query.shape))
        if not self.coverage:
            weights = self._weights(self.scores(query, memory.keys), memory)
            return Attended(weights @ memory.values, weights, None)
        if coverage is None:
            coverage = query.new_zeros(batch, steps)
        check_shape("coverage", coverage, (batch, steps), "(B, S)")
        rows: list[Tensor] = []
        for t in range(query.shape[1]):
            scores = self.scores(query[:, t : t + 1], memory.keys, coverage)
            rows.append(self._weights(scores, memory))
            coverage = coverage + rows[-1].squeeze(1)
        weights = torch.cat(rows, dim=1) if rows else query.new_zeros(batch, 0, steps)
        return Attended(weights @ memory.values, weights, coverage)

    def keys(self, memory: Tensor) -> Tensor:
        """What queries are compared with (B, S, K), from the memory (B, S, M)."""
        raise NotImplementedError

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """How well queries (B, T, Q) and keys (B, S, K) match, (B, T, S), with the coverage (B, S) if there is any."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.query_size}, {self.memory_size}" + (", coverage=True" if self.coverage else "")

    @staticmethod
    def _weights(scores: Tensor, memory: Memory) -> Tensor:
        padding = memory.padding.unsqueeze(1)
        # The least number and not minus infinity: a sequence of nothing but padding would have no softmax.
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(padding, lowest).softmax(2).masked_fill(padding, 0)


class AdditiveAttention(Attention):
    """score = v^T tanh(W_q q + W_k m), with coverage c: v^T tanh(W_q q + W_k m + w_c c) (Bahdanau et al. 2015,
    equation in appendix A.1.2; See et al. 2017, equation 11).

    Args:
        query_size: Q.
        memory_size: M.
        attention_size: A, features that query and memory are brought to; None: Q.
        coverage: see `Attention`.

    Raises:
        ParameterError: for a size below 1.
    """

    def __init__(
        self, query_size: int, memory_size: int, attention_size: int | None = None, coverage: bool = False
    ) -> None:
        super().__init__(query_size, memory_size, coverage)
        size = query_size if attention_size is None else attention_size
        check_positive("attention_size", size)
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size)
        self.score = nn.Linear(size, 1, bias=False)
        self.covered = nn.Linear(1, size, bias=False) if coverage else None

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory)

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        if self.covered is not None and coverage is not None:
            keys = keys + self.covered(coverage.unsqueeze(2))
        return self.score(torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))).squeeze(3)


class DotAttention(Attention):
    """score = q^T m (Luong et al. 2015, section 3.1), or q^T m / sqrt(Q) with `scaled` (Vaswani et al. 2017).

    With coverage c, w_c c is added to it.

    Args:
        query_size: Q, which is also the memory's size.
        scaled: whether scores are divided by sqrt(Q).
        coverage: see `Attention`.

    Raises:
        ParameterError: for a size below 1.
    """

    def __init__(self, query_size: int, scaled: bool = False, coverage: bool = False) -> None:
        super().__init__(query_size, query_size, coverage)
        self.scale = 1 / math.sqrt(query_size) if scaled else 1.0
        self.covered = nn.Parameter(torch.zeros(())) if coverage else None

    def keys(self, memory: Tensor) -> Tensor:
        return memory

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        scores = query * self.scale @ keys.transpose(1, 2)
        if self.covered is not None and coverage is not None:
            scores = scores + self.covered * coverage.unsqueeze(1)
        return scores


class GeneralAttention(Attention):
    """score = q^T W m (Luong et al. 2015, section 3.1). With coverage c, w_c c is added to it.

    Args:
        query_size: Q.
        memory_size: M.
        coverage: see `Attention`.

    Raises:
        ParameterError: for a size below 1.
    """

    def __init__(self, query_size: int, memory_size: int, coverage: bool = False) -> None:
        super().__init__(query_size, memory_size, coverage)
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.covered = nn.Parameter(torch.zeros(())) if coverage else None

    def keys(self, memory: Tensor) -> Tensor:
        return self.key(memory)

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        scores = query @ keys.transpose(1, 2)
        if self.covered is not None and coverage is not None:
            scores = scores + self.covered * coverage.unsqueeze(1)
        return scores


def coverage_loss(weights: Tensor, counted: Tensor) -> Tensor:
    """How much is attended to again: the mean over true queries of sum_s min(weight, coverage before it).

    Equation 12 of See et al. 2017.

    Args:
        weights: (B, T, S).
        counted: bool (B, T), which queries are true.

    Returns:
        0-dim; 0 if no query is true.
    """
    before = weights.cumsum(1) - weights
    repeated = torch.minimum(weights, before).sum(2)
    return repeated.masked_fill(~counted, 0).sum() / counted.sum().clamp(min=1)


def doubly_stochastic_loss(weights: Tensor, counted: Tensor) -> Tensor:
    """How far what is attended to in all is from even: the mean over sequences and steps s of (1 - sum_t weight)^2.

    Equation 14 of Xu et al. 2015, which asks that each step of the memory be attended to as much as any other, with the
    mean over steps for their sum.

    Args:
        weights: (B, T, S).
        counted: bool (B, T), which queries are true.

    Returns:
        0-dim.
    """
    attended = weights.masked_fill(~counted.unsqueeze(2), 0).sum(1)
    return (1 - attended).square().mean()
