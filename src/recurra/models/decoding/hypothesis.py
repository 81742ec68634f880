"""The result of a search."""

from dataclasses import dataclass

__all__ = ["Hypothesis", "length_normalizer"]


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search ended.

    Attributes:
        tokens: without begin and end.
        log_prob: of the whole sequence, its end included.
        score: what it is ranked by: `log_prob` over the length normaliser.
        token_log_probs: of each token and of the end, one more than `tokens`.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float
    token_log_probs: tuple[float, ...]


def length_normalizer(length: int, length_penalty: float) -> float:
    """What a log-probability is divided by: ((5 + length) / 6)^length_penalty (Wu et al. 2016, equation 14).

    Args:
        length: tokens, the end included.
        length_penalty: alpha, 0 or more; 0 for none.
    """
    return ((5 + length) / 6) ** length_penalty
