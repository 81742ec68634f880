from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.music.event_rules import EventRules, EventState
from recurra.data.music.events import EventVocabulary
from recurra.data.music.open_rules import OpenRules
from recurra.data.music.performance import Tracks
from recurra.data.music.piece import Grid, Piece

PROGRAMS = (0, 0, 40, 41)


@st.composite
def pieces(draw: Any) -> Piece:
    """Pieces of several tracks, with velocities and changes of the tempo, whose notes are on the grid."""
    tracks = draw(st.integers(1, len(PROGRAMS)))
    note = st.tuples(
        st.integers(0, 40), st.integers(1, 30), st.integers(21, 108), st.integers(0, tracks - 1), st.integers(1, 127)
    )
    found = np.array(draw(st.lists(note, max_size=20)), np.int64).reshape(-1, 5)
    notes = np.stack([found[:, 0], found[:, 0] + found[:, 1], found[:, 2]], axis=1)
    of = Tracks(PROGRAMS[:tracks], found[:, 3], found[:, 4])
    grid = Grid(draw(st.sampled_from([2, 4])), draw(st.sampled_from([2.0, 3.0, 4.5])), draw(st.integers(30, 300)))
    frames = draw(st.sets(st.integers(1, 40), max_size=3))
    tempi = tuple((frame, float(draw(st.integers(30, 300)))) for frame in sorted(frames))
    return Piece.from_notes("one", notes, grid, draw(st.integers(0, 60)), tracks=of, tempi=tempi)


def same(one: Piece, other: Piece) -> bool:
    assert one.tracks is not None
    assert other.tracks is not None
    assert one.notes.tolist() == other.notes.tolist()
    assert one.tracks.track.tolist() == other.tracks.track.tolist()
    assert one.tracks.velocity.tolist() == other.tracks.velocity.tolist()
    return (one.length, one.grid, one.tempi) == (other.length, other.grid, other.tempi)


@settings(max_examples=25, deadline=None)
@given(st.lists(pieces(), min_size=1, max_size=3), pieces())
def test_pieces_come_back_from_their_events(training: list[Piece], held: Piece) -> None:
    vocabulary = EventVocabulary.of(training)
    assert EventVocabulary.from_json(vocabulary.to_json()) == vocabulary
    for piece in (*training, held):
        fitted = vocabulary.fit(piece)
        assert same(vocabulary.fit(fitted), fitted)
        encoded = vocabulary.encode(fitted)
        assert same(vocabulary.decode(encoded.tokens.tolist()), fitted)
        assert encoded.tokens.max() < len(vocabulary)
        assert vocabulary.kinds[encoded.tokens[-1]] == "end"
        # Every note has its tokens, and nothing but the end comes after them.
        owners = np.unique(encoded.note)
        assert owners[owners >= 0].tolist() == list(range(len(fitted.notes)))
    for piece in training:
        # A piece of training loses no note and no instrument.
        fitted = vocabulary.fit(piece)
        assert fitted.notes.tolist() == piece.notes.tolist()
        assert fitted.grid.beats_per_bar == piece.grid.beats_per_bar
        assert fitted.tracks is not None
        assert piece.tracks is not None
        assert [fitted.tracks.programs[one] for one in fitted.tracks.track] == [
            piece.tracks.programs[one] for one in piece.tracks.track
        ]


def test_events_by_hand() -> None:
    notes = np.array([[0, 2, 60], [0, 1, 64], [0, 8, 48], [2, 3, 62], [9, 30, 60]])
    of = Tracks((0, 32), np.array([0, 0, 1, 0, 0]), np.array([80, 100, 80, 80, 80]))
    piece = Piece.from_notes("one", notes, Grid(2, 4.0, 120.0), tracks=of, tempi=((2, 60.0),))
    vocabulary = EventVocabulary(((2, 3.0), (2, 4.0)), (60, 120), ((0, 0), (32, 0)), (80, 100), 16)
    encoded = vocabulary.encode(vocabulary.fit(piece))
    assert [vocabulary.name(token) for token in encoded.tokens.tolist()] == [
        "meter of 4 beats", "tempo 120", "bar", "position 0",
        "voice 0.1", "E4", "velocity 100", "1 frame", "C4", "velocity 80", "2 frames",
        "voice 32.1", "C3", "velocity 80", "8 frames",
        "position 2", "tempo 60", "voice 0.1", "D4", "velocity 80", "1 frame",
        "bar", "position 1", "voice 0.1", "C4", "velocity 80", "held", "5 frames",
        "bar", "bar", "position 6", "end",
    ]  # fmt: skip
    # What never varies has no events.
    assert set(EventVocabulary.of([piece]).kinds) >= {"voice", "velocity", "tempo"}
    plain = EventVocabulary.of([piece.merged()])
    assert not {"voice", "velocity", "tempo", "meter"} & set(plain.kinds)
    assert plain.longest == 21


def test_tracks_find_voices_of_their_kind() -> None:
    vocabulary = EventVocabulary(((4, 4.0),), (120,), ((0, 0), (0, 1), (40, 0), (56, 0)), (80,), 4)

    def voices(*programs: int) -> list[int]:
        tracks = Tracks(programs, np.arange(len(programs)), np.full(len(programs), 80))
        notes = np.array([[k, k + 1, 60] for k in range(len(programs))])
        return vocabulary.voices_for(Piece.from_notes("one", notes, Grid(), tracks=tracks))

    assert voices(40, 0) == [2, 0]
    assert voices(41, 0, 0) == [2, 0, 1]
    assert voices(73, 56) == [0, 3]
    assert len(set(voices(0, 0, 0, 0))) == 4
    assert len(voices(0, 0, 0, 0, 0, 0)) == 6


def write(rules: EventRules, seed: int) -> EventState:
    """A sequence of events, each sampled from all that are allowed."""
    generator, state = np.random.default_rng(seed), rules.begin()
    while not rules.is_done(state):
        tokens = np.flatnonzero(rules.allowed(state))
        assert len(tokens)
        rules.read(state, int(generator.choice(tokens)))
    return state


@settings(max_examples=25, deadline=None)
@given(st.lists(pieces(), min_size=1, max_size=2), pieces(), st.integers(0, 1000), st.booleans(), st.integers(1, 30))
def test_whatever_is_written_is_a_piece_around_the_notes_that_were_there(
    training: list[Piece], held: Piece, seed: int, everywhere: bool, more: int
) -> None:
    vocabulary = EventVocabulary.of(training)
    fitted = vocabulary.fit(held)
    length = fitted.length + more
    generator = np.random.default_rng(seed)
    free = np.ones((len(vocabulary.voices), 88, length), bool)
    if not everywhere:
        free = generator.random(free.shape) < 0.5
        free[:, :, : fitted.length // 2] = False
    rules = EventRules(vocabulary, fitted, length, free, tempo_from=length if seed % 2 else 0)
    state = write(rules, seed)
    written = vocabulary.decode(state.tokens, length=length)
    assert written.tracks is not None
    assert fitted.tracks is not None
    rows = [(*note, int(track), int(loud)) for note, track, loud in zip(
        written.notes.tolist(), written.tracks.track, written.tracks.velocity, strict=True)]  # fmt: skip
    original = [(*note, int(track), int(loud)) for note, track, loud in zip(
        fitted.notes.tolist(), fitted.tracks.track, fitted.tracks.velocity, strict=True)]  # fmt: skip
    # Nothing is lost or changed: the piece is the notes that were there and those that were written, apart.
    assert sorted(map(str, rows)) == sorted(map(str, [*original, *map(tuple, state.written)]))
    for start, end, pitch, voice, _ in state.written:
        assert free[voice, pitch - 21, start:end].all()
        assert end <= length
    if seed % 2:
        assert written.tempi == fitted.tempi
    # What was written is what encoding the piece gives, but for how it ends.
    found, expected = ([*state.tokens], vocabulary.encode(written).tokens.tolist())
    for tokens in (found, expected):
        while tokens and vocabulary.kinds[tokens[-1]] in ("bar", "position", "end"):
            tokens.pop()
    assert found == expected


def test_nothing_is_free_leaves_the_piece_as_it_is() -> None:
    notes = np.array([[0, 2, 60], [5, 30, 64]])
    piece = Piece.from_notes("one", notes, Grid())
    vocabulary = EventVocabulary.of([piece])
    fitted = vocabulary.fit(piece)
    state = write(EventRules(vocabulary, fitted, 30, np.zeros((1, 88, 30), bool)), 0)
    assert not state.written
    assert state.tokens[:-1] == vocabulary.encode(fitted).tokens.tolist()[:-2]


@pytest.mark.parametrize("kind", ["bar", "duration"])
def test_density_prefers_what_comes_sooner(kind: str) -> None:
    piece = Piece.from_notes("one", np.array([[0, 2, 60], [4, 5, 64]]), Grid(1, 4.0))
    vocabulary = EventVocabulary.of([piece])
    rules = EventRules(vocabulary, vocabulary.fit(piece.beginning(1)), 8, np.ones((1, 88, 8), bool))
    state = rules.begin()
    while state.kind != kind:
        rules.read(state, int(np.flatnonzero(rules.allowed(state))[0]))
    sooner = rules.density(state)
    positions = sooner[vocabulary.tokens_of["position"]]
    assert positions.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert sooner[vocabulary.token("bar")] == 0
    assert sooner[vocabulary.token("pitch")] == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(pieces(), min_size=1, max_size=3), st.integers(0, 1000))
def test_pieces_that_are_written_as_they_come(training: list[Piece], seed: int) -> None:
    vocabulary, generator = EventVocabulary.of(training), np.random.default_rng(seed)
    rules = OpenRules(vocabulary)
    # Whatever is a piece may be written, and after its end another.
    state = rules.state_of(np.zeros(rules.size, np.float32))
    for piece in training:
        for token in vocabulary.encode(vocabulary.fit(piece)).tokens.tolist():
            assert rules.allowed(state)[token]
            rules.read(state, token)
            state = rules.state_of(rules.numbers(state))
        assert state.kind == ""
    # A state that became numbers allows what the state itself does, for ever.
    for _ in range(150):
        other = rules.state_of(rules.numbers(state))
        allowed = rules.allowed(state)
        assert (rules.allowed(other) == allowed).all()
        assert (rules.density(other) == rules.density(state)).all()
        rules.read(state, int(generator.choice(np.flatnonzero(allowed))))
    assert rules.numbers(state).max() < 10_000
