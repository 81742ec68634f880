"""Sampling events without end, frame by frame when they are asked for, with memory that does not grow."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from recurra.data.music.event_rules import EventRules, WrittenNote
from recurra.models.events.sampling import choose_event
from recurra.models.events.writers import Writers
from recurra.models.language import RecurrentLanguageModel

__all__ = ["SoundingFrame", "stream_events"]


class SoundingFrame(NamedTuple):
    """What a frame begins with.

    Attributes:
        notes: that begin in it.
        tempo: the index of the tempo that holds from it on; -1: that of before.
    """

    notes: list[WrittenNote]
    tempo: int


def stream_events(
    network: RecurrentLanguageModel,
    begin: int,
    rules: EventRules,
    first: int,
    seed: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    density: float = 1.0,
) -> Iterator[SoundingFrame]:
    """The frames of a piece from one on, each sampled when it is asked for, until the rules say that it is done.

    They are those that `sample_events` samples with the same seed and the same rules.

    Args:
        network: of a trained model.
        begin: the token before every sequence.
        rules: of the piece.
        first: the first frame; what comes before is written, but not returned.
        seed: of the random generator.
        temperature: see `choose_event`.
        top_k: see `choose_event`.
        top_p: see `choose_event`.
        density: see `sample_events`.
    """
    generator, writing = np.random.default_rng(seed), Writers.begin(network, begin, rules, 1)
    [state] = writing.states
    frame, notes, tempo = first, list[WrittenNote](), -1
    while frame < rules.length:
        # A frame is whole once the writer stands behind it.
        while state.frame <= frame and state.frame < rules.length:
            with torch.no_grad():
                shifted = writing.log_probabilities() + np.log(density) * writing.sooner()
                token = choose_event(shifted[0], writing.allowed()[0], generator, temperature, top_k, top_p)
                at, before = state.frame, state.tempo
                writing.write([token])
            if at >= first and state.tempo != before and state.begin >= 0:
                tempo = state.tempo
            notes += [note for note in state.written if note[0] >= first]
            # What was written is not looked at again.
            state.written.clear()
            state.tokens.clear()
        yield SoundingFrame(notes, tempo)
        notes, tempo, frame = [], -1, frame + 1
