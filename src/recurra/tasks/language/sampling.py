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
        from recurra.models.decoding import sample_index

        return sample_index(log_probabilities, generator.random(), self.temperature, self.top_k, self.top_p)
