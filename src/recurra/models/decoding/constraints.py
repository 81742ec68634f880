"""What may continue a hypothesis: a forced prefix, a maximum length, no n-gram twice."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_positive, check_shape

__all__ = ["Constraints"]


class Constraints:
    """Rules on the next token of each sentence.

    Args:
        begin: (B,), for the number of sentences and the device.
        end: the token that ends a sequence; never banned, so that every hypothesis can end.
        max_length: tokens at most, the end not counted, for all or for each sentence (B,).
        no_repeat_ngram: length of the n-grams that may not be in a hypothesis twice; 0 for none. A forced prefix may
            have them.
        prefixes: for each sentence the tokens it must begin with; None for no such tokens.

    Raises:
        ParameterError: for a number out of its range, or a prefix that is too long or holds the end.
        ShapeError: if there is not one of each for each sentence.
    """

    def __init__(
        self,
        begin: Tensor,
        end: int,
        max_length: int | Sequence[int] | Tensor,
        no_repeat_ngram: int = 0,
        prefixes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if begin.dim() != 1 or begin.dtype != torch.int64:
            raise ShapeError("begin", "int64 of shape (B,)", f"{begin.dtype} of shape {tuple(begin.shape)}")
        batch = len(begin)
        check_positive("end", end, at_least=0)
        check_positive("no_repeat_ngram", no_repeat_ngram, at_least=0)
        if isinstance(max_length, int):
            check_positive("max_length", max_length, at_least=0)
            max_length = [max_length] * batch
        longest = torch.as_tensor(max_length, dtype=torch.int64)
        check_shape("max_length", longest, (batch,), "(B,)")
        if batch and longest.min() < 0:
            raise ParameterError("max_length", "whole numbers of at least 0", int(longest.min()))
        self.end = end
        self.max_lengths: list[int] = longest.tolist()
        self._longest = longest.to(begin.device)
        self._n = no_repeat_ngram
        self._forced = _pad(prefixes, self.max_lengths, end).to(begin.device)

    def apply(self, log_probs: Tensor, written: Tensor, sentences: Tensor) -> Tensor:
        """Log-probabilities with those of what is not allowed at minus infinity.

        Args:
            log_probs: (N, V).
            written: the tokens so far (N, t).
            sentences: which sentence (of B) each row is of (N,).
        """
        length = written.shape[1]
        unconstrained = log_probs
        if self._n and length >= self._n:
            log_probs = self._ban_repeated(log_probs, written)
        full = self._longest[sentences] <= length
        if full.any():
            ended = log_probs[:, self.end].clone()
            log_probs = log_probs.masked_fill(full.unsqueeze(1), -math.inf)
            log_probs[:, self.end] = ended
        if length < self._forced.shape[1]:
            forced = self._forced[sentences, length].unsqueeze(1)
            others = torch.arange(log_probs.shape[1], device=log_probs.device) != forced
            # A prefix may repeat itself: the ban on repeated n-grams does not hold for it.
            log_probs = torch.where(forced >= 0, unconstrained.masked_fill(others, -math.inf), log_probs)
        return log_probs

    def _ban_repeated(self, log_probs: Tensor, written: Tensor) -> Tensor:
        """Without the tokens that would complete an n-gram that is there."""
        grams = written.unfold(1, self._n, 1)
        last = written[:, written.shape[1] - self._n + 1 :]
        row, gram = (grams[..., :-1] == last.unsqueeze(1)).all(2).nonzero(as_tuple=True)
        token = grams[row, gram, -1]
        log_probs = log_probs.clone()
        log_probs[row, token] = -math.inf
        return log_probs


def _pad(prefixes: Sequence[Sequence[int]] | None, max_lengths: list[int], end: int) -> Tensor:
    """The prefixes as (B, P), -1 if nothing is forced."""
    if prefixes is None:
        return torch.full((len(max_lengths), 0), -1)
    if len(prefixes) != len(max_lengths):
        raise ShapeError("prefixes", f"one for each of {len(max_lengths)} sentences", f"{len(prefixes)}")
    forced = torch.full((len(max_lengths), max(map(len, prefixes), default=0)), -1)
    for index, (prefix, longest) in enumerate(zip(prefixes, max_lengths, strict=True)):
        if len(prefix) > longest:
            raise ParameterError("prefixes", f"at most max_length = {longest} tokens each", list(prefix))
        if end in prefix or any(token < 0 for token in prefix):
            raise ParameterError("prefixes", f"tokens of at least 0, without the end, {end}", list(prefix))
        forced[index, : len(prefix)] = torch.tensor(prefix, dtype=torch.int64)
    return forced
