"""Buckets: each sequence once an epoch, in batches of like length, whatever the number of processes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batches.batch import Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.batches.ignored import ignored_value
from recurra.errors import ParameterError

LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=60)
BUCKET_SIZES = st.none() | st.integers(1, 4)


def epoch_of(buckets: Buckets, epoch: int) -> list[list[int]]:
    first = epoch * buckets.steps_per_epoch + 1
    steps = range(first, first + buckets.steps_per_epoch)
    assert {buckets.epoch_of(step) for step in steps} == {epoch}
    return [buckets(step).tolist() for step in steps]


@given(LENGTHS, st.integers(1, 9), BUCKET_SIZES, st.booleans())
def test_each_sequence_is_once_in_an_epoch(
    lengths: list[int], batch_size: int, bucket_size: int | None, shuffle: bool
) -> None:
    buckets = Buckets(lengths, batch_size, bucket_size=bucket_size, shuffle=shuffle)
    for epoch in (0, 3):
        batches = epoch_of(buckets, epoch)
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        assert all(1 <= len(batch) <= batch_size for batch in batches)
        assert len(batches) == -(-len(lengths) // batch_size)


@given(LENGTHS, st.integers(30, 100), BUCKET_SIZES)
def test_batches_of_tokens_hold_no_more(lengths: list[int], tokens: int, bucket_size: int | None) -> None:
    buckets = Buckets(lengths, tokens=tokens, bucket_size=bucket_size)
    for epoch in (0, 3):
        batches = epoch_of(buckets, epoch)
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        assert all(len(batch) * max(lengths[index] for index in batch) <= tokens for batch in batches)


@given(LENGTHS, st.integers(1, 9), st.integers(1, 4))
def test_the_shares_together_are_the_whole(lengths: list[int], each: int, count: int) -> None:
    options: dict[str, Any] = {"batch_size": each * count}
    if each % 2:
        options = {"tokens": 30 + each}
    whole = Buckets(lengths, **options)
    shares = [Buckets(lengths, **options, partition=Partition(rank, count)) for rank in range(count)]
    assert {buckets.steps_per_epoch for buckets in shares} == {whole.steps_per_epoch}
    for step in range(1, 2 * whole.steps_per_epoch + 1):
        parts = [buckets(step) for buckets in shares]
        assert sorted(np.concatenate(parts)) == sorted(whole(step))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(LENGTHS, st.integers(1, 9))
def test_the_padding_is_counted(lengths: list[int], batch_size: int) -> None:
    buckets = Buckets(lengths, batch_size)
    padded, _ = zip(*(collate([torch.ones(lengths[i]) for i in batch]) for batch in epoch_of(buckets, 0)), strict=True)
    total = sum(batch.numel() for batch in padded)
    expected = sum(batch.numel() - batch.sum().item() for batch in padded) / total if total else 0
    assert buckets.padding_fraction == pytest.approx(expected)


def test_little_is_padded() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 5000)
    assert Buckets(lengths, 32).padding_fraction < 0.06
    assert Buckets(lengths, 32, bucket_size=1).padding_fraction < 0.01
    assert Buckets(lengths, 32, bucket_size=1000).padding_fraction > 0.4
    assert Buckets(lengths, tokens=20_000).padding_fraction < 0.06


def test_epochs_differ_in_composition_and_order() -> None:
    lengths = list(range(100, 200))
    buckets = Buckets(lengths, 5)
    one, other = epoch_of(buckets, 0), epoch_of(buckets, 1)
    assert len({frozenset(batch) for batch in one} & {frozenset(batch) for batch in other}) < 5
    means = [np.mean(batch) for batch in one]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.6
    assert epoch_of(Buckets(lengths, 5, seed=1), 0) != one


def test_the_answer_is_a_function_of_the_step() -> None:
    lengths = list(range(50))
    buckets = Buckets(lengths, 4)
    steps = range(1, 4 * buckets.steps_per_epoch + 1)
    forward = {step: buckets(step).tolist() for step in steps}
    fresh = Buckets(torch.tensor(lengths), 4)
    assert {step: fresh(step).tolist() for step in reversed(steps)} == forward


def test_without_shuffling_the_longest_come_first() -> None:
    buckets = Buckets([3, 9, 5, 9, 1], 2, shuffle=False)
    assert epoch_of(buckets, 0) == epoch_of(buckets, 1) == [[1, 3], [2, 0], [4]]


def test_the_last_batches_are_of_one_size() -> None:
    assert sorted(len(batch) for batch in epoch_of(Buckets([1] * 17, 8, bucket_size=3), 0)) == [5, 6, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"^batch_size: expected .* got \(None, None\)"),
        ({"batch_size": 1, "tokens": 9}, r"^batch_size: expected .* got \(1, 9\)"),
        ({"batch_size": 0}, r"^batch_size: expected .* number .* 1, got 0"),
        ({"batch_size": 1, "partition": Partition(0, 2)}, r"^batch_size: expected .* 2 processes, got 1"),
        ({"tokens": 8}, r"^tokens: expected .* 9, got 8"),
        ({"batch_size": 1, "lengths": []}, r"^lengths: expected .* number .* 0"),
        ({"batch_size": 1, "lengths": [1, -1]}, r"^lengths: expected .* number .* 0"),
        ({"batch_size": 1, "bucket_size": 0}, r"^bucket_size: expected .* number .* 1"),
        ({"batch_size": 1, "seed": -1}, r"^seed: expected .* number .* 0"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Buckets(**{"lengths": [3, 9], **options})


def test_a_step_begins_at_one() -> None:
    with pytest.raises(ParameterError, match=r"^step: expected .* number .* 1, got 0"):
        Buckets([1], 1)(0)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_first_epoch_may_go_from_short_to_long(shuffle: bool) -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 60)
    buckets = Buckets(lengths, tokens=100, seed=1, shuffle=shuffle, bucket_size=1, short_first=True)
    epoch = buckets.steps_per_epoch
    for first in (0, epoch, 2 * epoch):
        rows = [buckets(step) for step in range(first + 1, first + epoch + 1)]
        assert sorted(np.concatenate(rows).tolist()) == list(range(60))
        longest = [int(lengths[batch].max()) for batch in rows]
        assert (longest == sorted(longest)) == (first == 0)


def test_collated_sequences_are_padded_at_the_end() -> None:
    sequences = [torch.ones(n, 2) for n in (2, 0, 3)]
    padded, lengths = collate(sequences, ignored_value(torch.float32))
    assert lengths.tolist() == [2, 0, 3]
    assert padded.shape == (3, 3, 2)
    assert padded[..., 0].isnan().tolist() == [[False, False, True], [True] * 3, [False] * 3]
    classes, _ = collate([torch.tensor([1, 2]), torch.tensor([3])], ignored_value(torch.int64))
    assert classes.tolist() == [[1, 2], [3, -100]]
