"""Sampling events around notes that are there before."""

from collections.abc import Sequence

import numpy as np
import torch

from recurra.data.music.event_rules import EventRules, EventState
from recurra.models.decoding import choose_particles, resample, sample_index
from recurra.models.events.writers import Writers
from recurra.models.language import RecurrentLanguageModel

__all__ = ["choose_event", "sample_events"]


@torch.no_grad()
def sample_events(
    network: RecurrentLanguageModel,
    begin: int,
    rules: EventRules,
    seeds: Sequence[int],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    density: float = 1.0,
    particles: int = 1,
) -> list[EventState]:
    """Sample pieces, each event of those that the rules allow.

    Each row has its own random generator and is computed in double precision, so that it is the same in any batch.
    Several particles of a row are compared at every bar by the probability that the model gives to what the rules
    allow, its notes that were there before included; see `recurra.models.decoding.resample`.

    Args:
        network: of a trained model.
        begin: the token before every sequence.
        rules: of the piece.
        seeds: of each row (B,).
        temperature: see `sample_index`.
        top_k: see `sample_index`.
        top_p: see `sample_index`.
        density: the probability of an event that begins a note is multiplied by it, and that of a position the less,
            the later in the bar it is; the next bar has its own. See `EventRules.density`.
        particles: of each row.

    Returns:
        What was written (B).
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    weights = np.zeros((len(seeds), particles))
    writers = Writers.begin(network, begin, rules, len(seeds) * particles)

    def choose(index: list[int], writing: Writers) -> list[int]:
        likely, allowed = writing.log_probabilities(), writing.allowed()
        shifted = likely + np.log(density) * writing.sooner()
        tokens = []
        for k, row in enumerate(index):
            weights[row // particles, row % particles] += _log_sum(likely[k, allowed[k]])
            generator = generators[row // particles]
            tokens.append(choose_event(shifted[k], allowed[k], generator, temperature, top_k, top_p))
        return tokens

    step = rules.steps_per_bar if particles > 1 else rules.length
    for frame in (*range(step, rules.length, step), rules.length):
        writers = writers.write_until(frame, choose)
        if particles > 1:
            writers = writers.select(resample(weights, generators).tolist())
    return writers.select(choose_particles(weights, generators).tolist()).states


def choose_event(
    likely: np.ndarray,
    allowed: np.ndarray,
    generator: np.random.Generator,
    temperature: float,
    top_k: int,
    top_p: float,
) -> int:
    """The next token, of those that are allowed.

    Args:
        likely: the log-probability of every token (V,).
        allowed: bool (V,), one at least.
        generator: advanced by a number, unless one token alone is allowed.
        temperature: see `sample_index`.
        top_k: see `sample_index`.
        top_p: see `sample_index`.
    """
    may = np.flatnonzero(allowed)
    # What is certain takes no random number, so that a piece does not depend on what was there before it.
    if len(may) == 1:
        return int(may[0])
    return int(may[sample_index(likely[may], generator.random(), temperature, top_k, top_p)])


def _log_sum(values: np.ndarray) -> float:
    most = values.max()
    return float(most + np.log(np.exp(values - most).sum()))
