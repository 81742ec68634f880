"""How long music may be: what is longer is a damaged file, and would fill the memory with frames."""

import numpy as np

from recurra.data.music.piece import Piece
from recurra.errors import DataError

__all__ = ["BEATS_PER_DAY", "check_rests"]

BEATS_PER_DAY = 24 * 60 * 120
"""Quarter notes of a day at 120 a minute, the most that a piece may last."""
_LONGEST_REST = 10 * 120  # quarter notes: ten minutes at 120 a minute


def check_rests(piece: Piece) -> None:
    """Check that nowhere in a piece nothing sounds for more than ten minutes at 120 beats a minute.

    Raises:
        DataError: there is such a rest.
    """
    starts, ends = piece.notes[:, 0], np.maximum.accumulate(piece.notes[:, 1])
    if not len(starts):
        return
    rests = starts - np.concatenate([[0], ends[:-1]])
    longest = int(rests.argmax())
    beats = rests[longest] / piece.grid.steps_per_beat
    if beats > _LONGEST_REST:
        before = f"after beat {(starts[longest] - rests[longest]) / piece.grid.steps_per_beat:g}"
        raise DataError(
            f"nothing sounds for {beats:,g} beats {before}, expected at most {_LONGEST_REST:,}. "
            "Cut the silence out, or the piece in two."
        )
