import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.music.piece import Grid, Piece
from recurra.data.music.statistics import (
    LONGEST_LAG,
    character,
    longest_common_subsequence,
    most_copied,
    overlap,
    similarity_error,
)

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


def test_similarity_of_bars_by_hand() -> None:
    # Bars of two notes each, A = 60 62, B = 60 64, and a rest: A B A rest A.
    bars = ((60, 62), (60, 64), (60, 62), (), (60, 62))
    notes = np.array([(8 * k + 2 * j, 8 * k + 2 * j + 1, p) for k, bar in enumerate(bars) for j, p in enumerate(bar)])
    found = character([Piece.from_notes("one", notes, Grid(2), 40)]).similarity
    # Of A and B one of three notes is the same. One bar apart: AB, BA, A-, -A; two: AA, B-, AA; three: A-, BA.
    assert found.shape == (LONGEST_LAG,)
    assert found[:5].tolist() == pytest.approx([(1 / 3 + 1 / 3) / 4, 2 / 3, (1 / 3) / 2, 1.0, np.nan], nan_ok=True)
    assert np.isnan(found[4:]).all()
    same = tune(*(8 * [60]))
    assert character([same]).similarity[0] == 1
    assert similarity_error(character([same]), character([same])) == 0
    assert similarity_error(character([same]), character([tune(*range(60, 68))])) == 1
    assert similarity_error(character([same]), character([])) == 0
