"""Beam search for the likeliest events around notes that are there before."""

import numpy as np
import torch

from recurra.data.music.event_rules import EventRules, EventState
from recurra.models.events.writers import Writers
from recurra.models.language import RecurrentLanguageModel

__all__ = ["search_events"]


@torch.no_grad()
def search_events(
    network: RecurrentLanguageModel, begin: int, rules: EventRules, beam_size: int, density: float = 1.0
) -> list[tuple[EventState, float]]:
    """The likeliest pieces that the rules allow, as a beam search finds them.

    Hypotheses are compared at bars, where all have written the same stretch of music, however many events they took for
    it. A bar is searched until none of its hypotheses can become better than the `beam_size` best that have ended it.
    With a beam that holds every sequence this is exhaustive search.

    Args:
        network: of a trained model; it is computed in double precision.
        begin: the token before every sequence.
        rules: of the piece.
        beam_size: K, hypotheses in a beam.
        density: see `sample_events`, at most 1 or the search of a bar may end early.

    Returns:
        Up to K hypotheses, the best first, each with its score: its log-probability, shifted by `density`.
    """
    beam, scores = Writers.begin(network, begin, rules, 1), np.zeros(1)
    for frame in (*range(rules.steps_per_bar, rules.length, rules.steps_per_bar), rules.length):
        beam, scores = _bar(beam, scores, frame, beam_size, float(np.log(density)))
    return list(zip(beam.states, scores.tolist(), strict=True))


def _bar(writing: Writers, scores: np.ndarray, frame: int, beam_size: int, shift: float) -> tuple[Writers, np.ndarray]:
    """The best hypotheses that stand at a frame, the best first, and their scores."""
    ended: list[tuple[Writers, float]] = []
    while True:
        done = np.array([state.frame >= frame for state in writing.states])
        ended += [(writing.select([k]), float(scores[k])) for k in np.flatnonzero(done).tolist()]
        ended = sorted(ended, key=lambda one: -one[1])[:beam_size]
        rest = np.flatnonzero(~done)
        if len(ended) == beam_size:
            rest = rest[scores[rest] > ended[-1][1]]
        if not len(rest):
            return Writers.joined([one for one, _ in ended]), np.array([score for _, score in ended])
        writing, scores = writing.select(rest.tolist()), scores[rest]
        likely = np.where(writing.allowed(), writing.log_probabilities() + shift * writing.sooner(), -np.inf)
        every = (scores[:, None] + likely).ravel()
        best = np.argsort(-every, kind="stable")[:beam_size]
        best = best[np.isfinite(every[best])]
        rows, tokens = np.divmod(best, likely.shape[1])
        writing, scores = writing.select(rows.tolist()), every[best]
        writing.write(tokens.tolist())
