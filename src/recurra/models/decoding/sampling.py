"""Sampling one of several choices from their log-probabilities."""

import numpy as np

__all__ = ["sample_index"]


def sample_index(
    log_probabilities: np.ndarray, uniform: float, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> int:
    """The index that a random number chooses.

    Args:
        log_probabilities: (V,), up to a constant; -infinity for what is never chosen. One at least is finite.
        uniform: in [0, 1).
        temperature: divides the log-probabilities; 0: the likeliest is chosen.
        top_k: only so many of the likeliest are sampled (Fan et al. 2018); 0: all.
        top_p: only the likeliest that together have this probability are sampled (Holtzman et al. 2020), in (0, 1].
    """
    if temperature == 0:
        return int(log_probabilities.argmax())
    order = np.argsort(-log_probabilities, kind="stable")
    order = order[: min(top_k or len(order), int(np.isfinite(log_probabilities).sum()))]
    scaled = log_probabilities[order]
    weights = np.exp((scaled - scaled[0]) / temperature)
    summed = np.cumsum(weights)
    if top_p < 1:
        count = int(np.searchsorted(summed, top_p * summed[-1])) + 1
        order, summed = order[:count], summed[:count]
    return int(order[min(int(np.searchsorted(summed, uniform * summed[-1], side="right")), len(order) - 1)])
