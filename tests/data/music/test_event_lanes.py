import numpy as np
import torch

from recurra.data.music.event_lanes import EventLanes
from recurra.data.music.events import EventVocabulary
from recurra.data.music.piece import Grid, Piece

PIECES = [
    Piece.from_notes(f"{k}", np.array([[step, step + 1, 60 + k + step % 3] for step in range(length)]), Grid())
    for k, length in enumerate((9, 3, 1, 14))
]


def read(lanes: EventLanes, epoch: int) -> list[tuple[list[int], list[int]]]:
    """The pieces of an epoch as they were read: inputs and targets, each from its reset on."""
    first = 1 + epoch * lanes.steps_per_epoch
    batches = [lanes(step) for step in range(first, first + lanes.steps_per_epoch)]
    found: list[tuple[list[int], list[int]]] = []
    for row in range(len(batches[0].inputs)):
        for batch in batches:
            for at in range(batch.inputs.shape[1]):
                if batch.resets is not None and batch.resets[row, at]:
                    found.append(([], []))
                if int(batch.target[row, at]) >= 0:
                    found[-1][0].append(int(batch.inputs[row, at]))
                    found[-1][1].append(int(batch.target[row, at]))
    return [one for one in found if one[0]]


def test_every_epoch_reads_every_piece_transposed_as_a_whole() -> None:
    vocabulary = EventVocabulary.of(PIECES)
    encoded = [vocabulary.encode(vocabulary.fit(piece)).tokens for piece in PIECES]
    plain = EventLanes(vocabulary, encoded, 5, 2, seed=1)
    lanes = EventLanes(vocabulary, encoded, 5, 2, transposition=7, seed=1)
    shifts = set()
    for epoch in range(3):
        assert sorted(target for _, target in read(plain, epoch)) == sorted(one.tolist() for one in encoded)
        rest = {piece.name for piece in PIECES}
        for inputs, target in read(lanes, epoch):
            assert inputs == [vocabulary.token("end"), *target[:-1]]
            notes = vocabulary.decode(target).notes
            for piece in PIECES:
                shift = int(notes[0, 2] - piece.notes[0, 2])
                if len(piece.notes) == len(notes):
                    assert np.array_equal(piece.notes + np.array([0, 0, shift]), notes)
                    assert abs(shift) <= 7
                    shifts.add(shift)
                    rest.remove(piece.name)
        assert not rest
    assert len(shifts) > 3
    step = 2 * lanes.steps_per_epoch
    assert torch.equal(EventLanes(vocabulary, encoded, 5, 2, transposition=7, seed=1)(step).inputs, lanes(step).inputs)


def test_no_note_is_lost_at_the_ends_of_the_keyboard() -> None:
    wide = Piece.from_notes("wide", np.array([[0, 1, 21], [1, 2, 107]]), Grid())
    vocabulary = EventVocabulary.of([wide])
    tokens = vocabulary.encode(vocabulary.fit(wide)).tokens
    lanes = EventLanes(vocabulary, [tokens], 20, 1, transposition=12, seed=0)
    pitches = {tuple(vocabulary.decode(target).notes[:, 2].tolist()) for k in range(12) for _, target in read(lanes, k)}
    assert pitches == {(21, 107), (22, 108)}
