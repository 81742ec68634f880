"""The loss is the mean over true steps, by hand; what does not count reaches neither it nor a gradient."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ParameterError, ShapeError
from recurra.training.losses import CRITERIA, sequence_loss, true_steps

NAN = float("nan")


def classes(batch: int, steps: int, count: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, steps, count, requires_grad=True), torch.randint(count, (batch, steps))


def spoiled(output: Tensor, keep: Tensor) -> Tensor:
    """The output with NaN at the steps that are not kept, a leaf."""
    return output.detach().masked_fill(~keep.unsqueeze(2), NAN).requires_grad_()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.data())
def test_the_mean_is_over_true_steps(lengths: list[int], data: st.DataObject) -> None:
    output, target = classes(len(lengths), 5)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=target.numel(), max_size=target.numel())))
    mask = mask.view(target.shape)
    ignored = torch.rand(target.shape) < 0.2
    keep = mask & ~ignored & (torch.arange(5) < torch.tensor(lengths).unsqueeze(1))
    expected = [F.cross_entropy(output[b, t], target[b, t]) for b, t in keep.nonzero().tolist()]
    output = spoiled(output, keep)
    target = target.masked_fill(ignored, -100)
    loss = sequence_loss(output, target, lengths=lengths, mask=mask)
    torch.testing.assert_close(loss, torch.stack(expected).mean() if expected else torch.zeros(()))
    loss.backward()
    assert output.grad is not None
    assert torch.equal(output.grad.any(2), keep)
    assert output.grad.isfinite().all()
    assert true_steps(target, torch.tensor(lengths), mask) == len(expected)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.booleans())
def test_at_the_last_true_step(lengths: list[int], masked: bool) -> None:
    output = torch.randn(len(lengths), 5, 4)
    target = torch.randint(4, (len(lengths),))
    mask = torch.arange(len(lengths)) % 2 == 0 if masked else None
    rows = [b for b, n in enumerate(lengths) if n and (mask is None or mask[b])]
    expected = [F.cross_entropy(output[b, lengths[b] - 1], target[b]) for b in rows]
    keep = torch.zeros(len(lengths), 5, dtype=torch.bool)
    keep[rows, [lengths[b] - 1 for b in rows]] = True
    output = spoiled(output, keep)
    loss = sequence_loss(output, target, at="last", lengths=lengths, mask=mask)
    torch.testing.assert_close(loss, torch.stack(expected).mean() if expected else torch.zeros(()))
    loss.backward()
    assert output.grad is not None
    assert torch.equal(output.grad.any(2), keep)
    assert output.grad.isfinite().all()
    assert true_steps(target, lengths, mask, at="last") == len(expected)


def test_the_last_step_without_lengths() -> None:
    output, target = torch.randn(3, 5), torch.randn(3)
    expected = F.mse_loss(output[:, -1], target)
    torch.testing.assert_close(sequence_loss(output, target, "mse_loss", at="last"), expected)
    empty = sequence_loss(torch.randn(3, 0, 2), torch.randn(3, 2), "mse_loss", at="last", lengths=[0, 0, 0])
    assert empty.item() == 0


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_is_torch_s(name: str) -> None:
    output, target = torch.randn(3, 5, 4), torch.rand(3, 5, 4)
    if name in ("cross_entropy", "nll_loss"):
        target = torch.randint(4, (3, 5))
    if name == "binary_cross_entropy":
        output = output.sigmoid()
    function = getattr(F, name)
    expected = function(output.transpose(1, 2), target) if target.dim() == 2 else function(output, target)
    torch.testing.assert_close(sequence_loss(output, target, name), expected)
    lengths = [5, 2, 0]
    rows = [(output[b, :n], target[b, :n]) for b, n in enumerate(lengths) if n]
    expected = function(*(torch.cat(part) for part in zip(*rows, strict=True)))
    torch.testing.assert_close(sequence_loss(output, target, name, lengths=lengths), expected)


def test_the_sum_over_notes_is_the_likelihood_of_a_frame() -> None:
    output, notes = torch.randn(2, 3, 88), torch.rand(2, 3, 88) < 0.1
    frames = torch.where(notes, output.sigmoid(), 1 - output.sigmoid()).log().sum(2)
    loss = sequence_loss(output, notes, "binary_cross_entropy_with_logits", lengths=[3, 1], features="sum")
    torch.testing.assert_close(loss, -(frames[0].sum() + frames[1, 0]) / 4)


@pytest.mark.parametrize("features", ["mean", "sum"])
def test_missing_features_do_not_count(features: str) -> None:
    output = torch.randn(2, 2, 3)
    target = torch.tensor([[[1.0, NAN, 2.0], [NAN, NAN, NAN]], [[NAN, NAN, 0.0], [1.0, 2.0, 3.0]]])
    squares = (output - target).square()
    by_step = [squares[0, 0, ::2], squares[1, 0, 2:], squares[1, 1]]
    expected = torch.stack([getattr(part, features)() for part in by_step]).mean()
    output = output.masked_fill(target.isnan(), NAN).requires_grad_()
    loss = sequence_loss(output, target, "mse_loss", features=features)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert output.grad is not None
    assert torch.equal(output.grad != 0, ~target.isnan())
    assert true_steps(target) == 3


def test_several_classes_a_step() -> None:
    output, target = torch.randn(2, 3, 2, 4), torch.randint(4, (2, 3, 2))
    target[0, 1, 0] = target[1, 2] = -100
    by_class = F.cross_entropy(output.flatten(0, 2), target.flatten(), reduction="none").view(2, 3, 2)
    steps = by_class.sum(2) / (target != -100).sum(2).clamp(min=1)
    output[target == -100] = NAN
    output.requires_grad_()
    loss = sequence_loss(output, target)
    torch.testing.assert_close(loss, steps.sum() / 5)
    loss.backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()


def test_probabilities_of_classes() -> None:
    output, target = torch.randn(2, 3, 4), torch.randn(2, 3, 4).softmax(2)
    expected = F.cross_entropy(output[0], target[0])
    target[1] = NAN
    torch.testing.assert_close(sequence_loss(output, target), expected)


@pytest.mark.parametrize(
    "criterion",
    [
        nn.HuberLoss(reduction="none", delta=0.1),
        partial(F.huber_loss, reduction="none", delta=0.1),
        lambda output, target: F.huber_loss(output, target, reduction="none", delta=0.1).mean(1),
    ],
)
def test_a_function_of_one_s_own(criterion: Any) -> None:
    output, target = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    expected = F.huber_loss(torch.cat([output[0], output[1, :1]]), torch.cat([target[0], target[1, :1]]), delta=0.1)
    torch.testing.assert_close(sequence_loss(output, target, criterion, lengths=[3, 1]), expected)


def test_a_function_may_read_another_shape_than_the_target_s() -> None:
    def gaussian(output: Tensor, target: Tensor) -> Tensor:
        return F.gaussian_nll_loss(output[:, 0], target, output[:, 1].exp(), reduction="none")

    output, target = torch.randn(2, 3, 2), torch.randn(2, 3)
    expected = gaussian(output[0], target[0]).mean()
    target[1] = NAN
    torch.testing.assert_close(sequence_loss(output, target, gaussian), expected)


def test_half_precision_is_summed_in_single() -> None:
    output, target = classes(3, 5)
    loss = sequence_loss(output.bfloat16(), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, sequence_loss(output.bfloat16().float(), target))
    assert sequence_loss(output.double(), target).dtype == torch.float64


def refused(**options: Any) -> None:
    sequence_loss(**{"output": torch.randn(2, 3, 4), "target": torch.zeros(2, 3, dtype=torch.long), **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "ctc_loss"}, r"^criterion: expected .* cross_entropy, .*, .* got 'ctc_loss'"),
        ({"features": "max"}, r"^features: expected 'mean' or 'sum', got 'max'"),
        ({"at": "first"}, r"^at: expected 'every' or 'last', got 'first'"),
        (
            {"criterion": nn.MSELoss(), "output": torch.zeros(2, 3)},
            r"^criterion: expected .* 6 losses",
        ),
        ({"output": torch.randn(2, 3)}, r"^output: expected shape \(B, T, \.\.\., V\) = \(2, 3, 3\), got \(2, 3\)"),
        (
            {"criterion": "mse_loss"},
            r"^output: expected shape \(B, T, \.\.\.\) of the target = \(2, 3\), got \(2, 3, 4\)",
        ),
        (
            {"criterion": nn.MSELoss(), "target": torch.zeros(2, 4)},
            r"^output: expected \(B, T, \.\.\.\) = \(2, 4\) and more",
        ),
        ({"at": "last"}, r"^output: expected shape \(B, \.\.\., V\) = \(2, 3, 4\), got \(2, 4\)"),
        ({"target": torch.zeros(2)}, r"^target: expected \(B, T\) and any features, got \(2,\)"),
        ({"lengths": [3, 4]}, r"^lengths: expected values from 0 to T = 3"),
        ({"mask": torch.ones(2, 2, dtype=torch.bool)}, r"^mask: expected shape \(B, T\) = \(2, 3\), got \(2, 2\)"),
        ({"mask": torch.ones(2, 3)}, r"^mask: expected bool, got torch\.float32"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ParameterError, ShapeError), match=message):
        refused(**options)
