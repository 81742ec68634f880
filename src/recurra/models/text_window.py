"""A window on a text that moves forward: what each step of a sequence reads of the characters that it writes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_positive, check_shape

__all__ = ["TextWindow", "Windowed", "WrittenText"]

_MOST = 5.0  # of the logarithm of a height, a narrowness and a step, so that no exponential overflows


class WrittenText(NamedTuple):
    """Texts as a window reads them.

    Attributes:
        characters: one-hot (B, U, V), zeros in padding.
        ends: (B, U + 1), 1 at the characters and directly after the last, else 0: beyond that nothing is read.
        lengths: true lengths (B,) int64, 1 to U.
    """

    characters: Tensor
    ends: Tensor
    lengths: Tensor


class Windowed(NamedTuple):
    """What a step reads of a text.

    Attributes:
        context: the characters, weighted by the window (B, V).
        weights: the window (B, U + 1): of each character, and of what comes after the last; 0 beyond that. They need
            not sum to one.
        position: of each component (B, K), in characters, the first of which is at 1.
    """

    context: Tensor
    weights: Tensor
    position: Tensor


class TextWindow(nn.Module):
    """A mixture of K Gaussian windows over the characters of a text (Graves 2013, equations 46 to 51).

    phi(t, u) = sum_k a_k exp(-b_k (p_k - u)^2)      w_t = sum_u phi(t, u) c_u
    (log a, log b, log d) = W h_t + bias             p_t = p_{t-1} + d

    Steps d are above 0: the window never moves back. At first the windows move by `pace` a step, are about a character
    wide, and sum to about 1, whatever the query.

    Args:
        query_size: Q.
        alphabet_size: V.
        components: K.
        pace: characters a step.

    Raises:
        ParameterError: a size is below 1, or the pace not above 0.
    """

    def __init__(self, query_size: int, alphabet_size: int, components: int = 10, pace: float = 0.05) -> None:
        super().__init__()
        for name, size in (("query_size", query_size), ("alphabet_size", alphabet_size), ("components", components)):
            check_positive(name, size)
        if not 0 < pace < math.inf:
            raise ParameterError("pace", "a number above 0", pace)
        self.query_size, self.alphabet_size, self.components = query_size, alphabet_size, components
        self.parameters_of = nn.Linear(query_size, 3 * components)
        narrowness = 0.5  # that of a standard deviation of one character
        height = math.sqrt(narrowness / math.pi) / components
        with torch.no_grad():
            self.parameters_of.weight *= 0.1
            first = torch.tensor([height, narrowness, pace]).log()
            self.parameters_of.bias.copy_(first.repeat_interleave(components))

    def prepare(self, text: Tensor, lengths: Tensor | Sequence[int]) -> WrittenText:
        """Texts as `forward` takes them.

        Args:
            text: the index of each character (B, U) int64, 0 to V - 1; what is beyond the lengths is not read.
            lengths: true lengths (B,), 1 to U.

        Raises:
            ShapeError: a shape or a length does not fit.
        """
        if text.dim() != 2:
            raise ShapeError("text", "shape (B, U)", tuple(text.shape))
        batch, most = text.shape
        sizes = check_lengths(lengths, batch, most).to(text.device)
        positions = torch.arange(most + 1, device=text.device)
        dtype = self.parameters_of.weight.dtype
        within = positions[:-1] < sizes.unsqueeze(1)
        characters = one_hot(text.masked_fill(~within, 0), self.alphabet_size).to(dtype) * within.unsqueeze(2)
        return WrittenText(characters, (positions <= sizes.unsqueeze(1)).to(dtype), sizes)

    def forward(self, query: Tensor, text: WrittenText, position: Tensor | None = None) -> Windowed:
        """Read a text at one step.

        Args:
            query: (B, Q).
            text: of `prepare`.
            position: after the step before (B, K); None: 0, before the first character.

        Raises:
            ShapeError: a shape does not fit.
        """
        batch, positions = text.ends.shape
        check_shape("query", query, (batch, self.query_size), "(B, Q)")
        height, narrowness, step = self.parameters_of(query).clamp(max=_MOST).exp().chunk(3, 1)
        reached = step if position is None else position + step
        at = torch.arange(1, positions + 1, device=query.device, dtype=query.dtype)
        exponents = narrowness.unsqueeze(2) * (reached.unsqueeze(2) - at).square()
        weights = torch.bmm(height.unsqueeze(1), (-exponents).exp()).squeeze(1) * text.ends
        context = torch.bmm(weights[:, :-1].unsqueeze(1), text.characters).squeeze(1)
        return Windowed(context, weights, reached)

    def extra_repr(self) -> str:
        return f"{self.query_size}, {self.alphabet_size}, components={self.components}"
