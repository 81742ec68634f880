"""Sampling a token from a distribution."""

from typing import TYPE_CHECKING

from recurra.options import Options, option

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Sampling"]


class Sampling(Options):
    """How the next token is sampled."""

    temperature: float = option(
        default=1.0,
        at_least=0,
        help="divides log probabilities: below 1 safer, above 1 wilder; 0: always the likeliest",
    )
    top_k: int = option(
        default=0, at_least=0, help="only the k most probable tokens are sampled (Fan et al. 2018); 0: all"
    )
    top_p: float = option(
        default=1.0,
        above=0,
        at_most=1,
        help="only the most probable tokens that together have this probability are sampled (Holtzman et al. 2020)",
    )

    def draw(self, log_probabilities: "np.ndarray", generator: "np.random.Generator") -> int:
        """A token's id from log probabilities (V,); the generator is advanced by one number in any case."""
        import numpy as np

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
            count = int(np.searchsorted(summed, self.top_p * summed[-1])) + 1
            order, summed = order[:count], summed[:count]
        return int(order[min(int(np.searchsorted(summed, uniform * summed[-1], side="right")), len(order) - 1)])
