"""Forced alignment against the enumeration of every path."""

import math

import pytest
import torch
from enumeration_of_paths import best_paths, collapse
from hypothesis import assume, given
from hypothesis import strategies as st

from recurra.errors import DataError, ParameterError, ShapeError
from recurra.models.decoding import forced_align
from recurra.models.decoding.ctc_alignment import least_frames


@given(
    labels=st.lists(st.integers(0, 3).filter(lambda one: one != 1), max_size=4),
    steps=st.integers(0, 6),
    seed=st.integers(0, 10_000),
)
def test_equals_enumeration(labels: list[int], steps: int, seed: int) -> None:
    log_probs = torch.randn(steps, 4, generator=torch.Generator().manual_seed(seed)).log_softmax(1)
    best, paths = best_paths(log_probs, tuple(labels), 1)
    assume(best > -math.inf)
    found, log_prob = forced_align(log_probs, torch.tensor(labels, dtype=torch.int64), 1)
    assert log_prob == pytest.approx(best, abs=1e-5)
    assert [one.token for one in found] == labels
    path = [1] * steps
    for one in found:
        path[one.start : one.end] = [one.token] * (one.end - one.start)
        span = log_probs[one.start : one.end, one.token]
        assert (one.log_prob, one.peak) == (pytest.approx(float(span.max())), one.start + int(span.argmax()))
    assert tuple(path) in paths
    assert collapse(tuple(path), 1) == tuple(labels)


def test_spikes() -> None:
    log_probs = torch.full((9, 3), -5.0)
    for t, symbol in enumerate([0, 1, 1, 0, 1, 0, 2, 2, 0]):
        log_probs[t, symbol] = -0.1
    found, _ = forced_align(log_probs, torch.tensor([1, 1, 2]))
    assert [(one.start, one.end) for one in found] == [(1, 3), (4, 5), (6, 8)]


def test_refusals() -> None:
    log_probs = torch.zeros(3, 4)
    with pytest.raises(DataError, match="3 labels need 4 frames for their alignment, but there are 3"):
        forced_align(log_probs, torch.tensor([1, 1, 2]))
    impossible = log_probs.clone()
    impossible[:, 2] = -math.inf
    with pytest.raises(DataError, match="no alignment of these 1 labels"):
        forced_align(impossible, torch.tensor([2]))
    with pytest.raises(ParameterError, match=r"targets: .* 0 to 3 other than the blank, 0, got 0"):
        forced_align(log_probs, torch.tensor([1, 0]))
    with pytest.raises(ParameterError, match=r"blank: .* got 4"):
        forced_align(log_probs, torch.tensor([1]), blank=4)
    with pytest.raises(ShapeError, match=r"log_probs: .*\(T, V\), got .*\(2, 3, 4\)"):
        forced_align(torch.zeros(2, 3, 4), torch.tensor([1]))
    with pytest.raises(ShapeError, match=r"targets: .*\(U,\), got torch.float32"):
        forced_align(log_probs, torch.tensor([1.0]))


@pytest.mark.parametrize(("labels", "steps"), [([], 0), ([1], 1), ([1, 2, 1], 3), ([1, 1], 3), ([1, 1, 1, 2, 2], 8)])
def test_the_steps_that_ctc_needs(labels: list[int], steps: int) -> None:
    assert least_frames(labels) == steps
