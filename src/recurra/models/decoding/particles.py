"""Particle filters: of several samples beside each other, those that fit best replace others (Gordon et al. 1993)."""

from collections.abc import Sequence

import numpy as np

__all__ = ["choose_particles", "resample"]


def resample(weights: np.ndarray, generators: Sequence[np.random.Generator]) -> np.ndarray:
    """The particles that survive (B * K,), by systematic resampling of rows with few effective particles.

    Args:
        weights: log weights (B, K), which become 0 in rows that are resampled.
        generators: one for each row, advanced by one number.
    """
    rows, particles = weights.shape
    chosen = np.arange(rows * particles).reshape(rows, particles)
    for row, generator in enumerate(generators):
        offset = generator.random()
        probabilities = _normalized(weights[row])
        if 1 / (probabilities**2).sum() < particles / 2:
            points = (np.arange(particles) + offset) / particles
            picked = np.searchsorted(probabilities.cumsum(), points, side="right")
            chosen[row] = row * particles + np.minimum(picked, particles - 1)
            weights[row] = 0
    return chosen.ravel()


def choose_particles(weights: np.ndarray, generators: Sequence[np.random.Generator]) -> np.ndarray:
    """One particle of each row (B,), sampled by its weight.

    Args:
        weights: log weights (B, K).
        generators: one for each row, not advanced if there is one particle.
    """
    particles = weights.shape[1]
    if particles == 1:
        return np.arange(len(weights))
    return np.array([
        row * particles + int(generator.choice(particles, p=_normalized(weights[row])))
        for row, generator in enumerate(generators)
    ])  # fmt: skip


def _normalized(weights: np.ndarray) -> np.ndarray:
    likely = np.exp(weights - weights.max())
    return likely / likely.sum()
