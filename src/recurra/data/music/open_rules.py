"""Which events may follow others in music that is written as it comes, and its state as numbers."""

import numpy as np

from recurra.data.music.event_rules import ENDLESS, EventRules, EventState
from recurra.data.music.events import KINDS, EventVocabulary
from recurra.data.music.piece import Piece
from recurra.data.music.pitches import NOTES

__all__ = ["OpenRules"]

_KINDS = ("", *KINDS)
_COUNTED = ("meter", "tempo", "voice", "pitch", "velocity", "held")


class OpenRules(EventRules):
    """The rules of pieces of which nothing is there before, one after the other.

    Each has a meter and a tempo of its own, as long as it likes, and ends at a position; the next begins after the end.

    Args:
        vocabulary: V tokens.

    Attributes:
        size: numbers of a state, see `numbers`.
    """

    def __init__(self, vocabulary: EventVocabulary) -> None:
        voices = len(vocabulary.voices)
        nothing = vocabulary.fit(Piece("", np.zeros((0, 3), np.int64), 0))
        super().__init__(vocabulary, nothing, ENDLESS, np.ones((voices, NOTES), bool))
        self.size = 2 + len(_COUNTED) + voices * NOTES

    def allowed(self, state: EventState) -> np.ndarray:
        """See `EventRules.allowed`."""
        tokens = super().allowed(state)
        if state.begin < 0:
            for kind in ("meter", "tempo"):
                self._of(tokens, kind)[:] = self._of(tokens, kind).any()
        self._of(tokens, "end")[:] = state.kind == "position"
        return tokens

    def read(self, state: EventState, token: int) -> None:
        """See `EventRules.read`; the end is what every piece begins after."""
        if self._vocabulary.kinds[token] == "end":
            vars(state).update(vars(self.begin()))
        else:
            super().read(state, token)

    def numbers(self, state: EventState) -> np.ndarray:
        """What the rules need of a state, float32 (size,): whole numbers that do not grow with time."""
        begin = max(state.begin, 0)
        counted = [getattr(state, name) for name in _COUNTED]
        # Before the first bar frames count from -1; a bar later than the notes that sounded, those are over.
        ends = np.maximum(state.ends - begin, 0)
        begun = state.frame - begin if state.begin >= 0 else -1
        numbers = [_KINDS.index(state.kind), begun, *counted, *ends.ravel().tolist()]
        return np.array(numbers, np.float32)

    def state_of(self, numbers: np.ndarray) -> EventState:
        """The state of `numbers`; of zeros the first, at which no event was read."""
        whole = numbers.astype(np.int64).tolist()
        if not whole[0]:
            return self.begin()
        kind, frame, counted = whole[0], whole[1], dict(zip(_COUNTED, whole[2:], strict=False))
        ends = np.array(whole[2 + len(_COUNTED) :], np.int64).reshape(-1, NOTES)
        return EventState(ends, kind=_KINDS[kind], frame=frame, begin=0 if frame >= 0 else -1, **counted)
