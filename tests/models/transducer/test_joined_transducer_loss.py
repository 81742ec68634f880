"""The loss from a joiner's inputs against the same loss from all of its logits."""

import pytest
import torch
from torch import Tensor, nn

from recurra import joined_transducer_loss, transducer_loss
from recurra.errors import ParameterError, ShapeError

FRAMES, COUNTS = torch.tensor([9, 4, 0, 7]), torch.tensor([3, 5, 0, 0])


class Joiner(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.output = nn.Linear(6, 8)
        self.dropout = nn.Dropout(dropout)
        self.calls = 0

    def forward(self, frames: Tensor, predictions: Tensor) -> Tensor:
        self.calls += 1
        return self.output(self.dropout(torch.tanh(frames + predictions)))


def made() -> tuple[Joiner, Tensor, Tensor, Tensor]:
    torch.manual_seed(2)
    frames = torch.randn(4, 9, 6, dtype=torch.float64, requires_grad=True)
    predictions = torch.randn(4, 6, 6, dtype=torch.float64, requires_grad=True)
    return Joiner().double(), frames, predictions, torch.randint(1, 8, (4, 5))


@pytest.mark.parametrize("chunk", [1, 10, 4096])
def test_equals_the_loss_from_all_logits(chunk: int) -> None:
    join, frames, predictions, targets = made()
    leaves = (frames, predictions, *join.parameters())
    expected = transducer_loss(join(frames.unsqueeze(2), predictions.unsqueeze(1)), targets, FRAMES, COUNTS)
    truth = torch.autograd.grad(expected, leaves)
    found = joined_transducer_loss(join, frames, predictions, targets, FRAMES, COUNTS, chunk=chunk)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, leaves), truth)


def test_inference_joins_once() -> None:
    join, frames, predictions, targets = made()
    with torch.no_grad():
        joined_transducer_loss(join, frames, predictions, targets, FRAMES, COUNTS, reduction="none", chunk=36)
        assert join.calls == 3  # one chunk for each utterance that has frames
        joined_transducer_loss(join, frames, predictions, targets, FRAMES, COUNTS, reduction="none")
        assert join.calls == 4


def test_dropout_is_the_same_in_the_backward_pass() -> None:
    """With other random numbers in the second call the gradient would not be that of the loss."""
    join, frames, predictions, targets = made()
    join.dropout.p = 0.5
    frames = frames.detach()

    def loss(scale: Tensor) -> Tensor:
        torch.manual_seed(7)
        return joined_transducer_loss(join, frames * scale, predictions, targets, FRAMES, COUNTS, chunk=12)

    assert torch.autograd.gradcheck(loss, torch.ones((), dtype=torch.float64, requires_grad=True))


def test_a_batch_of_nothing() -> None:
    join = Joiner()
    nothing = torch.zeros(0, dtype=torch.int64)
    found = joined_transducer_loss(
        join, torch.zeros(0, 3, 6), torch.zeros(0, 1, 6), torch.zeros(0, 2).long(), nothing, nothing, reduction="none"
    )
    assert found.shape == (0,)


def test_refusals() -> None:
    join, frames, predictions, targets = made()
    with pytest.raises(ShapeError, match=r"frames: expected shape \(B, T, J\) with B = 4, got \(3, 9, 6\)"):
        joined_transducer_loss(join, frames[:3], predictions, targets, FRAMES, COUNTS)
    with pytest.raises(ShapeError, match=r"predictions: .* at least 6, got \(4, 5, 6\)"):
        joined_transducer_loss(join, frames, predictions[:, :5], targets, FRAMES, COUNTS)
    with pytest.raises(ShapeError, match=r"join: expected logits .* n = 9 and U \+ 1 = 4, got \(9, 8\)"):
        joined_transducer_loss(lambda f, p: join(f, p)[:, 0], frames, predictions, targets, FRAMES, COUNTS, chunk=36)
    with pytest.raises(ParameterError, match=r"chunk: .* at least 1, got 0"):
        joined_transducer_loss(join, frames, predictions, targets, FRAMES, COUNTS, chunk=0)
