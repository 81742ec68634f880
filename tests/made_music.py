"""Small pieces of music."""

from pathlib import Path

import numpy as np

from recurra.data.music.midi import write_midi
from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.piece import Grid, Piece

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


def played_off_the_grid(path: Path) -> Performance:
    """A file of two instruments: triplets, a grace note, notes repeated within a frame, changes of the tempo."""
    triplets = [[160 * k, 160 * k + 150, 60 + k % 5] for k in range(36)]
    notes = np.array([*triplets, [470, 480, 70], [480, 500, 15], [500, 520, 15], [1900, 1925, 72], [2870, 2890, 74]])
    tracks = Tracks((40, 73), np.arange(len(notes)) % 2, 50 + np.arange(len(notes)))
    performance = Performance(480, notes, tracks, ((0, 100.0), (700, 87.0), (3000, 140.0)))
    write_midi(Piece.from_performance("triplets", performance, Grid(4, 3.0, 100.0), tracks=tracks), path)
    return performance


def played(performance: Performance) -> set[tuple[int, ...]]:
    """Start, end, pitch, program and velocity of notes."""
    tracks = performance.tracks
    return {
        (*note, tracks.programs[track], velocity)
        for note, track, velocity in zip(
            performance.notes.tolist(), tracks.track.tolist(), tracks.velocity.tolist(), strict=True
        )
    }
