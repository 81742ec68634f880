from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.models.baselines.frame_ngram import frame_ngram_surprise

BASE = np.array([0.5, 0.2, 0.2, 0.1])  # of the four frames of two notes
FRAMES = [np.array(one, np.uint8) for one in product((0, 1), repeat=2)]


def rolls(*pieces: str) -> list[np.ndarray]:
    return [np.stack([FRAMES[int(one)] for one in piece]) for piece in pieces]


def surprise(training: list[np.ndarray], frames: str, order: int) -> np.ndarray:
    [piece] = rolls(frames)
    base = -np.log(BASE[[2 * int(a) + int(b) for a, b in piece]])
    return frame_ngram_surprise(training, [piece], [base], order)[0]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("begins", ["", "1", "12", "33"])
def test_it_is_a_distribution(order: int, begins: str) -> None:
    training = rolls("1212", "0", "12333")
    ends = [surprise(training, f"{begins}{one}", order)[-1] for one in range(4)]
    assert_allclose(np.exp(-np.array(ends)).sum(), 1)


def test_counts_by_hand() -> None:
    training = rolls("121", "13")
    # Five frames, three of them 1, of three kinds.
    unigram = {1: (3 + 3 * BASE[1]) / 8, 2: (1 + 3 * BASE[2]) / 8, 0: (0 + 3 * BASE[0]) / 8}
    assert_allclose(np.exp(-surprise(training, "120", 1)), [unigram[1], unigram[2], unigram[0]])
    # After silence 1 came twice; after 1 came 2 and 3; after 2 came 1.
    expected = [(2 + unigram[1]) / 3, (1 + 2 * unigram[2]) / 4, (0 + unigram[0]) / 2]
    assert_allclose(np.exp(-surprise(training, "120", 2)), expected)


def test_pieces_are_read_alone_and_wide_frames_are_told_apart() -> None:
    generator = np.random.default_rng(0)
    training, pieces = ([generator.integers(0, 2, (6, 130)) for _ in range(3)] for _ in range(2))
    pieces[1] = training[2]
    base = [np.full(6, 90.0) for _ in pieces]
    together = frame_ngram_surprise(training, pieces, base)
    for piece, own, found in zip(pieces, base, together, strict=True):
        assert_allclose(frame_ngram_surprise(training, [piece], [own])[0], found)
    assert together[1].max() < 2 < 90 < together[0].min()
