"""Beam search over many sentences at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.models.decoding.constraints import Constraints
from recurra.models.decoding.hypothesis import Hypothesis, length_normalizer
from recurra.models.decoding.rows import Step, select_rows
from recurra.shapes import check_positive

__all__ = ["beam_search"]


@torch.no_grad()
def beam_search(
    step: Step,
    state: Any,
    begin: Tensor,
    end: int,
    beam_size: int = 5,
    max_length: int | Sequence[int] | Tensor = 100,
    length_penalty: float = 0.0,
    n_best: int = 1,
    no_repeat_ngram: int = 0,
    prefixes: Sequence[Sequence[int]] | None = None,
    batch_dim: int = 0,
) -> list[list[Hypothesis]]:
    """The best sequences of each sentence, by log-probability over ((5 + length) / 6)^length_penalty.

    At each step every hypothesis of a beam is continued by every token; of all these the `beam_size` best that do not
    end stay in the beam, and those that end count where they are among the `beam_size` best. A sentence is done once
    `beam_size` of its hypotheses have ended, or none in its beam can still become better than the `n_best` that have;
    it then leaves the batch. With a beam that holds every sequence this is exhaustive search. A sentence's result does
    not depend on those beside it.

    Args:
        step: from the last tokens (N,) and a state the log-probabilities (N, V) of the next ones, and the state
            after. It is called with rows N up to B * beam_size, those of a sentence beside each other.
        state: before the first step, with a row a sentence; of any type `select_rows` takes, which reorders it.
        begin: the token each sentence begins with, int64 (B,).
        end: the token that ends a sequence.
        beam_size: K, hypotheses in a beam.
        max_length: tokens of a sequence at most, begin and end not counted, for all or for each sentence (B,); after
            them it ends, and the probability of the end counts.
        length_penalty: alpha of Wu et al. 2016 (equation 14), 0 or more: 0 ranks by the log-probability and prefers
            short sequences, about 1 prefers none.
        n_best: hypotheses returned, up to `beam_size`.
        no_repeat_ngram: length of the n-grams that may not be in a hypothesis twice; 0 for none.
        prefixes: for each sentence the tokens it must begin with (B of any length).
        batch_dim: of the state's tensors, the dimension that holds the rows.

    Returns:
        For each sentence up to `n_best` hypotheses, best first: as many as there are, where there are fewer. None if
        the end has no chance at any step.

    Raises:
        ParameterError: for a number out of its range, or a prefix that is too long or holds the end.
        ShapeError: if there is not one of each for each sentence.
    """
    check_positive("beam_size", beam_size)
    check_positive("n_best", n_best)
    if n_best > beam_size:
        raise ParameterError("n_best", f"at most beam_size = {beam_size}", n_best)
    if isinstance(length_penalty, bool) or not isinstance(length_penalty, int | float) or not length_penalty >= 0:
        raise ParameterError("length_penalty", "a number not below 0", length_penalty)
    constraints = Constraints(begin, end, max_length, no_repeat_ngram, prefixes)
    ended = [_Ended(beam_size, n_best, length_penalty, longest) for longest in constraints.max_lengths]
    beams = _Beams.begin(begin, beam_size)
    each = torch.arange(len(begin), device=begin.device).repeat_interleave(beam_size)
    state = select_rows(state, each, batch_dim)
    while len(beams.sentences):
        log_probs, state = step(beams.last, state)
        rows = beams.extend(log_probs, constraints, ended)
        state = select_rows(state, rows, batch_dim)
    return [one.best() for one in ended]


@dataclass
class _Ended:
    """The hypotheses of a sentence that have ended, and whether it is done."""

    beam_size: int
    n_best: int
    length_penalty: float
    max_length: int
    hypotheses: list[Hypothesis] = field(default_factory=list)

    def add(self, tokens: list[int], chain: list[float], log_prob: float) -> None:
        score = log_prob / length_normalizer(len(chain), self.length_penalty)
        self.hypotheses.append(Hypothesis(tuple(tokens), log_prob, score, tuple(chain)))

    def is_done(self, log_prob: float) -> bool:
        """Whether nothing better can come of hypotheses whose log-probability is at most this."""
        # Minus infinity: nothing can follow. Not a number: nothing that follows will mean anything.
        if len(self.hypotheses) >= self.beam_size or not log_prob > -math.inf:
            return True
        if len(self.hypotheses) < self.n_best:
            return False
        # Log-probabilities only fall, and the longest sequence divides by the most.
        bound = log_prob / length_normalizer(self.max_length + 1, self.length_penalty)
        return self.best()[-1].score >= bound

    def best(self) -> list[Hypothesis]:
        return sorted(self.hypotheses, key=lambda one: -one.score)[: self.n_best]


@dataclass
class _Beams:
    """The hypotheses that continue: K for each of the A sentences that are not done."""

    size: int
    sentences: Tensor  # (A,)
    scores: Tensor  # log-probabilities, best first (A, K)
    last: Tensor  # tokens (A * K,)
    written: Tensor  # tokens (A * K, t)
    passed: Tensor  # their log-probabilities (A * K, t)

    @classmethod
    def begin(cls, begin: Tensor, size: int) -> "_Beams":
        batch, device = len(begin), begin.device
        scores = torch.full((batch, size), -math.inf, device=device)
        scores[:, 0] = 0  # all of a beam are equal at first: one of them continues
        return cls(
            size,
            torch.arange(batch, device=device),
            scores,
            begin.repeat_interleave(size),
            begin.new_empty(batch * size, 0),
            scores.new_empty(batch * size, 0),
        )

    def extend(self, log_probs: Tensor, constraints: Constraints, ended: list[_Ended]) -> Tensor:
        """Take the next step, and let sentences that are done go; the rows (M,) that continue, for the state."""
        size, active = self.size, len(self.sentences)
        allowed = constraints.apply(log_probs, self.written, self.sentences.repeat_interleave(size))
        symbols = allowed.shape[1]
        totals = (self.scores.view(-1, 1) + allowed).view(active, size * symbols)
        # At most `size` of them end, so that enough are left to continue.
        best, flat = totals.topk(min(2 * size, size * symbols), dim=1)
        first = torch.arange(active, device=flat.device).unsqueeze(1) * size
        parents, tokens = first + flat // symbols, flat % symbols
        chances = allowed.view(-1)[parents * symbols + tokens]
        ends = tokens == constraints.end
        sentences = self.sentences.tolist()
        for row, rank in (ends & best.isfinite())[:, :size].nonzero().tolist():
            parent = int(parents[row, rank])
            chain = [*self.passed[parent].tolist(), float(chances[row, rank])]
            ended[sentences[row]].add(self.written[parent].tolist(), chain, float(best[row, rank]))
        going = ends.to(torch.int8).argsort(dim=1, stable=True)[:, :size]
        self.scores = best.masked_fill(ends, -math.inf).gather(1, going)
        tops = self.scores[:, 0].tolist()
        left = [row for row, sentence in enumerate(sentences) if not ended[sentence].is_done(tops[row])]
        unfinished = torch.tensor(left, dtype=torch.int64, device=flat.device)
        going = going[unfinished]
        rows = parents[unfinished].gather(1, going).view(-1)
        self.last = tokens[unfinished].gather(1, going).view(-1)
        self.passed = torch.cat([self.passed[rows], chances[unfinished].gather(1, going).view(-1, 1)], dim=1)
        self.written = torch.cat([self.written[rows], self.last.unsqueeze(1)], dim=1)
        self.scores, self.sentences = self.scores[unfinished], self.sentences[unfinished]
        return rows
