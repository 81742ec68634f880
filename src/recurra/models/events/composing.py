"""Pieces of notes that are there and of notes that a model of events adds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recurra.data.music.event_rules import EventRules, WrittenNote
from recurra.data.music.events import EventVocabulary
from recurra.data.music.performance import Tracks
from recurra.data.music.piece import VELOCITY, Piece
from recurra.models.events.sampling import sample_events
from recurra.models.events.search import search_events
from recurra.models.language import RecurrentLanguageModel

__all__ = ["Composed", "Composer"]


class Composed(NamedTuple):
    """A piece that a model added to.

    Attributes:
        piece: all of it.
        original: which of its notes were there before, bool (K,).
    """

    piece: Piece
    original: np.ndarray


class Composer:
    """Writes notes around those of a piece, which stay as they are.

    Args:
        network: of the events of the vocabulary.
        vocabulary: V tokens.
        original: what is there before.
        length: frames of the whole, at least those of the original.
        free: where notes may be added, by the voices of the vocabulary; see `EventRules`.
        tempo_from: the frame from which the tempo may change.
    """

    def __init__(
        self,
        network: RecurrentLanguageModel,
        vocabulary: EventVocabulary,
        original: Piece,
        length: int,
        free: np.ndarray,
        tempo_from: int,
    ) -> None:
        self._network, self._vocabulary, self._original = network, vocabulary, original
        self._begin = vocabulary.token("end")
        self._rules = EventRules(vocabulary, vocabulary.fit(original), length, free, tempo_from)

    def sample(
        self,
        seeds: Sequence[int],
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        density: float = 1.0,
        particles: int = 1,
    ) -> list[Composed]:
        """A piece for each seed; see `sample_events`."""
        states = sample_events(
            self._network,
            self._begin,
            self._rules,
            seeds,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            density=density,
            particles=particles,
        )
        named = zip(seeds, states, strict=True)
        return [self._composed(f"seed {seed}", state.written, state.tokens) for seed, state in named]

    def search(self, beam_size: int, density: float = 1.0) -> list[Composed]:
        """The likeliest pieces, at most `beam_size`, the best first; see `search_events`."""
        hypotheses = search_events(self._network, self._begin, self._rules, beam_size, density)
        return [
            self._composed(f"hypothesis {rank}", state.written, state.tokens)
            for rank, (state, _) in enumerate(hypotheses, 1)
        ]

    def _composed(self, name: str, written: Sequence[WrittenNote], tokens: Sequence[int]) -> Composed:
        original, vocabulary = self._original, self._vocabulary
        count = len(original.notes)
        alone = Tracks((0,), np.zeros(count, np.int64), np.full(count, VELOCITY))
        before = original.tracks or alone
        track_of: dict[int, int] = {}
        for track, voice in enumerate(vocabulary.voices_for(original)):
            track_of.setdefault(voice, track)
        programs = list(before.programs)
        for _, _, _, voice, _ in written:
            if voice not in track_of:
                track_of[voice] = len(programs)
                programs.append(vocabulary.voices[voice][0])
        added = np.array(written, np.int64).reshape(-1, 5)
        notes = np.concatenate([original.notes, added[:, :3]])
        track = np.concatenate([before.track, np.array([track_of[voice] for voice in added[:, 3].tolist()], np.int64)])
        velocity = np.concatenate([before.velocity, added[:, 4]])
        order = np.lexsort((track, notes[:, 2], notes[:, 0]))
        # The tempi that were there before are not rounded to those of the vocabulary.
        later = vocabulary.decode(tokens).tempi
        tempi = (*original.tempi, *(one for one in later if one[0] >= original.length))
        tracks = Tracks(tuple(programs), track[order], velocity[order])
        piece = Piece(name, notes[order], self._rules.length, original.grid, tracks, tempi)
        return Composed(piece, order < count)
