"""Tokens that depend on one symbol each: counted, and smoothed."""

import numpy as np

__all__ = ["conditional_surprise"]


def conditional_surprise(
    training: np.ndarray, conditions: np.ndarray, tokens: np.ndarray, symbols: np.ndarray, vocabulary_size: int
) -> np.ndarray:
    """The surprise, -log p in nats, of each token given its symbol, (M,).

    Tokens are counted with the smoothing of Witten and Bell (1991), in its interpolated form: a symbol's own counts,
    then those of all tokens, then the uniform distribution, so that every token has a probability.

    Args:
        training: ids to count (N,).
        conditions: the symbol of each of them (N,), not negative.
        tokens: ids to predict (M,).
        symbols: the symbol of each of them (M,).
        vocabulary_size: V.
    """
    counts = np.bincount(training, minlength=vocabulary_size)
    kinds = np.count_nonzero(counts)
    of_all = (
        (counts[tokens] + kinds / vocabulary_size) / (len(training) + kinds) if len(training) else 1 / vocabulary_size
    )
    known, times = np.unique(conditions * vocabulary_size + training, return_counts=True)
    size = int(max(conditions.max(initial=0), symbols.max(initial=0))) + 1
    total = np.bincount(conditions, minlength=size)[symbols]
    different = np.bincount(known // vocabulary_size, minlength=size)[symbols]
    pair = symbols * vocabulary_size + tokens
    at = np.minimum(np.searchsorted(known, pair), max(len(known) - 1, 0))
    own = np.where(known[at] == pair, times[at], 0) if len(known) else np.zeros(len(tokens))
    smoothed = (own + different * of_all) / np.maximum(total + different, 1)
    return -np.log(np.where(total > 0, smoothed, of_all))
