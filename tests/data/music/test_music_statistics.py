import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.music.piece import Grid, Piece
from recurra.data.music.statistics import character, longest_common_subsequence, most_copied, overlap

words = st.lists(st.integers(-2, 2), max_size=12)


def literal(one: list[int], other: list[int]) -> int:
    """The length of the longest common subsequence, by the textbook's table."""
    table = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


@given(words, words)
def test_longest_common_subsequence(one: list[int], other: list[int]) -> None:
    assert longest_common_subsequence(np.array(one, int), np.array(other, int)) == literal(one, other)


def tune(*pitches: int, name: str = "tune") -> Piece:
    notes = np.array([(2 * k, 2 * k + 2, pitch) for k, pitch in enumerate(pitches)])
    return Piece.from_notes(name, notes, Grid(2))


def test_a_transposed_copy_is_found() -> None:
    training = [tune(60, 61, 60, 61, 60, name="other"), tune(60, 62, 64, 67, 72, name="this")]
    assert most_copied(tune(65, 67, 69, 72, 77), training) == (1.0, "this")
    assert most_copied(tune(65, 67, 69, 72, 71), training) == (0.75, "this")
    assert most_copied(tune(65), training) == (0.0, "")


def test_character_by_hand() -> None:
    found = character([tune(60, 61, 62, 60, 87)])
    assert found.density == 1
    assert found.duration == 1
    # No key has all of C, C sharp, D and E flat. C minor has all but C sharp, one beat of five.
    assert found.outside_key == pytest.approx(0.2)
    assert found.pitch_classes[[0, 1, 2, 3]] == pytest.approx([0.4, 0.2, 0.2, 0.2])
    assert found.intervals[[12 + 1, 12 - 2, 24]] == pytest.approx([0.5, 0.25, 0.25])
    assert overlap(found.pitch_classes, character([tune(60)]).pitch_classes) == pytest.approx(0.4)
    nothing = character([])
    assert (nothing.density, nothing.outside_key, nothing.duration) == (0, 0, 0)
