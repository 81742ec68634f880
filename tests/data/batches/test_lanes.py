"""Lanes: read segment by segment, each lane gives back whole sequences in their order, each once an epoch."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.data.batches.batch import Partition
from recurra.data.batches.lanes import Lanes
from recurra.errors import ParameterError, ShapeError

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(lambda lengths: max(lengths) > 1)


def numbered(lengths: list[int], features: int = 0) -> list[Tensor]:
    """Sequences whose elements are all different: 1000 for each sequence and 1 for each step."""
    made = [1000.0 * (i + 1) + torch.arange(length) for i, length in enumerate(lengths)]
    return [sequence.unsqueeze(1).expand(-1, features).clone() for sequence in made] if features else made


def epoch_of(lanes: Lanes, epoch: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Inputs, targets (B, L, ...), resets (B, L) and weight of a whole epoch."""
    first = epoch * lanes.steps_per_epoch + 1
    batches = [lanes(step) for step in range(first, first + lanes.steps_per_epoch)]
    assert {lanes.epoch_of(step) for step in range(first, first + lanes.steps_per_epoch)} == {epoch}
    none = [torch.zeros(batch.inputs.shape[:2], dtype=torch.bool) for batch in batches]
    resets = [empty if batch.resets is None else batch.resets for batch, empty in zip(batches, none, strict=True)]
    inputs, target = (torch.cat([getattr(batch, name) for batch in batches], 1) for name in ("inputs", "target"))
    return inputs, target, torch.cat(resets, 1), sum(batch.weight for batch in batches)


def pieces(inputs: Tensor, target: Tensor, resets: Tensor) -> list[tuple[list[float], list[float]]]:
    """What stands between the resets of each lane, padding left out."""
    found = []
    for row, wanted, starts in zip(inputs, target, resets, strict=True):
        borders = [*starts.nonzero().squeeze(1).tolist(), len(row)]
        for a, b in pairwise(borders):
            keep = ~wanted[a:b].isnan()
            assert not (keep[1:] & ~keep[:-1]).any()  # padding is at the end only
            assert not row[a:b][~keep].any()
            if keep.any():
                found.append((row[a:b][keep].tolist(), wanted[a:b][keep].tolist()))
    return found


@given(LENGTHS, st.integers(1, 7), st.integers(1, 5), st.booleans(), st.booleans())
def test_each_sequence_is_read_whole_once_an_epoch(
    lengths: list[int], segment_length: int, batch_size: int, given_target: bool, shuffle: bool
) -> None:
    sequences = numbered(lengths)
    target = [-sequence for sequence in sequences] if given_target else None
    lanes = Lanes.from_sequences(sequences, segment_length, batch_size, target, seed=3, shuffle=shuffle)
    expected = [
        (sequence.tolist(), (-sequence).tolist()) if given_target else (sequence[:-1].tolist(), sequence[1:].tolist())
        for sequence in sequences
        if len(sequence) > (0 if given_target else 1)
    ]
    for epoch in (0, 2):
        inputs, wanted, resets, weight = epoch_of(lanes, epoch)
        assert inputs.shape[0] == batch_size
        assert resets[:, 0].all()
        assert sorted(pieces(inputs, wanted, resets)) == sorted(expected)
        assert weight == sum(len(sequence) for sequence, _ in expected)
        # Balanced: no lane is longer than the mean by more than a sequence.
        longest = max(len(sequence) for sequence, _ in expected)
        assert inputs.shape[1] <= weight / batch_size + longest


@given(LENGTHS, st.integers(1, 7), st.integers(1, 3), st.integers(1, 3))
def test_the_shares_together_are_the_whole(
    lengths: list[int], segment_length: int, lanes_each: int, count: int
) -> None:
    sequences = numbered(lengths, features=2)
    batch_size = lanes_each * count
    whole = Lanes.from_sequences(sequences, segment_length, batch_size)
    shares = [
        Lanes.from_sequences(sequences, segment_length, batch_size, partition=Partition(rank, count))
        for rank in range(count)
    ]
    assert {lanes.steps_per_epoch for lanes in shares} == {whole.steps_per_epoch}
    for step in range(1, 2 * whole.steps_per_epoch + 1):
        batch, parts = whole(step), [lanes(step) for lanes in shares]
        assert sum(part.weight for part in parts) == batch.weight
        for rank, part in enumerate(parts):
            assert torch.equal(part.inputs, batch.inputs[rank::count])
            assert torch.equal(part.target.nan_to_num(-1), batch.target[rank::count].nan_to_num(-1))
            if batch.resets is None:
                assert part.resets is None
            else:
                expected = batch.resets[rank::count]
                assert torch.equal(torch.zeros_like(expected) if part.resets is None else part.resets, expected)


@given(st.integers(2, 40), st.integers(1, 7), st.integers(1, 5), st.booleans())
def test_a_stream_goes_on_in_each_lane(steps: int, segment_length: int, batch_size: int, given_target: bool) -> None:
    (stream,) = numbered([steps])
    target = -stream if given_target else None
    lanes = Lanes.from_stream(stream, segment_length, batch_size, target)
    inputs, wanted, resets, weight = epoch_of(lanes, 1)
    assert resets[:, 0].all()
    assert not resets[:, 1:].any()
    used = stream if given_target else stream[:-1]
    assert weight == len(used)
    # One lane after the other, they are the stream.
    read = pieces(inputs, wanted, resets)
    assert [value for row, _ in read for value in row] == used.tolist()
    assert [value for _, row in read for value in row] == (-stream if given_target else stream[1:]).tolist()
    assert inputs.shape[1] == -(-len(used) // batch_size)


def test_a_batch_is_a_function_of_its_step() -> None:
    def make(seed: int = 0) -> Lanes:
        return Lanes.from_sequences(numbered([5, 3, 8, 8, 2, 6, 4]), 3, 2, seed=seed)

    lanes = make()
    steps = range(1, 4 * lanes.steps_per_epoch + 1)
    forward = {step: lanes(step).inputs for step in steps}
    fresh = make()
    for step in (*reversed(steps), 7, 6, 7, 1):
        assert torch.equal(fresh(step).inputs, forward[step])
    epochs = [epoch_of(lanes, epoch)[0] for epoch in (0, 1)]
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], epoch_of(make(seed=1), 0)[0])


def test_without_shuffling_every_epoch_is_in_the_order_given() -> None:
    lanes = Lanes.from_sequences(numbered([2, 4, 3]), 2, 1, shuffle=False)
    inputs = epoch_of(lanes, 0)[0]
    assert inputs.tolist() == [[1000, 2000, 2001, 2002, 3000, 3001]]
    assert torch.equal(epoch_of(lanes, 1)[0], inputs)


def test_resets_are_where_sequences_begin() -> None:
    lanes = Lanes.from_sequences(numbered([4, 7]), 3, 1, shuffle=False)
    assert [None if batch.resets is None else batch.resets.tolist() for batch in map(lanes, (1, 2, 3, 4))] == [
        [[True, False, False]],
        [[True, False, False]],
        None,
        [[True, False, False]],
    ]
    assert lanes.steps_per_epoch == 3
    assert lanes.batch_size == 1


@pytest.mark.parametrize(
    ("dtype", "expected", "marked"),
    [
        (torch.int64, torch.int64, -100),
        (torch.int32, torch.int32, -100),
        (torch.uint8, torch.int64, -100),
        (torch.bool, torch.int64, -100),
        (torch.float64, torch.float64, None),
    ],
)
def test_padding_is_ignored(dtype: torch.dtype, expected: torch.dtype, marked: Any) -> None:
    inputs = [torch.ones(n, 2, dtype=torch.uint8) for n in (3, 1)]
    target = [torch.ones(n, 2, dtype=dtype) for n in (3, 1)]
    batch = Lanes.from_sequences(inputs, 3, 2, target, shuffle=False)(1)
    assert batch.inputs.dtype == torch.uint8
    assert batch.target.dtype == expected
    assert batch.inputs[:, :, 0].tolist() == [[1, 1, 1], [1, 0, 0]]
    padded = batch.target[1, 1:]
    assert padded.isnan().all() if marked is None else (padded == marked).all()
    assert batch.weight == 4


def test_targets_that_are_ignored_do_not_count() -> None:
    target = torch.tensor([1, -100, 2, 3, -100])
    assert Lanes.from_stream(torch.zeros(5), 5, 1, target)(1).weight == 3
    features = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]])
    assert Lanes.from_stream(torch.zeros(2), 2, 1, features)(1).weight == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment_length": 0}, r"^segment_length: expected .* number .* 1, got 0"),
        ({"batch_size": 0}, r"^batch_size: expected .* number .* 1, got 0"),
        ({"batch_size": 3, "partition": Partition(1, 2)}, r"^batch_size: expected a multiple .* 2 processes, got 3"),
        ({"inputs": torch.zeros(1)}, r"^inputs: expected .* target, got 'none'"),
        ({"inputs": torch.tensor(1.0)}, r"^inputs: expected shape \(N, \.\.\.\), got a number"),
        ({"target": torch.zeros(4)}, r"^target: expected 5 .* got \(4,\)"),
    ],
)
def test_what_cannot_be_is_refused_of_a_stream(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"inputs": torch.zeros(5), "segment_length": 2, "batch_size": 2, **options}
    with pytest.raises((ParameterError, ShapeError), match=message):
        Lanes.from_stream(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": []}, r"^inputs: expected .* got 'none'"),
        ({"inputs": [torch.zeros(1), torch.zeros(0)]}, r"^inputs: expected .* target"),
        ({"target": [torch.zeros(5)]}, r"^target: expected 2 .* got 1"),
        (
            {"target": [torch.zeros(5), torch.zeros(2)]},
            r"^target\[1\]: expected 3 .* got \(2,\)",
        ),
        ({"seed": -1}, r"^seed: expected .* number .* 0"),
    ],
)
def test_what_cannot_be_is_refused_of_sequences(options: dict[str, Any], message: str) -> None:
    sequences = [torch.zeros(5), torch.zeros(3)]
    arguments: dict[str, Any] = {"inputs": sequences, "segment_length": 2, "batch_size": 2, **options}
    with pytest.raises((ParameterError, ShapeError), match=message):
        Lanes.from_sequences(**arguments)


def test_a_step_begins_at_one() -> None:
    with pytest.raises(ParameterError, match=r"^step: expected .* number .* 1, got 0"):
        Lanes.from_stream(torch.zeros(5), 2, 1)(0)
