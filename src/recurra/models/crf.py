"""A linear-chain conditional random field: the probability of all tags of a sentence at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.data.batches.ignored import IGNORED
from recurra.errors import ShapeError
from recurra.shapes import check_lengths, check_positive, check_shape

__all__ = ["LinearChain", "LinearChainCRF", "best_path"]


@dataclass(frozen=True)
class LinearChain:
    """The distribution over the tags y of a batch of sentences (Lafferty et al. 2001).

    score(y) = starts[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_{t-1}, y_t] + ends[y_T]
    p(y) = exp(score(y)) / Z, where Z is the sum of exp(score(y)) over all y

    A score of -inf forbids. A sentence of length 0 has one sequence of tags, the empty one, with score 0.

    Sums run in float64 over probabilities, normalised at each step (Rabiner 1989, section V.A), so that a step is a
    product with a (K, K) matrix: conditioned on all words before, tags that are less probable than the best by a factor
    of more than exp(700) count as impossible there.

    Args:
        emissions: (B, T, K), what is beyond the lengths is never read.
        transitions: (K, K), from row to column.
        starts: (K,).
        ends: (K,).
        lengths: true lengths (B,), int64 on the CPU.
    """

    emissions: Tensor
    transitions: Tensor
    starts: Tensor
    ends: Tensor
    lengths: Tensor

    def log_partition(self) -> Tensor:
        """log Z of each sentence (B,), by the forward algorithm; -inf where every sequence is forbidden."""
        return self._log_partition(self._scores())

    def log_likelihood(self, tags: Tensor) -> Tensor:
        """log p of the tags of each sentence (B,).

        Args:
            tags: (B, T) int64. An unknown one, -100, stands for any: p is then the sum over all (Tsuboi et al. 2008).

        Raises:
            ShapeError: if the shape is another.
        """
        check_shape("tags", tags, self.emissions.shape[:2], "(B, T)")
        scores = self._scores()
        unknown = (tags == IGNORED) & self._valid()
        if not unknown.any():
            return self._score(scores, tags) - self._log_partition(scores)
        others = torch.arange(scores.shape[2], device=tags.device) != tags.unsqueeze(2)
        others &= (self._valid() & ~unknown).unsqueeze(2)
        return self._log_partition(scores.masked_fill(others, -math.inf)) - self._log_partition(scores)

    def marginals(self) -> Tensor:
        """p(y_t = k) for each step and tag (B, T, K), by the forward-backward algorithm; zero beyond the lengths."""
        if not self.emissions.shape[1]:
            return self.emissions
        with torch.no_grad():
            marginals = _ForwardBackward(self._scores(), self.transitions, self.lengths).marginals()
        return marginals.to(self.emissions.dtype)

    def tempered(self, temperature: float) -> "LinearChain":
        """The distribution proportional to p(y)^(1 / temperature): flatter above 1, the same best tags."""
        return LinearChain(
            self.emissions / temperature,
            self.transitions / temperature,
            self.starts / temperature,
            self.ends / temperature,
            self.lengths,
        )

    def best(self, search: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None) -> Tensor:
        """The most probable tags of each sentence (B, T) int64, by Viterbi's algorithm; -100 beyond the lengths.

        Args:
            search: `best_path`, compiled; None: as it is.
        """
        search = best_path if search is None else search
        scores = self._scores().detach().transpose(0, 1)
        if not len(scores):
            return scores.new_empty(scores.shape[1], 0, dtype=torch.int64)
        valid = self._valid()
        onward = self.transitions.detach().to(scores.dtype).t().contiguous()
        return search(scores, onward, valid.t()).t().masked_fill(~valid, IGNORED)

    def _valid(self) -> Tensor:
        steps = torch.arange(self.emissions.shape[1], device=self.emissions.device)
        return steps < self.lengths.to(steps.device).unsqueeze(1)

    def _scores(self) -> Tensor:
        """Emissions (B, T, K) with the scores of starting and ending in them; 0 beyond the lengths."""
        scores = self.emissions.masked_fill(~self._valid().unsqueeze(2), 0)
        steps = torch.arange(scores.shape[1], device=scores.device)
        ends = self.lengths.to(scores.device).unsqueeze(1) - 1
        first = ((steps == 0) & (ends >= 0)).unsqueeze(2)
        last = (steps == ends).unsqueeze(2)
        # Added where they belong, and not by a factor of 0 or 1: 0 times -inf is not a number.
        return scores + torch.where(first, self.starts, 0) + torch.where(last, self.ends, 0)

    def _score(self, scores: Tensor, tags: Tensor) -> Tensor:
        valid = self._valid()
        tags = tags.masked_fill(~valid, 0)
        of_tags = scores.double().gather(2, tags.unsqueeze(2)).squeeze(2)
        of_pairs = self.transitions.double()[tags[:, :-1], tags[:, 1:]]
        return of_tags.masked_fill(~valid, 0).sum(1) + of_pairs.masked_fill(~valid[:, 1:], 0).sum(1)

    def _log_partition(self, scores: Tensor) -> Tensor:
        if not scores.shape[1]:
            return scores.new_zeros(len(scores), dtype=torch.float64)
        return _LogPartition.apply(scores, self.transitions, self.lengths)


def best_path(scores: Tensor, onward: Tensor, valid: Tensor) -> Tensor:
    """The best tag at each step (T, B) int64, by Viterbi's algorithm. TorchScript compiles it as it stands.

    Args:
        scores: (T, B, K) with T at least 1, those of starting and ending included.
        onward: the transitions (K, K), from column to row.
        valid: bool (T, B), which steps are within the lengths; the others are never read.
    """
    best = [scores[0]]
    for t in range(1, scores.size(0)):
        extended = (best[-1].unsqueeze(1) + onward).amax(2) + scores[t]
        best.append(torch.where(valid[t].unsqueeze(1), extended, best[-1]))
    # What came before is looked for along the best path only: of (B, K) scores, not (B, K, K).
    tags = [best[-1].argmax(1)]
    for k in range(1, len(best)):
        t = len(best) - k
        before = (best[t - 1] + onward[tags[-1]]).argmax(1)
        tags.append(torch.where(valid[t], before, tags[-1]))
    tags.reverse()
    return torch.stack(tags)


class LinearChainCRF(nn.Module):
    """The transitions of a linear-chain CRF: from emissions the `LinearChain` over the tags.

    Args:
        num_tags: K.
        allowed: bool (K, K), which tag may follow which, from row to column; None: all.
        starts: bool (K,), which may come first; None: all.
        ends: bool (K,), which may come last; None: all.

    Raises:
        ParameterError: for fewer than one tag.
        ShapeError: if a shape is another.
    """

    forbidden: Tensor
    forbidden_starts: Tensor
    forbidden_ends: Tensor

    def __init__(
        self,
        num_tags: int,
        allowed: Tensor | None = None,
        starts: Tensor | None = None,
        ends: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_positive("num_tags", num_tags)
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.starts = nn.Parameter(torch.zeros(num_tags))
        self.ends = nn.Parameter(torch.zeros(num_tags))
        for name, argument, shape in (
            ("allowed", allowed, (num_tags, num_tags)),
            ("starts", starts, (num_tags,)),
            ("ends", ends, (num_tags,)),
        ):
            mask = torch.ones(shape, dtype=torch.bool) if argument is None else argument
            check_shape(name, mask, shape, "(K, K)" if len(shape) == 2 else "(K,)")
            if mask.dtype != torch.bool:
                raise ShapeError(name, "bool", mask.dtype)
            self.register_buffer("forbidden" if name == "allowed" else f"forbidden_{name}", ~mask)

    def forward(self, emissions: Tensor, lengths: Tensor | None = None) -> LinearChain:
        """The distribution over tags.

        Args:
            emissions: (B, T, K), the score of each tag at each step.
            lengths: true lengths (B,), 0 to T; None: T for all.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        num_tags = len(self.starts)
        if emissions.dim() != 3 or emissions.shape[2] != num_tags:
            raise ShapeError("emissions", f"shape (B, T, {num_tags})", tuple(emissions.shape))
        batch, steps = emissions.shape[:2]
        lengths = torch.full((batch,), steps) if lengths is None else check_lengths(lengths, batch, steps)
        return LinearChain(
            emissions,
            self.transitions.masked_fill(self.forbidden, -math.inf),
            self.starts.masked_fill(self.forbidden_starts, -math.inf),
            self.ends.masked_fill(self.forbidden_ends, -math.inf),
            lengths,
        )

    def extra_repr(self) -> str:
        return f"num_tags={len(self.starts)}, forbidden={int(self.forbidden.sum())}"


_TINY = 1e-300  # of float64: what stands in for 0 if 0 would be divided by


class _ForwardBackward:
    """The forward pass over scores (B, T, K) with T at least 1, and, where asked for, the backward pass.

    Time comes first: weights and probabilities (T, B, K), totals, log_scales and valid (T, B, 1).
    """

    def __init__(self, scores: Tensor, transitions: Tensor, lengths: Tensor) -> None:
        scores = scores.double().transpose(0, 1)
        log_scales = _finite_max(scores, 2)
        self.weights = (scores - log_scales).exp()
        step_scale = _finite_max(transitions.double().flatten(), 0)
        self.step = (transitions.double() - step_scale).exp()
        ends = lengths.to(scores.device)
        self.valid = (torch.arange(len(scores), device=scores.device).unsqueeze(1) < ends).unsqueeze(2)
        current = self.weights[0]
        probabilities, totals = [], []
        for t in range(len(scores)):
            if t:
                current = (current @ self.step) * self.weights[t]
            total = current.sum(1, keepdim=True)
            current = current / total.clamp(min=_TINY)
            probabilities.append(current)
            totals.append(total)
        self.probabilities, self.totals = torch.stack(probabilities), torch.stack(totals)
        self.log_scales = log_scales + step_scale
        self.log_scales[0] -= step_scale

    def log_partition(self) -> Tensor:
        """log Z (B,)."""
        return torch.where(self.valid, self.totals.log() + self.log_scales, 0).sum((0, 2))

    def later(self) -> Tensor:
        """What each tag makes of all that follows it, up to a factor at each step (T, B, K)."""
        onward = self.step.t()
        current = torch.ones_like(self.weights[0])
        messages = [current]
        for t in range(len(self.weights) - 1, 0, -1):
            before = (self.weights[t] * current) @ onward
            before = before / before.sum(1, keepdim=True).clamp(min=_TINY)
            current = torch.where(self.valid[t], before, current)
            messages.append(current)
        return torch.stack(messages[::-1])

    def marginals(self) -> Tensor:
        """p(y_t = k), (B, T, K)."""
        joint = (self.probabilities * self.later()).masked_fill(~self.valid, 0)
        return (joint / joint.sum(2, keepdim=True).clamp(min=_TINY)).transpose(0, 1)

    def gradients(self, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Of sum_b grad_b log Z_b, by scores and transitions: expected counts of tags and of pairs (Sutton and
        McCallum 2012, section 4.3)."""
        later = self.later()
        joint = (self.probabilities * later).masked_fill(~self.valid, 0)
        sums = joint.sum(2, keepdim=True).masked_fill(~self.valid, 1).clamp(min=_TINY)
        by_score = (joint / sums * grad.unsqueeze(1)).transpose(0, 1)
        pairs = (sums * self.totals.masked_fill(~self.valid, 1).clamp(min=_TINY))[1:]
        factors = (grad.unsqueeze(1) / pairs).masked_fill(~self.valid[1:], 0)
        before, after = self.probabilities[:-1] * factors, self.weights[1:] * later[1:]
        return by_score, (before.flatten(0, 1).t() @ after.flatten(0, 1)) * self.step


class _LogPartition(torch.autograd.Function):
    """log Z (B,) float64; its gradient by the forward-backward algorithm, instead of a graph of every step."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
        ctx.save_for_backward(scores, transitions)
        ctx.lengths = lengths
        ctx.passed = _ForwardBackward(scores, transitions, lengths)
        return ctx.passed.log_partition()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        scores, transitions = ctx.saved_tensors
        # Anew where the gradient is itself to be differentiated, so that it has a graph.
        passed = _ForwardBackward(scores, transitions, ctx.lengths) if torch.is_grad_enabled() else ctx.passed
        by_score, by_transition = passed.gradients(gradients[0])
        return by_score.to(scores.dtype), by_transition.to(transitions.dtype), None


def _finite_max(values: Tensor, dim: int) -> Tensor:
    """The maximum over a dimension, which stays with size 1, as a constant; 0 if all is -inf."""
    largest = values.detach().amax(dim, keepdim=True)
    return largest.masked_fill(largest == -math.inf, 0)
