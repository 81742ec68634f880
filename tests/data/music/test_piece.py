from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recurra.data.music.performance import Performance, Tracks
from recurra.data.music.piece import Grid, Music, Piece
from recurra.data.music.read import duplicates, split_pieces

rolls = st.integers(1, 12).flatmap(lambda T: arrays(np.uint8, (T, 88), elements=st.integers(0, 1), fill=st.just(0)))


@given(rolls)
def test_a_roll_is_its_notes(roll: np.ndarray) -> None:
    piece = Piece.from_roll("one", roll, Grid())
    assert np.array_equal(piece.roll, roll)
    assert len(piece.notes) == (np.diff(roll.astype(int), axis=0, prepend=0) == 1).sum()


def test_notes_of_one_pitch_do_not_overlap() -> None:
    piece = Piece.from_notes("one", np.array([[4, 6, 60], [0, 8, 60], [0, 2, 60], [2, 3, 64]]), Grid(), 10)
    assert piece.notes.tolist() == [[0, 4, 60], [2, 3, 64], [4, 6, 60]]
    assert piece.length == 10
    assert Piece.from_notes("none", np.zeros((0, 3)), Grid(), 3).roll.shape == (3, 88)
    assert Grid(4, 3.0).steps_per_bar == 12


def piece(*notes: tuple[int, int, int], name: str = "one") -> Piece:
    return Piece.from_notes(name, np.array(notes), Grid())


def test_transpositions_are_the_same_and_stay_on_one_side() -> None:
    pieces = [piece((0, 2, 60 + k), (2, 4, 64 + k), name=f"{k}") for k in range(5)]
    others = [piece((0, 2, 60), (2, 4, 65 + k)) for k in range(5)]
    assert duplicates([*others[:2], *pieces[:2]]) == [[2, 3]]
    for seed in range(5):
        rest, held = split_pieces(Music("made", {"all": (*pieces, *others)}), 0.3, seed)
        assert held is not None
        names = [{one.shape for one in music.parts["all"]} for music in (rest, held)]
        assert not names[0] & names[1]
        assert len(rest.parts["all"]) + len(held.parts["all"]) == 10
    music = Music("parted", {"train": tuple(pieces), "validation": tuple(others)})
    rest, held = split_pieces(music, 0.1, 0)
    assert rest.part("train") == tuple(pieces)
    assert held is not None
    assert held.part("validation") == tuple(others)
    assert music.part("test") == ()
    assert music.digest() != Music("parted", {"train": tuple(others), "validation": tuple(pieces)}).digest()
    assert split_pieces(Music("one", {"all": (pieces[0],)}), 0.5, 0)[1] is None


def test_a_performance_in_frames_and_seconds() -> None:
    tracks = Tracks((0, 40), np.array([0, 1, 1]), np.array([80, 90, 100]))
    beats = np.array([[Fraction(0), Fraction(1, 3)], [Fraction(1, 3), Fraction(2, 3)], [Fraction(2), Fraction(3)]])
    performance = Performance.of_beats(beats, np.array([60, 109, 62]), tracks, 60.0)
    assert performance.ticks_per_beat == 3
    assert performance.notes.tolist() == [[0, 1, 60], [1, 2, 109], [6, 9, 62]]
    performance = replace(performance, tempi=((0, 60.0), (6, 120.0)))
    np.testing.assert_allclose(performance.seconds(performance.notes[:, :2]), [[0, 1 / 3], [1 / 3, 2 / 3], [2, 2.5]])
    found = Piece.from_performance("one", performance, Grid(4), tracks=tracks, tempi=((8, 120.0), (99, 60.0)))
    assert found.notes.tolist() == [[0, 1, 60], [1, 3, 97], [8, 12, 62]]
    assert found.tempi == ((8, 120.0),)
    assert found.duration == 2.5
    assert found.merged().performance is performance
    first = found.beginning(2)
    assert first.performance.notes.tolist() == [[0, 1, 60], [1, 1, 109]]
    assert first.performance.tempi == ((0, 60.0),)


def test_performances_joined() -> None:
    given = Performance(3, np.array([[8, 9, 60]]), Tracks((40,), np.array([0]), np.array([100])), ((0, 90.0),))
    alone = Tracks((40, 0), np.array([0, 1]), np.array([80, 80]))
    later = Performance(4, np.array([[9, 12, 60], [9, 12, 60]]), alone, ((0, 120.0), (16, 60.0)))
    found = given.joined(later)
    assert found.ticks_per_beat == 12
    assert found.notes.tolist() == [[32, 36, 60], [27, 32, 60], [27, 36, 60]]
    assert found.tracks.programs == (40, 0)
    assert found.tempi == ((0, 90.0), (48, 60.0))
    fine = replace(given, ticks_per_beat=32_767).joined(replace(later, ticks_per_beat=32_766))
    assert fine.ticks_per_beat == 32_767


def test_a_stretched_piece() -> None:
    one = Piece.from_notes("one", np.array([[0, 2, 60], [2, 3, 60], [3, 4, 62], [4, 8, 64]]), Grid(2), 9)
    slow = one.stretched(2)
    assert slow.notes.tolist() == (one.notes * [2, 2, 1]).tolist()
    assert slow.length == 18
    assert slow.stretched(0.5).notes.tolist() == one.notes.tolist()
    # In double time notes that are shorter than a frame last one, and meet the next of their pitch.
    fast = one.stretched(0.5)
    assert fast.notes.tolist() == [[0, 1, 60], [1, 2, 60], [2, 3, 62], [2, 4, 64]]
    assert fast.length == 4
    tracks = Tracks((0, 5), np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4]))
    played = Piece.from_notes("one", one.notes, Grid(2), tracks=tracks, tempi=((4, 90.0),)).stretched(1.5)
    assert played.tracks is not None
    assert played.tracks.velocity.tolist() == [1, 2, 3, 4]
    assert played.tempi == ((6, 90.0),)
    assert Piece("none", one.notes[:0], 0).stretched(2).length == 0
