import numpy as np

from recurra.data.music.event_repetition import repeated_events
from recurra.data.music.events import EventVocabulary
from recurra.data.music.piece import Grid, Piece
from recurra.models.baselines.conditional import conditional_surprise


def test_what_repeats_the_last_bar_by_hand() -> None:
    notes = [[0, 2, 60], [2, 4, 64], [2, 3, 60], [4, 6, 60], [6, 8, 65], [7, 8, 60], [9, 10, 62]]
    piece = Piece.from_notes("one", np.array(notes), Grid(1, 4.0), 12)
    vocabulary = EventVocabulary.of([piece])
    tokens = vocabulary.encode(vocabulary.fit(piece)).tokens
    names = [vocabulary.name(token) for token in tokens]
    found = ["" if one == len(vocabulary) else vocabulary.name(one) for one in repeated_events(vocabulary, tokens)]
    bars = [k for k, name in enumerate(names) if name == "bar"]
    assert found[: bars[1] + 1] == [""] * (bars[1] + 1)
    assert list(zip(names, found, strict=True))[bars[1] + 1 : bars[2] + 1] == [
        ("position 0", "position 0"), ("C4", "C4"), ("2 frames", "2 frames"), ("position 2", "position 2"),
        ("F4", "E4"), ("2 frames", "2 frames"),
        # The last bar has a second note there; position 3 it lacks, and there it repeats the one before.
        ("position 3", "C4"), ("C4", "E4"), ("1 frame", "2 frames"), ("bar", "C4"),
    ]  # fmt: skip
    assert list(zip(names, found, strict=True))[bars[2] + 1 :] == [
        ("position 1", "position 0"), ("D4", "C4"), ("1 frame", "2 frames"), ("bar", "position 2"),
        ("position 0", "position 1"), ("end", "position 1"),
    ]  # fmt: skip


def test_counts_by_hand_and_a_sum_of_one() -> None:
    training, given = np.array([0, 0, 1, 2, 0]), np.array([1, 1, 1, 0, 0])
    every = np.arange(4)
    for symbol in range(5):
        surprise = conditional_surprise(training, given, every, np.full(4, symbol), 4)
        assert abs(np.exp(-surprise).sum() - 1) < 1e-12
    # Of all tokens 0 has 3 of 5, smoothed by three kinds; after symbol 1 it has 2 of 3, smoothed by two kinds.
    of_all = (3 + 3 / 4) / (5 + 3)
    [surprise] = conditional_surprise(training, given, np.array([0]), np.array([1]), 4)
    assert abs(np.exp(-surprise) - (2 + 2 * of_all) / (3 + 2)) < 1e-12
