"""Draws a token from a distribution."""

from dataclasses import dataclass

import numpy as np

from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Args:
        temperature: by which log probabilities are divided; 0 takes the most probable token always (greedy).
        top_k: only the k most probable tokens can be drawn (Fan et al. 2018); 0 for all.
        top_p: only the most probable tokens that together have this probability can be drawn (nucleus sampling,
            Holtzman et al. 2020), of what `temperature` and `top_k` leave; 1 for all.

    Raises:
        ParameterError: for a value out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("top_p", self.top_p)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise ParameterError(name, "a number not below 0", value)
        check_positive("top_k", self.top_k, at_least=0)
        if not 0 < self.top_p <= 1:
            raise ParameterError("top_p", "a number above 0, up to 1", self.top_p)

    def draw(self, log_probabilities: np.ndarray, generator: np.random.Generator) -> int:
        """A token's number from log probabilities (V,); the generator gives one number, whatever is drawn."""
        uniform = generator.random()
        if self.temperature == 0:
            return int(log_probabilities.argmax())
        order = np.argsort(-log_probabilities, kind="stable")
        if self.top_k:
            order = order[: self.top_k]
        scaled = log_probabilities[order]
        weights = np.exp((scaled - scaled[0]) / self.temperature)
        summed = np.cumsum(weights)
        if self.top_p < 1:
            kept = int(np.searchsorted(summed, self.top_p * summed[-1])) + 1
            order, summed = order[:kept], summed[:kept]
        return int(order[min(int(np.searchsorted(summed, uniform * summed[-1], side="right")), len(order) - 1)])
