"""A drawing as the lines of a file, before it is simplified."""

from typing import NamedTuple

import numpy as np

from recurra.data.drawings.simplification import BOX, simplified, thinned
from recurra.data.drawings.strokes import strokes_of

__all__ = ["LinedDrawing", "text_size"]


class LinedDrawing(NamedTuple):
    """A drawing as it is in a file.

    Attributes:
        lines: (n, 2) each.
        label: its class; "": it has none.
        text: what it writes; "": that is not known.
    """

    lines: list[np.ndarray]
    label: str = ""
    text: str = ""

    def strokes(self, epsilon: float) -> np.ndarray:
        """The strokes (N, 3), simplified if `epsilon` is above 0.

        A drawing is brought to one size, see `simplified`. Handwriting keeps the units of its file, because letters of
        a long line and of a short one have one size; `epsilon` is then in 255ths of its `text_size`.
        """
        if not epsilon:
            return strokes_of(self.lines)
        if not self.text:
            return strokes_of(simplified(self.lines, epsilon))
        return strokes_of(thinned(self.lines, epsilon, text_size(self.lines, self.text) / BOX))


def text_size(lines: list[np.ndarray], text: str) -> float:
    """How large handwriting is: its height, or where that is more, the width that a character has on average.

    Args:
        lines: (n, 2) each.
        text: what they write, at least one character.
    """
    width, height = np.ptp(np.concatenate(lines), axis=0).tolist()
    return max(height, width / len(text))
