import numpy as np
import pytest
import torch

from recurra.data.music.frame_lanes import FrameLanes

LENGTHS = (7, 3, 12, 1, 5)


def made(seed: int = 0) -> list[np.ndarray]:
    """Rolls whose first notes are as far from the lowest as each other's last from the highest."""
    generator = np.random.default_rng(seed)
    rolls = [np.zeros((length, 12), np.uint8) for length in LENGTHS]
    for roll in rolls:
        roll[:, 3:9] = generator.integers(0, 2, (len(roll), 6))
    return rolls


def epoch(lanes: FrameLanes, first: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The pieces of an epoch as they were read: inputs and targets, each from its reset on."""
    batches = [lanes(step) for step in range(first, first + lanes.steps_per_epoch)]
    inputs, targets = (torch.cat([getattr(one, name) for one in batches], 1) for name in ("inputs", "target"))
    resets = torch.cat([torch.zeros(one.inputs.shape[:2], dtype=torch.bool) if one.resets is None else one.resets
                        for one in batches], 1)  # fmt: skip
    read: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for row in range(len(inputs)):
        starts = resets[row].nonzero().flatten().tolist()
        for start, end in zip(starts, [*starts[1:], inputs.shape[1]], strict=True):
            valid = ~targets[row, start:end, 0].isnan()
            if valid.any():
                read[0].append(inputs[row, start:end][valid].numpy())
                read[1].append(targets[row, start:end][valid].numpy())
    return read


def test_every_epoch_reads_every_piece_whole_after_silence() -> None:
    lanes = FrameLanes(made(), 4, 2, seed=3)
    for first in (1, 1 + lanes.steps_per_epoch):
        inputs, targets = epoch(lanes, first)
        assert sorted(map(len, targets)) == sorted(LENGTHS)
        for before, roll in zip(inputs, targets, strict=True):
            assert any(np.array_equal(roll, one) for one in made())
            assert not before[0].any()
            assert np.array_equal(before[1:], roll[:-1])
    assert sum(lanes(step).weight for step in range(1, lanes.steps_per_epoch + 1)) == sum(LENGTHS)


@pytest.mark.parametrize("transposition", [2, 40])
def test_a_transposition_loses_no_note_and_differs_by_epoch(transposition: int) -> None:
    lanes = FrameLanes(made(), 4, 2, transposition=transposition, seed=3)
    shifts = set()
    for number in range(6):
        inputs, targets = epoch(lanes, 1 + number * lanes.steps_per_epoch)
        for before, roll in zip(inputs, targets, strict=True):
            found = [
                shift
                for one in made()
                for shift in range(-transposition, transposition + 1)
                if one.shape == roll.shape and one.sum() == roll.sum() and np.array_equal(np.roll(one, shift, 1), roll)
            ]
            assert found
            assert np.array_equal(before[1:], roll[:-1])
            shifts.add(min(found, key=abs))
    assert len(shifts) > 2
    again = FrameLanes(made(), 4, 2, transposition=transposition, seed=3)
    step = 2 * lanes.steps_per_epoch + 1
    assert torch.equal(again(step).inputs, lanes(step).inputs)
