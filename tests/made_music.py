"""Small pieces of music."""

import numpy as np

from recurra.data.music.piece import Grid, Piece, Tracks

GRID = Grid(4, 4.0, 120.0)


def duets(count: int, seed: int = 0) -> list[Piece]:
    """A scale that a flute climbs in quarters, with the octave below in whole notes of a bass, two bars each."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        root = 60 + int(generator.integers(0, 6))
        flute = [[4 * step, 4 * step + 3, root + (0, 2, 4, 5, 7, 5, 4, 2)[step]] for step in range(8)]
        bass = [[0, 16, root - 12], [16, 32, root - 5]]
        tracks = Tracks((73, 32), np.array([0] * 8 + [1] * 2), np.array([96] * 8 + [64] * 2))
        made.append(Piece.from_notes(f"{number}", np.array(flute + bass), GRID, tracks=tracks))
    return made
