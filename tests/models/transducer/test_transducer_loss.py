"""The transducer's loss against the enumeration of every alignment, and against itself in other forms."""

import math
from typing import Any

import pytest
import torch
from enumeration_of_alignments import enumerated_loss, ragged
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra import transducer_loss
from recurra.errors import ParameterError, ShapeError
from recurra.models.transducer import nodes as nodes_module
from recurra.models.transducer.lattices import losses, reference_losses
from recurra.models.transducer.nodes import Nodes

sizes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4)


def expected_losses(logits: Tensor, targets: Tensor, frames: list[int], counts: list[int], blank: int) -> Tensor:
    return torch.stack(
        [
            enumerated_loss(logits[b, :t, : u + 1], targets[b, :u].tolist(), t, blank)
            for b, (t, u) in enumerate(zip(frames, counts, strict=True))
        ]
    )


def pack(logits: Tensor, frames: list[int], counts: list[int]) -> Tensor:
    return torch.cat(
        [logits[b, :t, : u + 1].flatten(0, 1) for b, (t, u) in enumerate(zip(frames, counts, strict=True))]
    )


@settings(max_examples=60)
@given(sizes=sizes, symbols=st.integers(2, 20), data=st.data(), seed=st.integers(0, 10_000))
def test_equals_enumeration(sizes: list[tuple[int, int]], symbols: int, data: st.DataObject, seed: int) -> None:
    frames, counts = [t for t, _ in sizes], [u for _, u in sizes]
    blank = data.draw(st.integers(0, symbols - 1))
    logits, targets = ragged(seed, frames, counts, symbols, blank)
    expected = expected_losses(logits, targets, frames, counts, blank)
    lengths = (torch.tensor(frames), torch.tensor(counts))
    padded = transducer_loss(logits, targets, *lengths, blank, "none")
    torch.testing.assert_close(padded, expected, rtol=1e-12, atol=1e-12)
    packed = transducer_loss(pack(logits, frames, counts), targets, *lengths, blank, "none")
    assert torch.equal(packed, padded)
    single = transducer_loss(logits.float(), targets, *lengths, blank, "none")
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, expected.float(), rtol=1e-5, atol=1e-5)


@settings(max_examples=30)
@given(sizes=sizes, symbols=st.integers(2, 20), seed=st.integers(0, 10_000))
def test_gradients_equal_those_of_enumeration(sizes: list[tuple[int, int]], symbols: int, seed: int) -> None:
    frames, counts = [t for t, _ in sizes], [u for _, u in sizes]
    logits, targets = ragged(seed, frames, counts, symbols, 0)
    logits.requires_grad_()
    weights = torch.arange(1.0, len(frames) + 1, dtype=torch.float64)
    expected = expected_losses(logits, targets, frames, counts, 0)
    finite = expected.isfinite()
    (truth,) = torch.autograd.grad((expected * weights)[finite].sum() + 0 * logits.nan_to_num().sum(), logits)
    found = transducer_loss(logits, targets, torch.tensor(frames), torch.tensor(counts), reduction="none")
    (gradient,) = torch.autograd.grad((found * weights)[finite].sum(), logits)
    torch.testing.assert_close(gradient, truth.nan_to_num(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradcheck(reduction: Any) -> None:
    frames, counts = [5, 1, 0, 3], [4, 2, 0, 0]
    logits, targets = ragged(3, frames, counts, 11, 10)
    packed = pack(logits, frames, counts).requires_grad_()
    lengths = (torch.tensor(frames), torch.tensor(counts))
    assert torch.autograd.gradcheck(lambda x: transducer_loss(x, targets, *lengths, 10, reduction), packed)


def long_lattice(dtype: torch.dtype) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    torch.manual_seed(5)
    frames, counts = torch.tensor([70, 33, 1]), torch.tensor([40, 17, 40])
    logits = 3 * torch.randn(3, 70, 41, 33, dtype=dtype)
    return logits, (torch.randint(1, 33, (3, 40)), frames, counts)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
def test_engine_equals_torch(dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lattices of many vectors, on two threads, and the same in torch's operations."""
    logits, rest = long_lattice(dtype)
    logits.requires_grad_()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = transducer_loss(logits, *rest, reduction="none")
        (gradient,) = torch.autograd.grad(found.sum(), logits)
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(nodes_module, "runs_in_engine", lambda tensor: False)
    monkeypatch.setattr("recurra.models.transducer.lattices.runs_in_engine", lambda tensor: False)
    expected = transducer_loss(logits, *rest, reduction="none")
    (truth,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradient, truth, rtol=tolerance, atol=tolerance)
    assert gradient.abs().sum() > 1


def test_reductions_are_those_of_ctc_loss() -> None:
    logits, (targets, frames, _) = long_lattice(torch.float64)
    counts = torch.tensor([40, 0, 3])
    each = transducer_loss(logits, targets, frames, counts, reduction="none")
    torch.testing.assert_close(transducer_loss(logits, targets, frames, counts, reduction="sum"), each.sum())
    mean = (each / torch.tensor([40, 1, 3])).mean()
    torch.testing.assert_close(transducer_loss(logits, targets, frames, counts), mean)


def test_a_path_that_is_far_from_probable() -> None:
    """Every label has e^-50 of a chance: the paths that emit none are the more probable ones by e^5000."""
    logits = torch.zeros(1, 120, 101, 2, requires_grad=True)
    shifted = logits + torch.tensor([0.0, -50.0])
    loss = transducer_loss(shifted, torch.ones(1, 100, dtype=torch.int64), torch.tensor([120]), torch.tensor([100]))
    paths = math.lgamma(220) - math.lgamma(101) - math.lgamma(120)
    assert loss.item() * 100 == pytest.approx(5000 - paths, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    # Each path emits 100 labels of a chance of zero: the gradient by their logits sums to -100, over 100 labels.
    assert logits.grad[..., 1].sum().item() == pytest.approx(-1, rel=1e-5)


def test_impossible_labels() -> None:
    logits = torch.randn(2, 3, 3, 4)
    logits[0, :, :, 2] = -torch.inf
    logits.requires_grad_()
    targets, lengths, counts = torch.tensor([[1, 2], [3, 1]]), torch.tensor([3, 3]), torch.tensor([2, 2])
    each = transducer_loss(logits, targets, lengths, counts, reduction="none")
    assert each[0] == torch.inf
    assert each[1].isfinite()
    loss = transducer_loss(logits, targets, lengths, counts, reduction="sum", zero_infinity=True)
    assert loss.item() == each[1].item()
    (gradient,) = torch.autograd.grad(loss, logits)
    (of_infinite,) = torch.autograd.grad(each[0], logits)
    assert gradient.isfinite().all()
    assert (of_infinite == 0).all()
    assert (gradient[0] == 0).all()
    assert gradient[1].abs().sum() > 0
    # Nothing at all is possible in one node that every path passes.
    nothing = torch.full((1, 1, 1, 3), -torch.inf)
    assert transducer_loss(nothing, torch.zeros(1, 0).long(), torch.tensor([1]), torch.tensor([0])) == torch.inf


def test_what_is_not_a_number_shows() -> None:
    for fault in (math.nan, math.inf):
        logits = torch.randn(2, 3, 3, 4)
        logits[0, 1, 1, 3] = fault
        lengths, counts = torch.tensor([3, 3]), torch.tensor([2, 2])
        each = transducer_loss(logits, torch.tensor([[1, 2], [3, 1]]), lengths, counts, reduction="none")
        assert each[0].isnan()
        assert each[1].isfinite()


def test_lattices_alone() -> None:
    """Log-probabilities that belong to no logits, some of them impossible, in the engine and in torch."""
    torch.manual_seed(1)
    nodes = Nodes.of(torch.ones(3, 5).long(), torch.tensor([6, 4, 2]), torch.tensor([5, 0, 3]), 6, 0)
    pairs = torch.randn(len(nodes), 2, dtype=torch.float64)
    pairs[torch.rand(pairs.shape) < 0.2] = -torch.inf
    pairs.requires_grad_()
    found, truth = losses(pairs, nodes), reference_losses(pairs, nodes)
    torch.testing.assert_close(found, truth)
    assert found.isfinite().any()
    finite = found.isfinite()
    torch.testing.assert_close(
        torch.autograd.grad(found[finite].sum(), pairs), torch.autograd.grad(truth[finite].sum(), pairs)
    )


def test_half_precision_has_a_float32_loss() -> None:
    logits, rest = long_lattice(torch.float32)
    half = logits.bfloat16().requires_grad_()
    loss = transducer_loss(half, *rest)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, transducer_loss(half.detach().float(), *rest))
    loss.backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16


def test_refusals() -> None:
    logits, targets = torch.randn(2, 3, 3, 4), torch.tensor([[1, 2], [3, 1]])
    lengths, counts = torch.tensor([3, 2]), torch.tensor([2, 1])
    with pytest.raises(ShapeError, match=r"logits: expected floats .*\(B, T, U \+ 1, V\).* got .*\(3, 3, 4\)"):
        transducer_loss(logits[0], targets, lengths, counts)
    with pytest.raises(ShapeError, match=r"logits: .* N .* = 13, got \(5, 4\)"):
        transducer_loss(torch.randn(5, 4), targets, lengths, counts)
    with pytest.raises(ShapeError, match=r"logits: .* B = 2 .* got \(2, 3, 2, 4\)"):
        transducer_loss(logits[:, :, :2], targets, lengths, counts)
    with pytest.raises(ShapeError, match=r"^lengths: .* 0 to T = 3, got 2 to 4"):
        transducer_loss(logits, targets, torch.tensor([4, 2]), counts)
    with pytest.raises(ShapeError, match=r"target_lengths: .* 0 to U = 2, got -1 to 2"):
        transducer_loss(logits, targets, lengths, torch.tensor([2, -1]))
    with pytest.raises(ShapeError, match=r"targets: expected integers of shape \(B, U\), got torch.float32"):
        transducer_loss(logits, targets.float(), lengths, counts)
    with pytest.raises(ParameterError, match=r"targets: .* other than the blank, 0, got 0"):
        transducer_loss(logits, torch.tensor([[1, 0], [3, 1]]), lengths, counts)
    with pytest.raises(ParameterError, match=r"targets: .* 0 to V - 1 = 3, got 4"):
        transducer_loss(logits, torch.tensor([[1, 4], [3, 1]]), lengths, counts)
    with pytest.raises(ParameterError, match=r"blank: .* 0 to V - 1 = 3, got 4"):
        transducer_loss(logits, targets, lengths, counts, blank=4)
    with pytest.raises(ParameterError, match=r"reduction: expected none, mean or sum, got 'max'"):
        transducer_loss(logits, targets, lengths, counts, reduction="max")  # type: ignore[arg-type]
